import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { status } from "@grpc/grpc-js";
import { DriverError } from "../../src/errors.js";
import { engineOf, isServiceError, query, raw, TestBench, until } from "./support.js";

const EMPTY = new Uint8Array();
const MESSAGE_BYTES = 64 * 1_024;
/** What precedes each message of gRPC: a flag and the length (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
const FRAME_HEADER_BYTES = 5;

/** Resolves when the value stays the same over fifty turns of a running event loop. */
async function atRest(value: () => number): Promise<void> {
  for (let seen = -1; seen !== value(); ) {
    seen = value();
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

describe("a stream", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  it("delivers every message in order", async () => {
    const client = await bench.serve(
      engineOf({
        stream: async function* () {
          for (let i = 0; i < 1_000; i++) yield Buffer.alloc(1_000, i % 256);
        },
      }),
    );
    const messages: unknown[] = await query(client, EMPTY).toArray();
    assert.deepEqual(
      messages,
      Array.from({ length: 1_000 }, (_, i) => Buffer.alloc(1_000, i % 256)),
    );
    assert.deepEqual(
      bench.endedCalls.map(({ code }) => code),
      [status.OK],
    );
  });

  it("asks the engine for no more than a slow reader takes, and goes on when it reads", async () => {
    const total = 2_000;
    let pulled = 0;
    await bench.serve(
      engineOf({
        stream: async function* () {
          while (pulled < total) {
            pulled++;
            yield Buffer.alloc(MESSAGE_BYTES);
          }
        },
      }),
    );
    // The client of grpc-js takes in whatever comes until its caller reads for the first time, so this one is plain HTTP/2.
    const session = connect("http://localhost", { createConnection: () => connectSocket(bench.socketPath) });
    const stream = session.request({
      ":method": "POST",
      ":path": raw("query").path,
      "content-type": "application/grpc",
      te: "trailers",
    });
    stream.end(Buffer.alloc(FRAME_HEADER_BYTES));
    await once(stream, "response");
    await atRest(() => pulled);
    // One message fills the window of HTTP/2, 64 KiB, and is not through: no other has been asked for.
    assert.equal(pulled, 1);
    let received = 0;
    for await (const chunk of stream) received += chunk.length;
    assert.equal(received, total * (MESSAGE_BYTES + FRAME_HEADER_BYTES));
    session.close();
  });

  it("ends the engine's iterator when the client cancels, whether it waits for the client or for data", async () => {
    for (const waitsForData of [false, true]) {
      let hasReturned = false;
      let started = false;
      const client = await bench.serve(
        engineOf({
          stream: async function* (_method, _request, { signal }) {
            try {
              started = true;
              while (!waitsForData) yield Buffer.alloc(MESSAGE_BYTES);
              await once(signal, "abort");
            } finally {
              hasReturned = true;
            }
          },
        }),
        {},
        "127.0.0.1:0",
      );
      const stream = query(client, EMPTY).on("error", () => {});
      await until(() => started);
      stream.cancel();
      await until(() => hasReturned);
      assert.equal(bench.endedCalls.at(-1)?.code, status.CANCELLED);
    }
  });

  it("ends the engine's iterator when the connection is gone", async () => {
    let hasReturned = false;
    const client = await bench.serve(
      engineOf({
        stream: async function* () {
          try {
            for (;;) yield Buffer.alloc(MESSAGE_BYTES);
          } finally {
            hasReturned = true;
          }
        },
      }),
    );
    const stream = query(client, EMPTY).on("error", () => {});
    await once(stream, "metadata");
    client.close();
    stream.cancel();
    await until(() => hasReturned);
  });

  it("sends an error after the messages before it", async () => {
    const client = await bench.serve(
      engineOf({
        stream: async function* () {
          for (let i = 0; i < 10; i++) yield Buffer.alloc(MESSAGE_BYTES);
          throw new DriverError("SNAPSHOT_EXPIRED", "The stream was read too slowly.");
        },
      }),
    );
    let received = 0;
    const error: unknown = await (async () => {
      for await (const _message of query(client, EMPTY)) received++;
    })().catch((thrown: unknown) => thrown);
    assert.equal(received, 10);
    assert.ok(isServiceError(error));
    assert.equal(error.code, status.ABORTED);
    assert.equal(bench.endedCalls[0]?.error?.reason, "SNAPSHOT_EXPIRED");
  });

  it("ends at its deadline", async () => {
    let signal: AbortSignal | undefined;
    const client = await bench.serve(
      engineOf({
        stream: async function* (_method, _request, context) {
          signal = context.signal;
          yield EMPTY;
          await once(signal, "abort");
        },
      }),
    );
    const stream = query(client, EMPTY, { deadline: new Date(Date.now() + 50) });
    const error: unknown = await stream.toArray().catch((thrown: unknown) => thrown);
    assert.ok(isServiceError(error));
    assert.equal(error.code, status.DEADLINE_EXCEEDED);
    await until(() => signal?.aborted === true);
    assert.ok(signal?.reason instanceof DriverError);
  });

  it("leaves no call open when clients come and go", async () => {
    const client = await bench.serve(
      engineOf({
        stream: async function* () {
          for (;;) yield Buffer.alloc(MESSAGE_BYTES);
        },
      }),
    );
    const count = 200;
    for (let i = 0; i < count; i++) {
      const stream = query(client, EMPTY).on("error", () => {});
      if (i % 3 === 0) await once(stream, "data");
      stream.cancel();
    }
    await until(() => bench.endedCalls.length >= Math.ceil(count / 3));
    assert.ok(bench.endedCalls.every(({ code }) => code === status.CANCELLED));
  });
});
