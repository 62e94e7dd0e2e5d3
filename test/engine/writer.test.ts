import assert from "node:assert/strict";
import { statSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { ENDLESS, ensureTable, reason, sqlValue, TestEngine, useEngines, within } from "../support/engine.js";
import { until, workerPids } from "../support/processes.js";

const ENDLESS_WRITE = `INSERT INTO t ${ENDLESS}`;
/** Takes some tenths of a second. */
const SLOW_WRITE =
  "INSERT INTO slow SELECT count(*) FROM (WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x < 300000) SELECT x FROM n)";

async function withTables(engine: Promise<TestEngine>): Promise<TestEngine> {
  const test = await engine;
  await ensureTable(test, "t", "x");
  await ensureTable(test, "slow", "x");
  await test.sql("DELETE FROM t");
  return test;
}

function killWriter(test: TestEngine): number {
  const [pid = 0] = workerPids(test.databasePath, "writer");
  process.kill(pid, "SIGKILL");
  return pid;
}

describe("writes", () => {
  const start = useEngines();

  it("in flight together share commits, and each is there once", async () => {
    const test = await withTables(start());
    const answers = await Promise.all(
      Array.from({ length: 300 }, (_, i) => test.sql("INSERT INTO t VALUES (?)", BigInt(i))),
    );
    const commits = new Set(answers.map(({ commitSeq }) => commitSeq));
    assert.ok(commits.size < 100, `${commits.size} commits`);
    const ids = (await test.values("SELECT rowid FROM t ORDER BY rowid")).map(Number);
    assert.deepEqual(
      answers.map(({ lastInsertRowid }) => Number(lastInsertRowid)).sort((a, b) => a - b),
      ids,
    );
  });

  it("stop an endless one within a second after its deadline, while the others succeed", async () => {
    const test = await withTables(start());
    const startMs = performance.now();
    const before = Array.from({ length: 10 }, (_, i) => test.sql("INSERT INTO t VALUES (?)", BigInt(i)));
    const endless = test.call("execute", { sql: ENDLESS_WRITE }, within(300));
    const behind = Array.from({ length: 10 }, (_, i) => test.sql("INSERT INTO t VALUES (?)", BigInt(10 + i)));
    const read = test.sql("SELECT 1");
    await read;
    assert.ok(performance.now() - startMs < 300, "reads do not wait for writes");
    await assert.rejects(endless, reason("DEADLINE_EXCEEDED"));
    assert.ok(performance.now() - startMs < 1_300, `${performance.now() - startMs} ms`);
    await Promise.all([...before, ...behind]);
    assert.deepEqual(
      await test.values("SELECT x FROM t ORDER BY x"),
      Array.from({ length: 20 }, (_, i) => BigInt(i)),
    );
  });

  it("survive more endless neighbours than a failing write is tried", async () => {
    const test = await withTables(start({ maxStatementMs: 250 }));
    const endless = Array.from({ length: 4 }, () => test.call("execute", { sql: ENDLESS_WRITE }));
    const others = Array.from({ length: 5 }, (_, i) => test.sql("INSERT INTO t VALUES (?)", BigInt(i)));
    for (const call of endless) await assert.rejects(call, reason("DEADLINE_EXCEEDED"));
    await Promise.all(others);
    assert.deepEqual(await test.values("SELECT count(*) FROM t"), [5n]);
  });

  it("never run one whose deadline passed while it waited", async () => {
    const test = await withTables(start());
    const slow = test.sql(SLOW_WRITE);
    const late = Array.from({ length: 5 }, () =>
      test.call("execute", { sql: "INSERT INTO t VALUES ('late')" }, within(5)),
    );
    for (const call of late) await assert.rejects(call, reason("DEADLINE_EXCEEDED"));
    await slow;
    await test.sql("INSERT INTO t VALUES ('after')");
    assert.deepEqual(await test.values("SELECT x FROM t"), ["after"]);
  });

  it("do not run one that was cancelled while it waited", async () => {
    const test = await withTables(start());
    const slow = test.sql(SLOW_WRITE);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const abort = new AbortController();
    const cancelled = test.call("execute", { sql: "INSERT INTO t VALUES ('never')" }, { signal: abort.signal });
    abort.abort();
    await assert.rejects(cancelled, reason("CANCELLED"));
    await slow;
    await test.sql("INSERT INTO t VALUES ('after')");
    assert.deepEqual(await test.values("SELECT x FROM t"), ["after"]);
  });

  it("fail alone when they are bad, in any company", async () => {
    const test = await withTables(start());
    await test.sql("CREATE TABLE unique_t(x UNIQUE ON CONFLICT ROLLBACK)");
    await test.sql("INSERT INTO unique_t VALUES (1)");
    const calls = Array.from({ length: 60 }, (_, i) =>
      i % 3 === 0 ? test.sql("INSERT INTO unique_t VALUES (1)") : test.sql("INSERT INTO t VALUES (?)", BigInt(i)),
    );
    const outcomes = await Promise.allSettled(calls);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      outcomes.map((_, i) => (i % 3 === 0 ? "rejected" : "fulfilled")),
    );
    for (let i = 0; i < 60; i += 3) await assert.rejects(calls[i] ?? Promise.resolve(), reason("CONSTRAINT_UNIQUE"));
    assert.deepEqual(
      await test.values("SELECT x FROM t ORDER BY x"),
      outcomes.flatMap((_, i) => (i % 3 === 0 ? [] : [BigInt(i)])),
    );
  });

  it("are refused with a time to come back when too many wait", async () => {
    const test = await withTables(start({ maxQueuedWrites: 3 }));
    const calls = Array.from({ length: 5 }, () => test.sql("INSERT INTO t VALUES (1)"));
    const outcomes = await Promise.allSettled(calls);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"],
    );
    await assert.rejects(calls[4] ?? Promise.resolve(), (error: { reason?: string; retryAfterMs?: number }) => {
      return error.reason === "OVERLOADED" && (error.retryAfterMs ?? 0) > 0;
    });
    assert.deepEqual(await test.values("SELECT count(*) FROM t"), [3n]);
  });

  it("are there once when the writer is killed under load, or say that nobody knows", async () => {
    const test = await withTables(start());
    const acknowledged: bigint[] = [];
    const unknown: bigint[] = [];
    let isDone = false;
    let next = 0n;
    const client = async (): Promise<void> => {
      while (!isDone) {
        const value = next++;
        try {
          await test.sql("INSERT INTO t VALUES (?)", value);
          acknowledged.push(value);
        } catch (error) {
          reason("COMMIT_OUTCOME_UNKNOWN")(error);
          unknown.push(value);
        }
      }
    };
    const clients = Array.from({ length: 20 }, client);
    for (let round = 0; round < 3; round++) {
      const before = acknowledged.length;
      await until("writes go on", () => acknowledged.length > before + 100);
      killWriter(test);
    }
    isDone = true;
    await Promise.all(clients);
    assertLedger(await allValues(test, "SELECT x FROM t"), acknowledged, unknown);
  });

  it("with a request_id are always answered, and run once, when the writer is killed under load", async () => {
    const test = await withTables(start());
    const acknowledged: bigint[] = [];
    let isDone = false;
    let next = 0n;
    const client = async (): Promise<void> => {
      while (!isDone) {
        const value = next++;
        const requestId = `kill-${value}`;
        await test.call("execute", { sql: "INSERT INTO t VALUES (?)", parameters: [sqlValue(value)], requestId });
        acknowledged.push(value);
      }
    };
    const clients = Array.from({ length: 20 }, client);
    for (let round = 0; round < 3; round++) {
      const before = acknowledged.length;
      await until("writes go on", () => acknowledged.length > before + 100);
      killWriter(test);
    }
    isDone = true;
    await Promise.all(clients);
    assertLedger(await allValues(test, "SELECT x FROM t"), acknowledged, []);
    assert.equal(test.log.filter(({ message }) => message.includes("started again")).length >= 3, true);
  });

  it("have commit numbers that only grow, over transactions, a killed writer and a restart", async () => {
    const first = await withTables(TestEngine.start());
    const numbers: bigint[] = [];
    const insert = async (test: TestEngine) => {
      numbers.push((await test.sql("INSERT INTO t VALUES (1)")).commitSeq);
    };
    await insert(first);
    const { transactionId } = await first.call("beginTransaction", {});
    const { commitSeq } = await first.call("execute", { sql: "INSERT INTO t VALUES (2)", transactionId });
    assert.equal(commitSeq, 0n, "not committed yet");
    numbers.push((await first.call("commitTransaction", { transactionId })).commitSeq);
    numbers.push((await first.call("syncSchema", { schemaSql: "CREATE TABLE synced (x)" })).commitSeq);
    await assert.rejects(first.sql("INSERT INTO nowhere VALUES (1)"), reason("SQL_ERROR"));
    await insert(first);
    killWriter(first);
    await insert(first);
    await first.engine.close();
    const second = await TestEngine.open(first.databasePath);
    await insert(second);
    await second.stop();
    for (const [i, number] of numbers.entries()) assert.ok(i === 0 || number > (numbers[i - 1] ?? 0n), `${numbers}`);
  });

  it("go on when the writer is killed again while it starts", async () => {
    const test = await withTables(start());
    const first = killWriter(test);
    await until("the next one is there", () => workerPids(test.databasePath, "writer").some((pid) => pid !== first));
    killWriter(test);
    await test.sql("INSERT INTO t VALUES (1)");
    assert.deepEqual(await test.values("SELECT count(*) FROM t"), [1n]);
    assert.ok(!test.log.some(({ level }) => level === "fatal"));
  });

  it("copy the WAL into the database now and then, also while many wait", async () => {
    const test = await withTables(start({ maxWalBytes: 4_000_000, maxQueuedWrites: 10_000 }));
    const text = "x".repeat(64_000);
    await Promise.all(Array.from({ length: 2_000 }, () => test.sql("INSERT INTO t VALUES (?)", text)));
    const walBytes = statSync(`${test.databasePath}-wal`).size;
    assert.ok(walBytes < 80_000_000, `the WAL has ${walBytes} bytes of 128,000,000 written`);
  });
});

