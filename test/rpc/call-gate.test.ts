import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { deflateSync, gzipSync } from "node:zlib";
import { Metadata, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { Health, HealthCheckRequestSchema } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection, ServerReflectionRequestSchema } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import type { Engine } from "../../src/engine/call.js";
import { DriverError } from "../../src/errors.js";
import { roleOf } from "../../src/rpc/access.js";
import type { RpcServerOptions } from "../../src/rpc/server.js";
import { methodPath } from "../../src/rpc/service-definition.js";
import { encode, engineOf, parseListener, TestBench, unaryEngine, until } from "./support.js";

const KIB = 1024;
const EXECUTE = methodPath(DriverService.method.execute);
const CHECK = methodPath(Health.method.check);
const REFLECT = methodPath(ServerReflection.method.serverReflectionInfo);
const GZIP = { "grpc-encoding": "gzip" };

/** What precedes a message: whether it is compressed, and its length. */
function frameHeader(messageBytes: number, isCompressed = false): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(isCompressed ? 1 : 0, 0);
  header.writeUInt32BE(messageBytes, 1);
  return header;
}

/** A message as a client with gzip sends it. */
function gzipped(message: Uint8Array): Buffer {
  const packed = gzipSync(message);
  return Buffer.concat([frameHeader(packed.length, true), packed]);
}

interface Answer {
  readonly code: number;
  readonly reason: string | undefined;
  readonly retryAfterMs: number | undefined;
}

/** What a call is answered, whether its request has ended or not. */
async function answerOf(stream: ClientHttp2Stream): Promise<Answer> {
  const [headers] = (await Promise.race([once(stream, "response"), once(stream, "close")])) as [
    Record<string, string>?,
  ];
  if (headers === undefined) throw new Error(`closed with code ${stream.rstCode}`);
  let trailers = headers;
  if (trailers["grpc-status"] === undefined) {
    stream.resume();
    [trailers] = (await once(stream, "trailers")) as [Record<string, string>];
  }
  const details = parseStatusDetails(Metadata.fromHttp2Headers(trailers));
  return { code: Number(trailers["grpc-status"]), reason: details?.reason, retryAfterMs: details?.retryAfterMs };
}

