import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ExecuteRequestSchema, ExecuteResponseSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { encodeMessage, type IndexFilesRequest } from "../../src/workers/index-messages.js";
import { WorkerLostError, WorkerProcess } from "../../src/workers/worker-process.js";
import { ENDLESS, reason, TEST_LIMITS } from "../support/engine.js";
import { until, untilAtWork } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";

const FOREVER = { deadlineMs: Number.POSITIVE_INFINITY };
const ENDLESS_ROWS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n";

function execute(sql: string): Uint8Array {
  return toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql }));
}

describe("WorkerProcess whose call is cancelled", () => {
  const path = useTempFolder();
  let workers: WorkerProcess[] = [];
  afterEach(async () => {
    for (const worker of workers) worker.kill();
    await Promise.all(workers.map(({ exited }) => exited));
    workers = [];
  });

  async function start(kind: "reader" | "parser" = "reader"): Promise<WorkerProcess> {
    openConnection(path("test.db"), { role: "writer" }).close();
    const limits = { ...TEST_LIMITS, maxStatementMs: 600_000 };
    const worker = new WorkerProcess(kind, { databasePath: path("test.db"), limits });
    workers.push(worker);
    await worker.ready;
    return worker;
  }

  async function cancelEndless(worker: WorkerProcess): Promise<void> {
    const abort = new AbortController();
    const call = worker.call("execute", execute(ENDLESS), { ...FOREVER, signal: abort.signal });
    await untilAtWork(worker.pid ?? 0);
    abort.abort();
    await assert.rejects(call, reason("CANCELLED"));
  }

  it("is busy as long as it works on it, and hands over what waits behind", async () => {
    const [worker, other] = [await start(), await start()];
    await cancelEndless(worker);
    const waiting = worker.call("execute", execute("SELECT 7"), FOREVER);
    assert.equal(worker.outstandingCalls, 2);
    await until("it is silent", () => worker.silentMs > 50);
    worker.handOver(other);
    const { rows } = fromBinary(ExecuteResponseSchema, await waiting);
    assert.equal(rows[0]?.values[0]?.kind.value, 7n);
    assert.equal(worker.outstandingCalls, 1);
    assert.ok(worker.worksForNobody);
  });

  it("takes those that wait for bystanders when it is ended", async () => {
    const worker = await start();
    await cancelEndless(worker);
    const waiting = worker.call("execute", execute("SELECT 7"), FOREVER);
    worker.kill();
    await assert.rejects(waiting, (error) => error instanceof WorkerLostError && error.isBystander);
  });

  it("has nothing to do any more when the call waited, or streams", async () => {
    const worker = await start();
    const abort = new AbortController();
    const options = { ...FOREVER, signal: abort.signal };
    const stream = worker.stream("query", execute(ENDLESS_ROWS), options);
    await stream.next();
    const behind = worker.call("execute", execute("SELECT 1"), options);
    abort.abort();
    await assert.rejects(behind, reason("CANCELLED"));
    await stream.return(undefined);
    assert.equal(worker.outstandingCalls, 1);
    await until("it says so", () => !worker.hasCancelledCalls);
    assert.deepEqual([worker.outstandingCalls, worker.silentMs], [0, 0]);
  });

  it("has nothing to do any more when it is a parser", async () => {
    const worker = await start("parser");
    const request: IndexFilesRequest = {
      projectId: "none",
      paths: Array.from({ length: 1_000 }, (_, i) => `${i}.py`),
      force: false,
      isPartOfProject: false,
      isReconciling: false,
    };
    const streams = [1, 2].map(() => worker.stream("indexFiles", encodeMessage(request), FOREVER));
    await streams[0]?.next();
    const second = streams[1]?.next();
    await streams[0]?.return(undefined);
    await second;
    await streams[1]?.return(undefined);
    await until("it says so", () => !worker.hasCancelledCalls);
  });
});
