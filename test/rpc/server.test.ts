import assert from "node:assert/strict";
import { Metadata, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { ExecuteRequestSchema, ExecuteResponseSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { DriverError } from "../../src/errors.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { decode, encode, engineOf, execute, failure, query, TestBench, unary, unaryEngine, until } from "./support.js";

const EMPTY = new Uint8Array();

describe("RpcServer", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  for (const [transport, address] of [
    ["a unix socket", undefined],
    ["loopback TCP", "127.0.0.1:0"],
  ] as const) {
    it(`passes the bytes of a unary call in both directions over ${transport}`, async () => {
      const request = encode(ExecuteRequestSchema, { sql: "SELECT 1", maxRows: 7 });
      const client = await bench.serve(
        unaryEngine(async (bytes) => {
          assert.equal(decode(ExecuteRequestSchema, bytes).sql, "SELECT 1");
          assert.deepEqual(new Uint8Array(bytes), request);
          return encode(ExecuteResponseSchema, { affectedRows: -(2n ** 63n) });
        }),
        {},
        address,
      );
      const answer = decode(ExecuteResponseSchema, await execute(client, request));
      assert.equal(answer.affectedRows, -(2n ** 63n));
      assert.deepEqual(
        bench.endedCalls.map(({ path, code }) => ({ path, code })),
        [{ path: "/code_analysis.driver.v1.DriverService/Execute", code: status.OK }],
      );
    });
  }

  it("tells the engine which method is called, for every method", async () => {
    const called: string[] = [];
    const client = await bench.serve({
      unary: async (method) => {
        called.push(method);
        return EMPTY;
      },
      stream: async function* (method) {
        called.push(method);
        yield EMPTY;
      },
    });
    for (const method of DriverService.methods) {
      const definition = methodDefinition(method);
      if (!definition.responseStream) await unary(client, definition, EMPTY);
      else {
        const { path, requestSerialize, responseDeserialize } = definition;
        await client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, EMPTY).toArray();
      }
    }
    assert.deepEqual(
      called,
      DriverService.methods.map(({ localName }) => localName),
    );
  });

  it("hands an empty request to the engine as no bytes", async () => {
    const client = await bench.serve(
      unaryEngine(async (bytes) => {
        assert.equal(bytes.length, 0);
        return EMPTY;
      }),
    );
    assert.equal((await execute(client, EMPTY)).length, 0);
  });

  it("hands bytes that are no message to the engine as they are", async () => {
    const malformed = Buffer.from("ffffffffffffffffffff", "hex");
    const client = await bench.serve(
      unaryEngine(async (bytes) => {
        assert.deepEqual(bytes, malformed);
        throw new DriverError("INVALID_REQUEST", "That is no ExecuteRequest.");
      }),
    );
    assert.equal((await failure(execute(client, malformed))).code, status.INVALID_ARGUMENT);
  });

  it("refuses a request that is larger than allowed, and goes on serving", async () => {
    let calls = 0;
    const client = await bench.serve(
      unaryEngine(async () => {
        calls++;
        return EMPTY;
      }),
      { maxRequestBytes: 1_000 },
    );
    assert.equal((await failure(execute(client, Buffer.alloc(1_001)))).code, status.RESOURCE_EXHAUSTED);
    assert.equal(calls, 0);
    await execute(client, Buffer.alloc(1_000));
    assert.equal(calls, 1);
  });

  it("answers UNIMPLEMENTED for a method that it does not know", async () => {
    const client = await bench.serve(engineOf({}));
    const definition = { ...methodDefinition(DriverService.method.execute), path: "/no.such.Service/Method" };
    assert.equal((await failure(unary(client, definition, EMPTY))).code, status.UNIMPLEMENTED);
  });

  it("answers INTERNAL for what is not a DriverError, and tells the observer the cause", async () => {
    const cause = new TypeError("x is not a function");
    const client = await bench.serve(unaryEngine(() => Promise.reject(cause)));
    assert.equal((await failure(execute(client, EMPTY))).code, status.INTERNAL);
    assert.equal(bench.endedCalls[0]?.error?.cause, cause);
  });

  it("names a call as its client does, or with a name of its own when that could break a log", async () => {
    const names: string[] = [];
    const client = await bench.serve(
      unaryEngine(async (_, { requestId }) => {
        names.push(requestId);
        return EMPTY;
      }),
    );
    for (const sent of ["f1c2-77", "two words", "x".repeat(129), undefined]) {
      const metadata = new Metadata();
      if (sent !== undefined) metadata.set("x-request-id", sent);
      await unary(client, methodDefinition(DriverService.method.execute), EMPTY, metadata);
    }
    assert.equal(names[0], "f1c2-77");
    const own = names.slice(1);
    for (const name of own) assert.match(name, /^\d+-\d+$/);
    assert.equal(new Set(own).size, 3);
    assert.deepEqual(
      bench.endedCalls.map(({ requestId }) => requestId),
      names,
    );
  });

  it("aborts the engine's signal when the client cancels, and only then", async () => {
    const signals: AbortSignal[] = [];
    const client = await bench.serve(
      unaryEngine(async (request, { signal }) => {
        signals.push(signal);
        if (request.length > 0) await new Promise((resolve) => signal.addEventListener("abort", resolve));
        return EMPTY;
      }),
    );
    await execute(client, EMPTY);
    const { path, requestSerialize, responseDeserialize } = methodDefinition(DriverService.method.execute);
    const call = client.makeUnaryRequest(path, requestSerialize, responseDeserialize, Buffer.of(1), () => {});
    await until(() => signals.length === 2);
    call.cancel();
    await until(() => bench.endedCalls.length === 2);
    assert.deepEqual(
      signals.map(({ aborted }) => aborted),
      [false, true],
    );
    assert.deepEqual(
      bench.endedCalls.map(({ code }) => code),
      [status.OK, status.CANCELLED],
    );
  });

  it("serves other calls on a connection with many streams that are read slowly", async () => {
    const client = await bench.serve({
      unary: async () => EMPTY,
      stream: async function* () {
        for (;;) yield Buffer.alloc(64 * 1_024);
      },
    });
    const streams = Array.from({ length: 400 }, () => query(client, EMPTY).on("error", () => {}));
    await Promise.all(streams.map((stream) => new Promise((resolve) => stream.once("metadata", resolve))));
    await execute(client, EMPTY);
    for (const stream of streams) stream.cancel();
    await until(() => bench.endedCalls.length === 401);
  });
});
