import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { DriverError } from "../../src/errors.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { acquirePresence } from "../../src/sqlite/presence-lock.js";
import { ensureTable, reason, type TestEngine, useEngines, within } from "../support/engine.js";
import { until, workerPids } from "../support/processes.js";

/** `DATABASE_BUSY` that says when to come back. */
function busy(error: unknown): boolean {
  reason("DATABASE_BUSY")(error);
  return error instanceof DriverError && error.status === "UNAVAILABLE" && (error.retryAfterMs ?? 0) > 0;
}

describe("a database that another process has locked", () => {
  const start = useEngines();
  let other: Connection | undefined;
  afterEach(() => other?.close());

  async function locked(maxLockWaitMs: number): Promise<TestEngine> {
    const test = await start({ maxLockWaitMs });
    await ensureTable(test, "t", "x");
    other = openConnection(test.databasePath, { role: "migration" });
    other.exec("BEGIN IMMEDIATE");
    return test;
  }

  it("lets reads go on, and answers writes of every kind after a bound", async () => {
    const test = await locked(600);
    const startMs = performance.now();
    const writes = [
      test.sql("INSERT INTO t VALUES (1)"),
      test.call("beginTransaction", {}),
      test.call("dropTable", { table: "t" }),
      test.call("recover", {}).then(() => test.sql("INSERT INTO t VALUES (2)")),
    ];
    const refused = Promise.all(writes.map((write) => assert.rejects(write, busy)));
    assert.deepEqual(await test.values("SELECT count(*) FROM t"), [0n]);
    assert.ok(performance.now() - startMs < 600, "the read has waited");
    await refused;
    assert.ok(performance.now() - startMs >= 600);
    other?.exec("ROLLBACK");
    await test.sql("INSERT INTO t VALUES (3)");
    assert.deepEqual(await test.values("SELECT x FROM t"), [3n]);
  });

  it("keeps recovery from undoing a migration; the log of IndexFile says so", async () => {
    const test = await start({ maxLockWaitMs: 300 });
    const rootPath = dirname(test.databasePath);
    writeFileSync(join(rootPath, "a.py"), "def f(): pass\n");
    await test.call("registerProject", { rootPath, id: "p" });
    other = openConnection(test.databasePath, { role: "migration" });
    other.exec("ALTER TABLE files RENAME TO temp_files; BEGIN IMMEDIATE");
    await assert.rejects(test.call("indexFile", { projectId: "p", filePath: "a.py" }), busy);
    const messages = test.log.map(({ message }) => message);
    for (const beginning of ["[index_file] temp_files-related failure", "[index_file] failed again after recovery"]) {
      assert.ok(
        messages.some((message) => message.startsWith(beginning)),
        `${beginning}\n${messages.join("\n")}`,
      );
    }
    other.exec("ROLLBACK");
    await test.call("indexFile", { projectId: "p", filePath: "a.py" });
    assert.ok(test.log.some(({ message }) => message === "[index_file] succeeded after recovery"));
  });

  it("makes writes wait for a while, in order", async () => {
    const test = await locked(30_000);
    const writes = [1n, 2n, 3n].map((x) => test.sql("INSERT INTO t VALUES (?)", x));
    await until("the driver notices", () => test.log.some(({ message }) => message.includes("writes wait for it")));
    other?.exec("ROLLBACK");
    await Promise.all(writes);
    assert.deepEqual(await test.values("SELECT x FROM t"), [1n, 2n, 3n]);
  });

  it("gives up a write that was cancelled, or whose deadline has passed, while it waited", async () => {
    const test = await locked(1_500);
    const abort = new AbortController();
    const cancelled = test.call("execute", { sql: "INSERT INTO t VALUES ('never')" }, { signal: abort.signal });
    const late = test.call("execute", { sql: "INSERT INTO t VALUES ('late')" }, within(200));
    const isLate = assert.rejects(late);
    await until("the driver notices", () => test.log.some(({ message }) => message.includes("writes wait for it")));
    abort.abort();
    await assert.rejects(cancelled, reason("CANCELLED"));
    await isLate;
    // Behind the cancellation in the same channel.
    await assert.rejects(test.sql("INSERT INTO t VALUES ('busy')"), busy);
    other?.exec("ROLLBACK");
    await test.sql("INSERT INTO t VALUES ('after')");
    assert.deepEqual(await test.values("SELECT x FROM t"), ["after"]);
  });

  it("answers writes after a bound also when the writer cannot come back", async () => {
    const test = await start({ maxLockWaitMs: 500 });
    await ensureTable(test, "t", "x");
    for (const pid of workerPids(test.databasePath, "writer")) process.kill(pid, "SIGKILL");
    const migration = await acquirePresence(test.databasePath, "exclusive", 5_000);
    await assert.rejects(test.sql("INSERT INTO t VALUES (1)"), busy);
    await migration.release();
    const isBack = () =>
      test.sql("INSERT INTO t VALUES (2)").then(
        () => true,
        (error: unknown) => !busy(error),
      );
    // An attempt to open the database waits for five seconds itself.
    await until("the writer is back", isBack, 30_000);
    assert.deepEqual(await test.values("SELECT x FROM t"), [2n]);
  });
});
