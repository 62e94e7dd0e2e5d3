import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:http2";
import { connect as connectSocket } from "node:net";
import { status } from "@grpc/grpc-js";
import type { CallContext } from "../../src/engine/call.js";
import { DriverError } from "../../src/errors.js";
import { monotonicMs } from "../../src/observability/clock.js";
import { execute, failure, TestBench, unaryEngine, until } from "./support.js";

const EMPTY = new Uint8Array();
const DAY_MS = 86_400_000;
const PATH = "/code_analysis.driver.v1.DriverService/Execute";

describe("a deadline", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

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

  for (const days of [1, -1]) {
    it(`stay where they are when the wall clock jumps by ${days} day while the request arrives`, async () => {
      let seen: CallContext | undefined;
      const engine = unaryEngine(async (_request, context) => {
        seen = context;
        return EMPTY;
      });
      await bench.serve(engine);
      const session = connect("http://localhost", { createConnection: () => connectSocket(bench.socketPath) });
      await once(session, "connect");
      const headers = { ":method": "POST", ":path": PATH, te: "trailers", "content-type": "application/grpc" };
      const beforeMs = monotonicMs();
      // What a client sends under the name that the server uses itself counts for nothing.
      const call = session.request({ ...headers, "grpc-timeout": "5S", "driver-deadline-ms": "1" });
      // Its answer says that the headers, which were sent before, have been read.
      await new Promise((resolve) => session.ping(resolve));
      const { now } = Date;
      Date.now = () => now() + days * DAY_MS;
      try {
        call.end(Buffer.alloc(5));
        await once(call.resume(), "end");
      } finally {
        Date.now = now;
        session.destroy();
      }
      const deadlineMs = seen?.deadlineMs ?? 0;
      assert.ok(deadlineMs > beforeMs + 4_000 && deadlineMs < monotonicMs() + 5_100, String(deadlineMs - beforeMs));
    });
  }

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
