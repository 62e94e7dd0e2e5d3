import assert from "node:assert/strict";
import { readFileSync, renameSync } from "node:fs";
import { DriverError } from "../../src/errors.js";
import { ENDLESS, ensureTable, reason, sqlValue, TestEngine, useEngines, within } from "../support/engine.js";
import { until, untilAtWork, workerPids } from "../support/processes.js";

/** Rows x = 1, 2, … of a query, as many as `count`. */
const counting = (count: number): string =>
  `WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < ${count}) SELECT x FROM n`;

async function rowsOf(stream: AsyncIterable<{ rows: readonly unknown[] }>): Promise<number> {
  let rows = 0;
  for await (const message of stream) rows += message.rows.length;
  return rows;
}

/** `VmRSS` of a process in bytes. */
function residentBytes(pid: number): number {
  const [, kilobytes = "0"] = /VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
  return Number(kilobytes) * 1024;
}

describe("reads", () => {
  const start = useEngines({ readers: 1 });

  it("answer hundreds of calls in flight, each its own", async () => {
    const test = await start();
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) => test.sql("SELECT ?, ? || 'x'", BigInt(i), `${i}`)),
    );
    for (const [i, { rows }] of answers.entries()) {
      assert.deepEqual(
        rows[0]?.values.map(({ kind }) => kind.value),
        [BigInt(i), `${i}x`],
      );
    }
  });

  it("stop an endless statement within a second after its deadline, while the calls behind it succeed", async () => {
    const test = await start();
    await test.sql("SELECT 1");
    const startMs = performance.now();
    const endless = test.call("execute", { sql: ENDLESS }, within(300));
    const behind = Array.from({ length: 20 }, (_, i) => test.sql("SELECT ?", BigInt(i)));
    await assert.rejects(endless, reason("DEADLINE_EXCEEDED"));
    assert.ok(performance.now() - startMs < 1_300, `${performance.now() - startMs} ms`);
    const answers = await Promise.all(behind);
    assert.deepEqual(
      answers.map(({ rows }) => rows[0]?.values[0]?.kind.value),
      Array.from({ length: 20 }, (_, i) => BigInt(i)),
    );
  });

  it("answer what was sent before an endless statement without waiting for its end", async () => {
    const test = await start();
    await test.sql("SELECT 1");
    const before = test.sql("SELECT 1");
    const endless = test.call("execute", { sql: ENDLESS }, within(1_200));
    const startMs = performance.now();
    await before;
    assert.ok(performance.now() - startMs < 800);
    await assert.rejects(endless, reason("DEADLINE_EXCEEDED"));
  });

  it("that wait for a long one are answered by another process meanwhile", async () => {
    const test = await start({ readers: 2 });
    await test.sql("SELECT 1");
    let isOver = false;
    const cancellation = new AbortController();
    const within5s = { ...within(5_000), signal: cancellation.signal };
    const long = test.call("execute", { sql: ENDLESS }, within5s).finally(() => {
      isOver = true;
    });
    const waiting = Array.from({ length: 5 }, (_, i) => test.sql("SELECT ?", BigInt(i)));
    const answers = await Promise.all(waiting);
    assert.deepEqual(
      answers.map(({ rows }) => rows[0]?.values[0]?.kind.value),
      [0n, 1n, 2n, 3n, 4n],
    );
    assert.deepEqual(await test.values("SELECT 6"), [6n]);
    assert.equal(isOver, false);
    cancellation.abort();
    await assert.rejects(long, reason("CANCELLED"));
  });

  it("do not wait for one that runs on although its client is gone", async () => {
    const test = await start({ readers: 1, maxStatementMs: 600_000 });
    await test.sql("SELECT 1");
    for (let round = 0n; round < 2n; round++) {
      const [pid = 0] = workerPids(test.databasePath, "reader");
      const abort = new AbortController();
      const endless = test.call("execute", { sql: ENDLESS }, { signal: abort.signal });
      await untilAtWork(pid);
      const waiting = test.sql("SELECT ?", round);
      abort.abort();
      await assert.rejects(endless, reason("CANCELLED"));
      const answers = [await waiting, await test.sql("SELECT ?", round)];
      for (const { rows } of answers) assert.equal(rows[0]?.values[0]?.kind.value, round);
      assert.notDeepEqual(workerPids(test.databasePath, "reader"), [pid], "its process was ended");
    }
  });

  it("are not ended because the driver itself was held up and has not heard their answer", async () => {
    const test = await start({ maxStreams: 1 });
    assert.equal(await rowsOf(test.stream("query", { sql: "SELECT 1" })), 1);
    const pids = workerPids(test.databasePath, "reader");
    const stream = test.stream("query", { sql: counting(1_000_000) });
    await stream.next();
    await stream.return(undefined);
    const cancelled = new AbortController();
    const read = test.call("execute", { sql: "SELECT 1" }, { signal: cancelled.signal });
    await new Promise((resolve) => setImmediate(resolve));
    cancelled.abort();
    await assert.rejects(read, reason("CANCELLED"));
    // As SIGSTOP does.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1_500);
    assert.equal(await rowsOf(test.stream("query", { sql: "SELECT 1" })), 1);
    assert.deepEqual(await test.values("SELECT 1"), [1n]);
    assert.deepEqual(workerPids(test.databasePath, "reader"), pids);
  });

  it("with large requests are not sent from reader to reader again and again", async () => {
    const test = await start({ readers: 2 });
    const bytesRead = () =>
      workerPids(test.databasePath, "reader")
        .map((pid) => Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]))
        .reduce((sum, bytes) => sum + bytes, 0);
    // Each takes longer than others are made to wait for one.
    const sql = `SELECT max(x) FROM (${counting(300_000)}) /*${"x".repeat(8_000_000)}*/`;
    const count = 12;
    const answers = await Promise.all(Array.from({ length: count }, () => test.values(sql)));
    assert.deepEqual(answers.flat(), new Array<bigint>(count).fill(300_000n));
    // Each is read by the reader that it was sent to first and by the one that answers it; a third part is for what else they read.
    assert.ok(bytesRead() < 3 * count * sql.length, `${bytesRead()} bytes`);
  });

  it("survive more endless neighbours than a failing read is tried", async () => {
    const test = await start();
    const endless = Array.from({ length: 5 }, (_, i) => test.call("execute", { sql: ENDLESS }, within(150 + 400 * i)));
    const behind = Array.from({ length: 5 }, () => test.sql("SELECT 1"));
    for (const call of endless) await assert.rejects(call, reason("DEADLINE_EXCEEDED"));
    await Promise.all(behind);
  });

  it("stop a statement at the time limit when the client has set no deadline", async () => {
    const test = await start({ maxStatementMs: 300 });
    // What follows is not about the start of a reader.
    await test.sql("SELECT 1");
    const startMs = performance.now();
    await assert.rejects(test.call("execute", { sql: ENDLESS }), reason("DEADLINE_EXCEEDED"));
    assert.ok(performance.now() - startMs < 1_800);
  });

  it("do not start a read whose deadline passed while it waited", async () => {
    const test = await start();
    await test.sql("SELECT 1");
    const [pid] = workerPids(test.databasePath, "reader");
    const slow = test.call("execute", { sql: `SELECT count(*) FROM (${counting(300_000)})` });
    const late = test.call("execute", { sql: ENDLESS }, within(1));
    await assert.rejects(late, reason("DEADLINE_EXCEEDED"));
    await slow;
    assert.deepEqual(workerPids(test.databasePath, "reader"), [pid], "the reader did not have to be ended");
  });

  it("are tried again when a reader is killed in the middle", async () => {
    const test = await start();
    const answers = Promise.all(
      Array.from({ length: 8 }, () => test.sql(`SELECT count(*) FROM (${counting(200_000)})`)),
    );
    await until("a reader runs", () => workerPids(test.databasePath, "reader").length === 1);
    await new Promise((resolve) => setTimeout(resolve, 250));
    for (const pid of workerPids(test.databasePath, "reader")) process.kill(pid, "SIGKILL");
    for (const { rows } of await answers) assert.equal(rows[0]?.values[0]?.kind.value, 200_000n);
  });

  it("go on after every reader was killed at the same time, again and again", async () => {
    const test = await start({ readers: 2 });
    for (let round = 0; round < 2; round++) {
      const calls = Array.from({ length: 50 }, () => test.sql("SELECT 7"));
      for (const pid of workerPids(test.databasePath, "reader")) process.kill(pid, "SIGKILL");
      await Promise.all(calls);
    }
  });

  it("say why the database cannot be opened, and go on when it can", async () => {
    const test = await start({});
    // Then no read of the engine's own is under way, which would start another reader.
    await test.call("getDriverInfo", {});
    for (const pid of workerPids(test.databasePath, "reader")) process.kill(pid, "SIGKILL");
    await until("they are gone", () => workerPids(test.databasePath, "reader").length === 0);
    renameSync(test.databasePath, `${test.databasePath}.away`);
    try {
      await assert.rejects(test.sql("SELECT 1"), /test\.db cannot be opened: .+/);
    } finally {
      renameSync(`${test.databasePath}.away`, test.databasePath);
    }
    assert.deepEqual(await test.values("SELECT 1"), [1n]);
  });

  it("see every write that was acknowledged before", async () => {
    const test = await start();
    await ensureTable(test, "t", "x");
    for (let i = 1; i <= 50; i++) {
      await test.sql("INSERT INTO t VALUES (?)", BigInt(i));
      assert.deepEqual(await test.values("SELECT count(*) FROM t"), [BigInt(i)]);
    }
  });

  it("show a new column in a statement that was compiled before", async () => {
    const test = await start();
    await test.sql("CREATE TABLE changing(a)");
    await test.sql("INSERT INTO changing VALUES (1)");
    const columns = async (): Promise<string[]> =>
      (await test.sql("SELECT * FROM changing")).columns.map(({ name }) => name);
    assert.deepEqual(await columns(), ["a"]);
    await test.sql("ALTER TABLE changing ADD COLUMN b DEFAULT 'new'");
    assert.deepEqual(await columns(), ["a", "b"]);
    const { rows } = await test.sql("SELECT * FROM changing");
    assert.equal(rows[0]?.values.length, 2);
    for await (const message of test.stream("query", { sql: "SELECT * FROM changing" })) {
      assert.deepEqual(
        message.columns.map(({ name }) => name),
        ["a", "b"],
      );
    }
  });

  it("run a statement that begins with comments on a reader, where it cannot hold up the writes", async () => {
    const test = await start();
    await ensureTable(test, "t", "x");
    const endless = test.call("execute", { sql: `-- name: Count :one\n/* of ** all */ ${ENDLESS}` }, within(900));
    const startMs = performance.now();
    await test.sql("INSERT INTO t VALUES (1)");
    assert.ok(performance.now() - startMs < 700, "the write waited for the read");
    await assert.rejects(endless, reason("DEADLINE_EXCEEDED"));
  });

  it("are refused with a time to come back when too many wait", async () => {
    const test = await start({ maxQueuedReads: 3 });
    const calls = Array.from({ length: 5 }, () => test.sql("SELECT 1"));
    const outcomes = await Promise.allSettled(calls);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ["fulfilled", "fulfilled", "fulfilled", "rejected", "rejected"],
    );
    await assert.rejects(
      calls[3] ?? Promise.resolve(),
      (error: { reason?: string; retryAfterMs?: number }) =>
        error.reason === "OVERLOADED" && (error.retryAfterMs ?? 0) > 0,
    );
    await test.sql("SELECT 1");
  });

  it("keep 64-bit integers, blobs, reals and texts as they are", async () => {
    const test = await start();
    await test.sql("CREATE TABLE v(x)");
    const values = [
      2n ** 63n - 1n,
      -(2n ** 63n),
      2n ** 53n + 1n,
      0n,
      -1n,
      1.5,
      -0,
      Number.POSITIVE_INFINITY,
      Number.MIN_VALUE,
      "",
      "a\0b",
      "\u{1F600}é",
      "x".repeat(100_000),
      Buffer.alloc(0),
      Buffer.from([0, 255, 1]),
      null,
    ];
    for (const value of values) await test.sql("INSERT INTO v VALUES (?)", value);
    const { rows } = await test.sql("SELECT x FROM v ORDER BY rowid");
    const read = rows.map(({ values: [value] }) => value?.kind);
    assert.deepEqual(
      read.map((kind) =>
        kind?.case === "blobValue" ? Buffer.from(kind.value) : kind?.case === "nullValue" ? null : kind?.value,
      ),
      values,
    );
    assert.equal(Object.is(read[6]?.value, -0), true);
  });
});

