import assert from "node:assert/strict";
import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { create, toBinary } from "@bufbuild/protobuf";
import { ExecuteRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { monotonicMs } from "../../src/observability/clock.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { StatementGuard } from "../../src/workers/watchdog.js";
import { WorkerLostError, WorkerProcess } from "../../src/workers/worker-process.js";
import { ENDLESS, reason, TEST_LIMITS } from "../support/engine.js";
import { until } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";

const FOREVER = { deadlineMs: Number.POSITIVE_INFINITY };

function execute(sql: string): Uint8Array {
  return toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql }));
}

describe("WorkerProcess with its watchdog", () => {
  const path = useTempFolder();
  let worker: WorkerProcess;
  const start = (limits: Partial<typeof TEST_LIMITS> = {}): WorkerProcess => {
    openConnection(path("test.db"), { role: "writer" }).close();
    const options = { databasePath: path("test.db"), limits: { ...TEST_LIMITS, ...limits } };
    worker = new WorkerProcess("reader", options);
    return worker;
  };
  afterEach(async () => {
    worker.kill();
    await worker.exited;
  });

  it("stops the very first statement of a process, and tells whose time was up", async () => {
    start();
    const endless = worker.call("execute", execute(ENDLESS), { deadlineMs: monotonicMs() + 1_500 });
    const behind = worker.call("execute", execute("SELECT 1"), FOREVER);
    await assert.rejects(endless, reason("DEADLINE_EXCEEDED"));
    await assert.rejects(behind, (error) => {
      assert.ok(error instanceof WorkerLostError);
      assert.deepEqual([error.isBystander, error.item], [true, null]);
      return true;
    });
    assert.equal(worker.isAlive, false);
  });

  it("takes the others for bystanders also when the caller gave up before its time was up", async () => {
    start();
    await worker.ready;
    const abort = new AbortController();
    const endless = worker.call("execute", execute(ENDLESS), { deadlineMs: monotonicMs() + 400, signal: abort.signal });
    const behind = worker.call("execute", execute("SELECT 1"), FOREVER);
    setTimeout(() => abort.abort(), 200);
    await assert.rejects(endless, reason("CANCELLED"));
    await assert.rejects(
      behind,
      (error) => error instanceof WorkerLostError && error.isBystander && error.item === null,
    );
  });

  it("takes nobody for a bystander, and nobody for the culprit, when the process dies otherwise", async () => {
    start();
    await worker.ready;
    const running = worker.call("execute", execute(ENDLESS), FOREVER);
    const waiting = worker.call("execute", execute("SELECT 1"), FOREVER);
    worker.kill();
    for (const call of [running, waiting]) {
      await assert.rejects(
        call,
        (error) => error instanceof WorkerLostError && error.item === null && !error.isBystander,
      );
    }
  });

  it("never stops a call for its predecessor's deadline", async () => {
    start();
    await worker.ready;
    // Each is finished just before or fails just after its deadline; the process must outlive those that finish.
    const quick = execute("SELECT 1");
    for (let i = 0; i < 300; i++) {
      const close = worker.call("execute", quick, { deadlineMs: monotonicMs() + 60 });
      const after = worker.call("execute", quick, FOREVER);
      await Promise.all([close.catch(reason("DEADLINE_EXCEEDED")), after]);
    }
    assert.ok(worker.isAlive);
  });

  it("forgets the caller's signal when a call has ended", async () => {
    start();
    const abort = new AbortController();
    let listeners = 0;
    const { signal } = abort;
    const add = signal.addEventListener.bind(signal);
    const remove = signal.removeEventListener.bind(signal);
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    for (let i = 0; i < 10; i++) await worker.call("execute", execute("SELECT 1"), { ...FOREVER, signal });
    await assert.rejects(worker.call("execute", execute("nonsense"), { ...FOREVER, signal }));
    for await (const _ of worker.stream("query", execute("SELECT 1"), { ...FOREVER, signal }));
    assert.equal(listeners, 0);
  });

  it("ends by itself when the parent is killed while an endless statement runs", async () => {
    start({ maxStatementMs: 600_000 });
    const program = fileURLToPath(new URL("../support/worker-parent.js", import.meta.url));
    const parent = fork(program, [path("test.db")], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    const [pid] = (await once(parent, "message")) as [number];
    assert.ok(isRunning(pid));
    parent.kill("SIGKILL");
    await once(parent, "exit");
    await until("the orphan has ended", () => !isRunning(pid), 5_000);
  });
});

describe("StatementGuard", () => {
  it("offers nothing to kill outside of a statement", () => {
    const guard = new StatementGuard();
    const word = new Int32Array(guard.buffer, 8, 1);
    assert.equal(word[0], 0);
    guard.enter(7, monotonicMs());
    assert.notEqual(word[0], 0);
    guard.leave();
    assert.equal(word[0], 0, "a COMMIT that follows cannot be killed");
  });
});

/** False also for a zombie, which has ended and that nobody has waited for yet. */
function isRunning(pid: number): boolean {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
