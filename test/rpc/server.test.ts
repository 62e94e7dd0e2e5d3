import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { stat } from "node:fs/promises";
import { createServer } from "node:net";
import { type Client, Metadata, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { ExecuteRequestSchema, ExecuteResponseSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import type { CallContext } from "../../src/engine/call.js";
import { DriverError } from "../../src/errors.js";
import { monotonicMs } from "../../src/observability/clock.js";
import { ACCESS_OF_METHOD } from "../../src/rpc/access.js";
import { parseListener } from "../../src/rpc/listener.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { decode, encode, engineOf, execute, failure, query, TestBench, unary, unaryEngine, until } from "./support.js";

const DAY_MS = 86_400_000;
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

  describe("deadlines", () => {
    const contextOf = async (deadline?: Date): Promise<CallContext> => {
      let seen: CallContext | undefined;
      const client = await bench.serve(
        unaryEngine(async (_request, context) => {
          seen = context;
          return EMPTY;
        }),
      );
      await execute(client, EMPTY, deadline === undefined ? {} : { deadline });
      assert.ok(seen !== undefined);
      return seen;
    };

    it("are Infinity when the client gives none", async () => {
      assert.equal((await contextOf()).deadlineMs, Infinity);
    });

    it("reach the engine on the monotonic clock", async () => {
      const beforeMs = monotonicMs();
      const { deadlineMs } = await contextOf(new Date(Date.now() + 5_000));
      assert.ok(deadlineMs > beforeMs + 4_000 && deadlineMs < monotonicMs() + 5_100, String(deadlineMs - beforeMs));
    });

    for (const days of [30, 400, 4_000_000]) {
      it(`of ${days} days do not end the call at once`, async () => {
        const { deadlineMs } = await contextOf(new Date(Date.now() + days * DAY_MS));
        const daysLeft = (deadlineMs - monotonicMs()) / DAY_MS;
        assert.ok(daysLeft > 24 && daysLeft < 25, String(daysLeft));
      });
    }

    it("abort the engine's signal when they pass", async () => {
      let reason: unknown;
      const client = await bench.serve(
        unaryEngine(async (_request, { signal }) => {
          await new Promise((resolve) => signal.addEventListener("abort", resolve));
          reason = signal.reason;
          throw reason;
        }),
      );
      const { code } = await failure(execute(client, EMPTY, { deadline: new Date(Date.now() + 50) }));
      assert.equal(code, status.DEADLINE_EXCEEDED);
      await until(() => reason !== undefined);
      assert.ok(reason instanceof DriverError);
      assert.equal(reason.reason, "DEADLINE_EXCEEDED");
      assert.deepEqual(
        bench.endedCalls.map(({ code: ended }) => ended),
        [status.DEADLINE_EXCEEDED],
      );
    });
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

  describe("access", () => {
    const authenticate = (metadata: Metadata) => {
      const [role] = metadata.get("role");
      if (role === "read-only" || role === "read-write") return role;
      throw new DriverError("UNAUTHENTICATED", "The call has no token.");
    };
    const as = (role: string) => {
      const metadata = new Metadata();
      metadata.set("role", role);
      return metadata;
    };
    const call = (client: Client, path: string, metadata: Metadata) =>
      unary(client, { ...methodDefinition(DriverService.method.execute), path }, EMPTY, metadata);

    it("is asked for before the engine, reflection and channelz, not before health", async () => {
      const client = await bench.serve(engineOf({}), { authenticate });
      for (const path of [
        "/code_analysis.driver.v1.DriverService/Execute",
        "/code_analysis.driver.v1.DriverService/Query",
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        "/grpc.channelz.v1.Channelz/GetServers",
      ]) {
        const error = await failure(call(client, path, new Metadata()));
        assert.equal(error.code, status.UNAUTHENTICATED, path);
        assert.equal(parseStatusDetails(error.metadata)?.reason, "UNAUTHENTICATED");
      }
      await call(client, "/grpc.health.v1.Health/Check", new Metadata());
      await call(client, "/grpc.channelz.v1.Channelz/GetServers", as("read-only"));
    });

    it("is given to a client that may only read for the methods that read, and its role reaches the engine", async () => {
      const roles: string[] = [];
      const client = await bench.serve(
        {
          unary: async (_method, _request, { role }) => {
            roles.push(role);
            return EMPTY;
          },
          stream: async function* (_method, _request, { role }) {
            roles.push(role);
            yield EMPTY;
          },
        },
        { authenticate },
      );
      for (const method of DriverService.methods) {
        const definition = methodDefinition(method);
        const isAllowed = Object.entries(ACCESS_OF_METHOD).some(
          ([name, role]) => name === method.localName && role === "read-only",
        );
        const result = unary(client, definition, EMPTY, as("read-only"));
        if (isAllowed) await result;
        else assert.equal((await failure(result)).code, status.PERMISSION_DENIED, method.name);
      }
      assert.ok(roles.length > 0 && roles.every((role) => role === "read-only"));
      await execute(client, EMPTY, { metadata: as("read-write") });
      assert.equal(roles.at(-1), "read-write");
    });

    it("is decided with the listener that the call came through", async () => {
      const kinds: string[] = [];
      const server = bench.server(
        unaryEngine(async () => EMPTY),
        {
          authenticate: (_metadata, listener) => {
            kinds.push(listener.kind);
            return "read-write";
          },
        },
      );
      for (const address of [`unix:${bench.socketPath}`, "127.0.0.1:0"]) {
        await execute(bench.connect(await server.listen(parseListener(address))), EMPTY);
      }
      assert.deepEqual(kinds, ["unix", "tcp"]);
    });
  });

  describe("listen()", () => {
    it("makes a socket that only its owner can use, and removes it when it stops", async () => {
      const server = bench.server(engineOf({}));
      const umask = process.umask();
      await server.listen(parseListener(`unix:${bench.socketPath}`));
      assert.equal((await stat(bench.socketPath)).mode & 0o777, 0o600);
      assert.equal(process.umask(), umask);
      await server.stop(0);
      await assert.rejects(stat(bench.socketPath), { code: "ENOENT" });
    });

    it("takes the place of a socket that nothing answers on", async () => {
      const first = createServer().listen(bench.socketPath);
      await new Promise((resolve) => first.once("listening", resolve));
      // Leaves its socket behind, as a process does that was killed.
      Reflect.get(first, "_handle").unref();
      const { rename } = await import("node:fs/promises");
      await rename(bench.socketPath, `${bench.socketPath}.left`);
      await new Promise((resolve) => first.close(resolve));
      await rename(`${bench.socketPath}.left`, bench.socketPath);
      const client = await bench.serve(unaryEngine(async () => EMPTY));
      await execute(client, EMPTY);
    });

    it("refuses a path where another process answers", async () => {
      await bench.serve(unaryEngine(async () => EMPTY));
      await assert.rejects(bench.serve(engineOf({})), { reason: "INVALID_REQUEST", message: /another process/ });
    });

    it("refuses a path where something else than a socket is", async () => {
      writeFileSync(bench.socketPath, "precious");
      await assert.rejects(bench.serve(engineOf({})), { reason: "INVALID_REQUEST", message: /no socket/ });
    });

    it("refuses plain text to other machines", async () => {
      await assert.rejects(bench.serve(engineOf({}), {}, "0.0.0.0:0"), { reason: "INVALID_REQUEST" });
    });

    it("refuses a port that is taken", async () => {
      const server = bench.server(engineOf({}));
      const address = await server.listen(parseListener("127.0.0.1:0"));
      assert.doesNotMatch(address, /:0$/);
      await assert.rejects(bench.serve(engineOf({}), {}, address), {
        reason: "INVALID_REQUEST",
        message: /EADDRINUSE/,
      });
    });
  });

  describe("stop()", () => {
    it("lets a running call end and takes no other", async () => {
      let finish: (bytes: Uint8Array) => void = () => {};
      const server = bench.server(
        unaryEngine(
          () =>
            new Promise((resolve) => {
              finish = resolve;
            }),
        ),
      );
      const client = bench.connect(await server.listen(parseListener(`unix:${bench.socketPath}`)));
      const idle = finish;
      const running = execute(client, EMPTY);
      await until(() => finish !== idle);
      const stopped = server.stop(10_000);
      assert.equal((await failure(execute(client, EMPTY))).code, status.UNAVAILABLE);
      finish(EMPTY);
      await running;
      await stopped;
    });

    it("cancels what still runs when the time is up", async () => {
      const server = bench.server(
        unaryEngine((_request, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject))),
      );
      const client = bench.connect(await server.listen(parseListener(`unix:${bench.socketPath}`)));
      const running = failure(execute(client, EMPTY));
      await execute(client, EMPTY, { deadline: new Date(Date.now() + 20) }).catch(() => {});
      await server.stop(50);
      assert.ok([status.UNAVAILABLE, status.CANCELLED].includes((await running).code));
      assert.equal(bench.endedCalls.length, 2);
    });
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