describe("readers that a busy time has started", () => {
  const start = useEngines();

  it("end when they are idle, but for one for unary reads and one for streams; later reads are answered", async () => {
    const test = await start({ readers: 2, maxStreams: 3, maxReaderIdleMs: 300 });
    const pids = () => workerPids(test.databasePath, "reader");
    const slow = () => test.sql(`SELECT count(*) FROM (${counting(1_000_000)})`);
    for (let round = 0; round < 2; round++) {
      const streams = Array.from({ length: 3 }, () => test.stream("query", { sql: counting(100_000) }));
      await Promise.all(streams.map((stream) => stream.next()));
      await until("there are two for unary reads and three for streams", async () => {
        await Promise.all([slow(), test.sql("SELECT 1")]);
        return pids().length === 5;
      });
      // Not left in the middle: a reader that is slow to hear of that is ended.
      await Promise.all(streams.map(rowsOf));
      await until("two are left", () => pids().length === 2);
    }
    const left = pids();
    await new Promise((resolve) => setTimeout(resolve, 700));
    assert.deepEqual(pids(), left, "these stay");
  });

  it("stay while they are read from, however slowly", async () => {
    const test = await start({ maxStreams: 2, maxReaderIdleMs: 100 });
    const streams = Array.from({ length: 2 }, () => test.stream("query", { sql: counting(100_000) }));
    await Promise.all(streams.map((stream) => stream.next()));
    await new Promise((resolve) => setTimeout(resolve, 500));
    for (const stream of streams) assert.ok((await rowsOf(stream)) > 0);
  });
});