describe("a database that a link leads to", () => {
  it("is opened, and its WAL, which stands beside the file, is measured and emptied", async () => {
    const test = await TestEngine.start({ maxWalBytes: 1_000_000 }, (path) => symlinkSync("real.db", path));
    const walBytes = () => statSync(join(dirname(test.databasePath), "real.db-wal")).size;
    const { walBytes: measuredBytes } = await test.engine.load();
    assert.equal(measuredBytes, walBytes());
    await test.sql("CREATE TABLE t AS SELECT randomblob(5000000)");
    await until("the WAL is emptied", () => walBytes() === 0);
    await test.stop();
  });
});

describe("DriverEngine#start()", () => {
  it("says why it cannot, and tries no further", async () => {
    const folder = "/proc/no-such-folder/test.db";
    await assert.rejects(TestEngine.open(folder), /no-such-folder/);
    await until("no writer is left", () => workerPids(folder).length === 0);
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(workerPids(folder), []);
  });
});

describe("DriverEngine#close()", () => {
  it("leaves no process and an empty WAL, and refuses what comes later", async () => {
    const test = await withTables(TestEngine.start());
    await test.call("beginTransaction", {});
    const waiting = test.sql("INSERT INTO t VALUES ('waits')");
    const later = test.call("beginTransaction", {});
    const stream = test.stream("query", { sql: "SELECT 1 UNION ALL SELECT 2" });
    await stream.next();
    await Promise.all([
      test.engine.close(),
      assert.rejects(waiting, reason("DRAINING")),
      assert.rejects(later, reason("DRAINING")),
    ]);
    await until("no worker is left", () => workerPids(test.databasePath).length === 0, 2_000);
    assert.equal(statSync(`${test.databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0, 0);
    await assert.rejects(test.sql("INSERT INTO t VALUES (1)"), reason("DRAINING"));
    const again = await TestEngine.open(test.databasePath);
    assert.deepEqual(await again.values("SELECT count(*) FROM t"), [0n]);
    await again.stop();
  });

  it("does not report that it serves any more", async () => {
    const test = await withTables(TestEngine.start());
    const seen: boolean[] = [];
    test.engine.drain();
    test.engine.health.on("change", ({ isServing }) => seen.push(isServing));
    killWriter(test);
    await test.sql("INSERT INTO t VALUES (1)");
    await test.stop();
    assert.ok(!seen.includes(true));
  });
});

async function allValues(test: TestEngine, sql: string): Promise<bigint[]> {
  const values: bigint[] = [];
  for await (const { rows } of test.stream("query", { sql })) {
    for (const row of rows) values.push(row.values[0]?.kind.value as bigint);
  }
  return values;
}

/** Every acknowledged write is there once, every other at most once and only if its outcome is unknown. */
function assertLedger(stored: readonly bigint[], acknowledged: readonly bigint[], unknown: readonly bigint[]): void {
  const counts = new Map<bigint, number>();
  for (const value of stored) counts.set(value, (counts.get(value) ?? 0) + 1);
  assert.deepEqual(
    acknowledged.filter((value) => counts.get(value) !== 1),
    [],
    "acknowledged and not there once",
  );
  const known = new Set([...acknowledged, ...unknown]);
  assert.deepEqual(
    [...counts].filter(([value, count]) => count > 1 || !known.has(value)),
    [],
    "there twice, or never answered",
  );
}