describe("a request that has not arrived", () => {
  let bench: TestBench;
  let session: ClientHttp2Session;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(async () => {
    session.destroy();
    await bench.close();
  });

  /** Serves on a unix socket and connects to it in plain HTTP/2: a client of gRPC hands over requests as a whole. */
  async function serve(engine: Engine, options: Partial<RpcServerOptions> = {}): Promise<void> {
    await bench.server(engine, options).listen(parseListener(`unix:${bench.socketPath}`));
    session = connect("http://localhost", {
      createConnection: () => connectSocket(bench.socketPath),
      // In megabytes; what it has not sent yet counts.
      maxSessionMemory: 1_000,
    });
  }

  function begin(path: string, headers: Record<string, string> = {}): ClientHttp2Stream {
    const stream = session.request({
      ...{ ":method": "POST", ":path": path, "content-type": "application/grpc", te: "trailers" },
      ...headers,
    });
    // That the driver wants no more of the request is no error of the test.
    return stream.on("error", () => undefined);
  }

  async function check(): Promise<Answer> {
    return await answerOf(begin(CHECK).end(frameHeader(0)));
  }

  it("is refused by its headers to who may not call, and the connection goes on", async () => {
    await serve(engineOf({}), {
      authenticate: (authorization) => {
        if (authorization === "reader") return "read-only";
        throw new DriverError("UNAUTHENTICATED", "The call has no token.");
      },
    });
    const half = Buffer.alloc(512 * KIB);
    const calls = Array.from({ length: 100 }, (_, i) => {
      const stream = begin(EXECUTE.replace("Execute", i < 50 ? "Execute" : "Insert"), {
        "x-request-id": `call-${i}`,
        ...(i >= 50 && { authorization: "reader" }),
      });
      stream.write(frameHeader(2 * half.length));
      stream.write(half);
      return stream;
    });
    const answers = await Promise.all(calls.map(answerOf));
    assert.deepEqual(new Set(answers.slice(0, 50).map(({ reason }) => reason)), new Set(["UNAUTHENTICATED"]));
    assert.deepEqual(new Set(answers.slice(50).map(({ reason }) => reason)), new Set(["ROLE_NOT_ALLOWED"]));
    assert.deepEqual(
      bench.endedCalls.map(({ code, requestId }) => ({ code, requestId })),
      calls.map((_, i) => ({
        code: i < 50 ? status.UNAUTHENTICATED : status.PERMISSION_DENIED,
        requestId: `call-${i}`,
      })),
    );
    assert.equal((await check()).code, status.OK);
  });

  it("is refused when it is larger than what strangers may ask, packed or unpacked", async () => {
    await serve(engineOf({}), {
      authenticate: () => {
        throw new DriverError("UNAUTHENTICATED", "The call has no token.");
      },
    });
    const large = begin(CHECK);
    large.write(frameHeader(512 * KIB));
    large.write(Buffer.alloc(5 * KIB));
    assert.deepEqual((await answerOf(large)).reason, "LIMIT_EXCEEDED");
    const bomb = begin(CHECK, GZIP);
    // Not ended: the answer must not wait for that.
    bomb.write(gzipped(Buffer.alloc(512 * KIB)));
    assert.equal((await answerOf(bomb)).reason, "LIMIT_EXCEEDED");
    assert.equal((await check()).code, status.OK);
    const packed = begin(CHECK, GZIP).end(gzipped(encode(HealthCheckRequestSchema, { service: "nobody" })));
    assert.equal((await answerOf(packed)).code, status.NOT_FOUND);
    assert.equal((await answerOf(begin(CHECK, GZIP).end(gzipped(Buffer.alloc(0))))).code, status.OK);
  });

  it("is refused when it is the largest of more than may be arriving, until there is room again", async () => {
    await serve(
      unaryEngine(async (request) => request),
      { maxArrivingBytes: 1_024 * KIB, maxRequestBytes: 1_024 * KIB },
    );
    for (let round = 0; round < 3; round++) {
      const [small, large, last] = [begin(EXECUTE), begin(EXECUTE), begin(EXECUTE)];
      for (const stream of [small, large, last]) stream.write(frameHeader(600 * KIB));
      small.write(Buffer.alloc(200 * KIB));
      large.write(Buffer.alloc(500 * KIB));
      const refused = answerOf(large);
      // Passes the bound: 200 + 500 + 400.
      last.write(Buffer.alloc(400 * KIB));
      const { code, reason, retryAfterMs } = await refused;
      assert.deepEqual({ code, reason }, { code: status.UNAVAILABLE, reason: "OVERLOADED" });
      assert.ok((retryAfterMs ?? 0) > 0);
      small.end(Buffer.alloc(400 * KIB));
      assert.equal((await answerOf(small)).code, status.OK);
      last.end(Buffer.alloc(200 * KIB));
      assert.equal((await answerOf(last)).code, status.OK);
    }
    const reasons = bench.endedCalls.map(({ error }) => error?.reason);
    assert.deepEqual(reasons, Array.from({ length: 3 }, () => ["OVERLOADED", undefined, undefined]).flat());
  });

  it("does not run after it was refused, although it was whole", async () => {
    let calls = 0;
    await serve(
      unaryEngine(async (request) => {
        calls++;
        return request;
      }),
      { maxArrivingBytes: 1_024 * KIB, maxRequestBytes: 1_024 * KIB },
    );
    // Whole but for its end, which a client may still have to say.
    const whole = begin(EXECUTE);
    whole.write(frameHeader(800 * KIB));
    await new Promise((resolve) => whole.write(Buffer.alloc(800 * KIB), resolve));
    // Answered after what has left before it was taken.
    await check();
    const other = begin(EXECUTE);
    other.write(frameHeader(600 * KIB));
    const refused = answerOf(whole);
    other.write(Buffer.alloc(400 * KIB));
    assert.equal((await refused).reason, "OVERLOADED");
    whole.end();
    other.end(Buffer.alloc(200 * KIB));
    assert.equal((await answerOf(other)).code, status.OK);
    assert.equal((await check()).code, status.OK);
    assert.equal(calls, 1);
  });

  it("is given up when the client goes on with one that was answered", async () => {
    await serve(
      unaryEngine(async (request) => request),
      { maxArrivingBytes: 1_024 * KIB, maxRequestBytes: 1_024 * KIB },
    );
    const late = begin(EXECUTE, { "grpc-timeout": "50m" });
    late.write(frameHeader(1_000 * KIB));
    late.write(Buffer.alloc(800 * KIB));
    assert.equal((await answerOf(late)).code, status.DEADLINE_EXCEEDED);
    const other = begin(EXECUTE);
    other.write(frameHeader(600 * KIB));
    other.end(Buffer.alloc(600 * KIB));
    assert.equal((await answerOf(other)).code, status.OK);
    assert.equal((await check()).code, status.OK);
  });

  it("counts as large as it becomes when it is unpacked", async () => {
    await serve(
      unaryEngine(async (request) => request),
      { maxArrivingBytes: 1_536 * KIB, maxRequestBytes: 1_024 * KIB },
    );
    const bomb = gzipped(Buffer.alloc(1_024 * KIB));
    // Whole, but not ended.
    const bombs = Array.from({ length: 12 }, () => begin(EXECUTE, GZIP));
    const answers: (string | undefined)[] = [];
    for (const stream of bombs) {
      void answerOf(stream).then(({ reason }) => answers.push(reason));
      stream.write(bomb);
    }
    await until(() => answers.length === bombs.length - 1);
    assert.deepEqual(new Set(answers), new Set(["OVERLOADED"]));
    // The one that is left holds its bytes until it has ended.
    const other = begin(EXECUTE, GZIP).end(gzipped(Buffer.alloc(700 * KIB)));
    await until(() => answers.length === bombs.length);
    assert.equal((await answerOf(other)).code, status.OK);
    assert.equal((await answerOf(begin(EXECUTE, GZIP).end(bomb))).code, status.OK);
  });

  it("counts no more when its client is gone, while it is unpacked or after", async () => {
    await serve(
      unaryEngine(async (request) => request),
      { maxArrivingBytes: 1_536 * KIB, maxRequestBytes: 1_024 * KIB },
    );
    for (let round = 0; round < 10; round++) {
      const gone = begin(EXECUTE, GZIP);
      await new Promise((resolve) => gone.write(gzipped(Buffer.alloc(600 * KIB)), resolve));
      // While it is unpacked, and when it has been, as another that came later.
      if (round % 2 === 0) await check();
      else await answerOf(begin(EXECUTE, GZIP).end(gzipped(Buffer.alloc(600 * KIB))));
      gone.destroy();
      await check();
      const other = begin(EXECUTE);
      other.write(frameHeader(1_000 * KIB));
      other.end(Buffer.alloc(1_000 * KIB));
      assert.equal((await answerOf(other)).code, status.OK);
    }
  });

  it("counts no more than that when it is compressed", async () => {
    await serve(
      unaryEngine(async (request) => request),
      { maxArrivingBytes: 6 * 1_024 * KIB, maxRequestBytes: 1_024 * KIB },
    );
    const message = randomBytes(100 * KIB);
    const streams = Array.from({ length: 25 }, () => begin(EXECUTE, GZIP));
    const answers = Promise.all(streams.map(answerOf));
    for (const stream of streams) stream.write(gzipped(message));
    // Answered after all of them have arrived.
    await check();
    for (const stream of streams) stream.end();
    assert.deepEqual(new Set((await answers).map(({ code }) => code)), new Set([status.OK]));
  });

  it("is handed over as it was before it was compressed", async () => {
    const requests: Buffer[] = [];
    await serve(
      unaryEngine(async (request) => {
        requests.push(request);
        return request;
      }),
    );
    const messages = [0, 1, 100, 900 * KIB].map((bytes) =>
      Buffer.concat([Buffer.alloc(bytes / 2), randomBytes(bytes / 2)]),
    );
    for (const message of messages) {
      const deflated = deflateSync(message);
      const asItIs = [frameHeader(message.length), message];
      for (const [encoding, frames] of [
        ["gzip", [gzipped(message)]],
        ["deflate", [frameHeader(deflated.length, true), deflated]],
        // In pieces, the prefix too.
        ["gzip", [...gzipped(message.subarray(0, 100))].map((byte) => Buffer.of(byte))],
        ["gzip", asItIs],
        ["identity", asItIs],
      ] as const) {
        const stream = begin(EXECUTE, { "grpc-encoding": encoding });
        for (const frame of frames) stream.write(frame);
        stream.end();
        assert.equal((await answerOf(stream)).code, status.OK);
        const isPart = frames.length > 2;
        assert.ok(
          requests.pop()?.equals(isPart ? message.subarray(0, 100) : message),
          `${encoding}, ${message.length} bytes`,
        );
      }
    }
    assert.deepEqual(requests, []);
  });

  it("is refused when it cannot be unpacked, or is too large then", async () => {
    await serve(
      unaryEngine(async (request) => request),
      { maxRequestBytes: 512 * KIB },
    );
    const ask = (encoding: string, ...frames: Buffer[]) =>
      answerOf(begin(EXECUTE, { "grpc-encoding": encoding }).end(Buffer.concat(frames)));
    assert.equal((await ask("gzip", frameHeader(100, true), Buffer.alloc(100))).reason, "INVALID_REQUEST");
    assert.equal((await ask("gzip", gzipped(Buffer.alloc(512 * KIB + 1)))).reason, "LIMIT_EXCEEDED");
    assert.equal((await ask("gzip", frameHeader(513 * KIB, true))).reason, "LIMIT_EXCEEDED");
    assert.equal((await ask("br", frameHeader(100, true), Buffer.alloc(100))).code, status.UNIMPLEMENTED);
    assert.equal((await ask("gzip", gzipped(Buffer.alloc(512 * KIB)))).code, status.OK);
    // No call of gRPC: two messages of one.
    assert.notEqual((await ask("gzip", gzipped(Buffer.alloc(1)), gzipped(Buffer.alloc(1)))).code, status.OK);
    assert.equal((await check()).code, status.OK);
  });

  it("begins anew with each message of a stream of requests", async () => {
    await serve(engineOf({}), { maxArrivingBytes: 256 * KIB, maxRequestBytes: 1_024 * KIB });
    const messageRequest = { case: "fileByFilename", value: randomBytes(50 * KIB).toString("hex") } as const;
    const message = Buffer.from(encode(ServerReflectionRequestSchema, { messageRequest }));
    const framed = Buffer.concat([frameHeader(message.length), message]);
    for (const [headers, frame] of [
      [{}, framed],
      [GZIP, gzipped(message)],
    ] as const) {
      const stream = begin(REFLECT, headers);
      let answeredBytes = 0;
      stream.on("data", (chunk: Buffer) => {
        answeredBytes += chunk.length;
      });
      for (let count = 1; count <= 10; count++) {
        stream.write(frame);
        // The answer repeats the question.
        await until(() => answeredBytes > count * message.length);
      }
      const trailers = once(stream, "trailers");
      stream.end();
      assert.equal(Number(((await trailers)[0] as Record<string, string>)["grpc-status"]), status.OK);
    }
  });

  it("closes a stream of requests that holds the most, which is told once", async () => {
    await serve(engineOf({}), { maxArrivingBytes: 256 * KIB, maxRequestBytes: 1_024 * KIB });
    const stream = begin(REFLECT);
    stream.write(frameHeader(1_000 * KIB));
    stream.write(Buffer.alloc(500 * KIB));
    await assert.rejects(answerOf(stream), /ENHANCE_YOUR_CALM/);
    await until(() => bench.endedCalls.length > 0);
    assert.equal((await check()).code, status.OK);
    assert.equal(bench.endedCalls.filter(({ path }) => path !== CHECK).length, 1);
  });
});

describe("roleOf()", () => {
  it("believes nothing but the gate", () => {
    const metadata = new Metadata();
    metadata.set("driver-role", "read-write");
    assert.throws(() => roleOf(metadata), { reason: "DRAINING" });
  });
});