describe("streams", () => {
  const start = useEngines();

  it("carry a million rows in order, in messages of 32 to 64 KiB", async () => {
    const test = await start();
    let expected = 1n;
    let messages = 0;
    for await (const { rows } of test.stream("query", { sql: counting(1_000_000) })) {
      messages++;
      for (const { values } of rows) {
        if (values[0]?.kind.value !== expected) assert.fail(`row ${expected} is ${String(values[0]?.kind.value)}`);
        expected++;
      }
    }
    assert.equal(expected, 1_000_001n);
    assert.ok(messages > 50 && messages < 500, `${messages} messages`);
  });

  it("send columns when there is no row", async () => {
    const test = await start();
    const messages = [];
    for await (const message of test.stream("query", { sql: "SELECT 1 AS a WHERE 0" })) messages.push(message);
    assert.deepEqual(
      messages.map(({ columns, rows }) => [columns.map(({ name }) => name), rows.length]),
      [[["a"], 0]],
    );
  });

  it("stop when their consumer does: memory stays bounded, and other reads go on", async () => {
    const test = await start();
    const stream = test.stream("query", {
      sql: "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT x, hex(zeroblob(500)) FROM n",
    });
    await stream.next();
    const pids = workerPids(test.databasePath, "reader");
    await new Promise((resolve) => setTimeout(resolve, 200));
    const before = pids.map(residentBytes);
    const ownBefore = process.memoryUsage().rss;
    await new Promise((resolve) => setTimeout(resolve, 800));
    for (const [i, pid] of pids.entries()) {
      const grown = residentBytes(pid) - (before[i] ?? 0);
      assert.ok(grown < 8_000_000, `reader ${pid} has grown by ${grown} bytes`);
    }
    const ownGrown = process.memoryUsage().rss - ownBefore;
    assert.ok(ownGrown < 30_000_000, `the main process has grown by ${ownGrown} bytes`);
    await test.sql("SELECT 1");
    await stream.return(undefined);
  });

  it("read from one snapshot however long they last", async () => {
    const test = await start();
    await test.sql("CREATE TABLE t(x, filler)");
    await test.sql(`INSERT INTO t SELECT x, hex(zeroblob(100)) FROM (${counting(20_000)})`);
    let rows = 0;
    for await (const message of test.stream("query", { sql: "SELECT x FROM t NOT INDEXED" })) {
      if (rows === 0) await test.sql("DELETE FROM t");
      rows += message.rows.length;
    }
    assert.equal(rows, 20_000);
    assert.deepEqual(await test.values("SELECT count(*) FROM t"), [0n]);
  });

  it("wait for their turn when there are too many, then more are refused", async () => {
    const test = await start({ maxStreams: 2 });
    const open = () => test.stream("query", { sql: counting(100_000) });
    const running = [open(), open()];
    for (const stream of running) await stream.next();
    const waiting = [open(), open()].map((stream) => rowsOf(stream));
    await assert.rejects(open().next(), reason("OVERLOADED"));
    for (const stream of running) assert.ok((await rowsOf(stream)) > 0);
    assert.deepEqual(await Promise.all(waiting), [100_000, 100_000]);
  });

  it("leave the waiting line when they are cancelled", async () => {
    const test = await start({ maxStreams: 1 });
    const running = test.stream("query", { sql: counting(100_000) });
    await running.next();
    const abort = new AbortController();
    const waiting = test.stream("query", { sql: "SELECT 1" }, { signal: abort.signal }).next();
    abort.abort();
    await assert.rejects(waiting, reason("CANCELLED"));
    const next = rowsOf(test.stream("query", { sql: "SELECT 1" }));
    await running.return(undefined);
    assert.equal(await next, 1);
  });

  it("that are cancelled in an endless statement give their place to others", async () => {
    const test = await start({ maxStreams: 1, maxStatementMs: 60_000 });
    const abort = new AbortController();
    const stuck = test.stream("query", { sql: ENDLESS }, { signal: abort.signal }).next();
    await until("the reader runs", () => workerPids(test.databasePath, "reader").length === 2);
    await new Promise((resolve) => setTimeout(resolve, 300));
    abort.abort();
    await assert.rejects(stuck, reason("CANCELLED"));
    const startMs = performance.now();
    assert.equal(await rowsOf(test.stream("query", { sql: "SELECT 1" })), 1);
    assert.ok(performance.now() - startMs < 3_000);
  });

  it("are ended when their snapshot is too old", async () => {
    const test = await start({ maxSnapshotAgeMs: 300 });
    const stream = test.stream("query", { sql: counting(1_000_000) });
    const readSlowly = async () => {
      await stream.next();
      await new Promise((resolve) => setTimeout(resolve, 400));
      await rowsOf(stream);
    };
    // On a slow machine the first message can be late already.
    await assert.rejects(readSlowly(), reason("SNAPSHOT_EXPIRED"));
  });

  it("give back what they read before an endless part, and are stopped there", async () => {
    const test = await start();
    const sql = `SELECT x, hex(zeroblob(5000)) FROM (${counting(20)}) UNION ALL SELECT * FROM (SELECT (${ENDLESS}), 1)`;
    const stream = test.stream("query", { sql }, within(1_500));
    const first = await stream.next();
    assert.ok(first.value?.rows.length > 0);
    await assert.rejects(rowsOf(stream), reason("DEADLINE_EXCEEDED"));
  });

  it("survive a reader that is killed before the first message, and fail clearly after it", async () => {
    const test = await start({ maxStreams: 1 });
    const stream = test.stream("query", { sql: counting(1_000_000) });
    await stream.next();
    const [unary = 0] = workerPids(test.databasePath, "reader").sort((a, b) => a - b);
    for (const pid of workerPids(test.databasePath, "reader")) if (pid !== unary) process.kill(pid, "SIGKILL");
    await assert.rejects(rowsOf(stream), reason("INTERNAL"));

    const slow = test.stream("query", { sql: `SELECT count(*) FROM (${counting(1_000_000)})` }).next();
    await until("another reader runs", () => workerPids(test.databasePath, "reader").length === 2);
    await new Promise((resolve) => setTimeout(resolve, 200));
    for (const pid of workerPids(test.databasePath, "reader")) if (pid !== unary) process.kill(pid, "SIGKILL");
    const { value } = await slow;
    assert.equal(value?.rows[0]?.values[0]?.kind.value, 1_000_000n);
  });

  it("end at a row that is larger than a request may be, after the rows before it", async () => {
    const test = await start({ maxRequestBytes: 200_000 });
    await test.sql("CREATE TABLE large(id INTEGER PRIMARY KEY, x)");
    await test.sql("INSERT INTO large VALUES (1, zeroblob(199000)), (2, zeroblob(200000)), (3, 'end')");
    for (const rows of [
      test.stream("query", { sql: "SELECT id, x FROM large ORDER BY id" }),
      test.stream("select", { table: "large", orderBy: [{ column: "id" }] }),
    ]) {
      const ids: unknown[] = [];
      const all = async () => {
        for await (const message of rows) ids.push(...message.rows.map(({ values }) => values[0]?.kind.value));
      };
      await assert.rejects(all, (error) => {
        assert.match(DriverError.from(error).hint ?? "", /substr/);
        return reason("LIMIT_EXCEEDED")(error);
      });
      assert.deepEqual(ids, [1n]);
    }
    const { rows, truncated } = await test.sql("SELECT x FROM large WHERE id = 2");
    assert.deepEqual([rows.length, truncated], [1, false]);
  });

  it("bind parameters", async () => {
    const test = await start();
    const stream = test.stream("query", {
      sql: "SELECT ? + :n",
      parameters: [sqlValue(1n)],
      namedParameters: { n: sqlValue(2n) },
    });
    const { value } = await stream.next();
    assert.equal(value?.rows[0]?.values[0]?.kind.value, 3n);
    await stream.return(undefined);
  });

  it("leave no process when the engine closes in the middle of one and after the end of another", async () => {
    const engine = await TestEngine.start();
    const open = engine.stream("query", { sql: counting(1_000_000) });
    await open.next();
    // Its reader is just being given back.
    assert.equal(await rowsOf(engine.stream("query", { sql: counting(10) })), 10);
    await engine.engine.close();
    await until("no worker is left", () => workerPids(engine.databasePath).length === 0, 2_000);
    await assert.rejects(rowsOf(open));
    await assert.rejects(engine.sql("SELECT 1"), reason("DRAINING"));
  });
});
