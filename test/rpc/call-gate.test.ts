import assert from "node:assert/strict";
import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { gzipSync } from "node:zlib";
import { Metadata, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import type { Engine } from "../../src/engine/call.js";
import { DriverError } from "../../src/errors.js";
import { roleOf } from "../../src/rpc/access.js";
import type { RpcServerOptions } from "../../src/rpc/server.js";
import { methodPath } from "../../src/rpc/service-definition.js";
import { engineOf, parseListener, TestBench, unaryEngine, until } from "./support.js";

const KIB = 1024;
const EXECUTE = methodPath(DriverService.method.execute);
const CHECK = methodPath(Health.method.check);

/** What precedes a message: whether it is compressed, and its length. */
function frameHeader(messageBytes: number, isCompressed = false): Buffer {
  const header = Buffer.alloc(5);
  header.writeUInt8(isCompressed ? 1 : 0, 0);
  header.writeUInt32BE(messageBytes, 1);
  return header;
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

  it("is refused when it is larger than what strangers may ask, or compressed", async () => {
    await serve(engineOf({}), {
      authenticate: () => {
        throw new DriverError("UNAUTHENTICATED", "The call has no token.");
      },
    });
    const large = begin(CHECK);
    large.write(frameHeader(512 * KIB));
    large.write(Buffer.alloc(5 * KIB));
    assert.deepEqual((await answerOf(large)).reason, "LIMIT_EXCEEDED");
    const zeros = gzipSync(Buffer.alloc(512 * KIB));
    const bomb = begin(CHECK, { "grpc-encoding": "gzip" });
    bomb.write(frameHeader(zeros.length, true));
    assert.deepEqual((await answerOf(bomb)).reason, "NOT_IMPLEMENTED");
    assert.equal((await check()).code, status.OK);
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

  it("counts as large as it may become when it is compressed", async () => {
    await serve(
      unaryEngine(async (request) => Buffer.from(String(request.length))),
      { maxArrivingBytes: 1_536 * KIB, maxRequestBytes: 1_024 * KIB },
    );
    const packed = gzipSync(Buffer.alloc(1_024 * KIB));
    const bombs = Array.from({ length: 3 }, () => begin(EXECUTE, { "grpc-encoding": "gzip" }));
    const refused = Promise.all(bombs.slice(0, 2).map(answerOf));
    for (const stream of bombs) {
      stream.write(frameHeader(packed.length + 1, true));
      stream.write(packed);
    }
    assert.deepEqual(
      (await refused).map(({ reason }) => reason),
      ["OVERLOADED", "OVERLOADED"],
    );
    bombs[2]?.destroy();
    const good = begin(EXECUTE, { "grpc-encoding": "gzip" });
    good.write(frameHeader(packed.length, true));
    good.end(packed);
    assert.equal((await answerOf(good)).code, status.OK);
  });

  it("closes a stream of requests that holds the most, which is told once", async () => {
    await serve(engineOf({}), { maxArrivingBytes: 256 * KIB, maxRequestBytes: 1_024 * KIB });
    const stream = begin(methodPath(ServerReflection.method.serverReflectionInfo));
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
