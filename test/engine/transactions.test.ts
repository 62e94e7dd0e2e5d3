import assert from "node:assert/strict";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  ENDLESS,
  ensureTable,
  reason,
  type SqlValue,
  sqlValue,
  TestEngine,
  useEngines,
  within,
} from "../support/engine.js";
import { until, workerPids } from "../support/processes.js";

/** A table with these rows, in which other tests left nothing. */
async function withTable(engine: Promise<TestEngine>): Promise<TestEngine> {
  const test = await engine;
  await ensureTable(test, "t", "x UNIQUE");
  await test.sql("DELETE FROM t");
  return test;
}

async function begin(test: TestEngine, ttlMs?: number): Promise<Transaction> {
  const { transactionId } = await test.call(
    "beginTransaction",
    ttlMs === undefined ? {} : { ttl: durationFromMs(ttlMs) },
  );
  return new Transaction(test, transactionId);
}

class Transaction {
  readonly test: TestEngine;
  readonly id: string;

  constructor(test: TestEngine, id: string) {
    this.test = test;
    this.id = id;
  }

  sql(sql: string, ...parameters: SqlValue[]) {
    return this.test.call("execute", { sql, parameters: parameters.map(sqlValue), transactionId: this.id });
  }

  async values(sql: string): Promise<unknown[]> {
    const { rows } = await this.sql(sql);
    return rows.map(({ values }) => values[0]?.kind.value);
  }

  query(sql: string) {
    return this.test.stream("query", { sql, transactionId: this.id });
  }

  commit(requestId = "") {
    return this.test.call("commitTransaction", { transactionId: this.id, requestId });
  }

  rollback() {
    return this.test.call("rollbackTransaction", { transactionId: this.id });
  }
}

const values = (test: TestEngine): Promise<unknown[]> => test.values("SELECT x FROM t ORDER BY rowid");

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

describe("transactions", () => {
  const start = useEngines();

  it("show what they wrote to themselves at once and to others after the commit", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    await tx.sql("INSERT INTO t VALUES (1)");
    assert.deepEqual(await tx.values("SELECT x FROM t"), [1n]);
    assert.deepEqual(await values(test), []);
    const { commitSeq } = await tx.commit();
    assert.ok(commitSeq > 0n);
    assert.deepEqual(await values(test), [1n]);
    await assert.rejects(tx.sql("SELECT 1"), reason("TRANSACTION_NOT_FOUND"));
  });

  it("leave nothing after a rollback", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    await tx.sql("INSERT INTO t VALUES (1)");
    await tx.rollback();
    assert.deepEqual(await values(test), []);
    await assert.rejects(tx.commit(), reason("TRANSACTION_NOT_FOUND"));
    await assert.rejects(tx.rollback(), reason("TRANSACTION_NOT_FOUND"));
  });

  it("hold back the writes of others, which go on in order afterwards", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    let isDone = false;
    const others = [2n, 3n, 4n].map((x) => test.sql("INSERT INTO t VALUES (?)", x));
    others[0]?.then(() => {
      isDone = true;
    });
    await tx.sql("INSERT INTO t VALUES (1)");
    await pause(50);
    assert.equal(isDone, false);
    await tx.commit();
    await Promise.all(others);
    assert.deepEqual(await values(test), [1n, 2n, 3n, 4n]);
  });

  it("let waiting writes go on between them", async () => {
    const test = await withTable(start());
    const first = await begin(test);
    const order: string[] = [];
    const write = test.sql("INSERT INTO t VALUES (1)").then(() => order.push("write"));
    const second = begin(test).then(async (tx) => {
      order.push("second transaction");
      await tx.commit();
    });
    const last = test.sql("INSERT INTO t VALUES (2)").then(() => order.push("last write"));
    await first.commit();
    await Promise.all([write, second, last]);
    assert.deepEqual(order, ["write", "second transaction", "last write"]);
  });

  it("are not kept out by the writes that wait for them, and have a queue of their own", async () => {
    const test = await start({ maxQueuedWrites: 4 });
    await test.sql("CREATE TABLE t(x)");
    const tx = await begin(test);
    const others = [1, 2, 3, 4].map(() => test.sql("INSERT INTO t VALUES ('other')"));
    await assert.rejects(test.sql("INSERT INTO t VALUES ('other')"), reason("OVERLOADED"));
    const own = [1, 2, 3, 4].map(() => tx.sql("INSERT INTO t VALUES ('own')"));
    await assert.rejects(tx.sql("INSERT INTO t VALUES ('own')"), reason("OVERLOADED"));
    await assert.rejects(tx.query("SELECT x FROM t").next(), reason("OVERLOADED"));
    assert.equal((await test.engine.load()).queuedWrites, 8);
    await Promise.all(own);
    await tx.commit();
    await Promise.all(others);
    assert.deepEqual(await test.values("SELECT count(*) FROM t GROUP BY x ORDER BY x"), [4n, 4n]);
    assert.equal((await test.engine.load()).queuedWrites, 0);
  });

  it("go on after a statement that failed", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    await tx.sql("INSERT INTO t VALUES (1)");
    await assert.rejects(tx.sql("INSERT INTO t VALUES (2), (1)"), reason("CONSTRAINT_UNIQUE"));
    await assert.rejects(tx.sql("nonsense"));
    await tx.sql("INSERT INTO t VALUES (3)");
    await tx.commit();
    assert.deepEqual(await values(test), [1n, 3n]);
  });

  it("are over when SQLite rolls them back, and nothing of them runs outside", async () => {
    const test = await withTable(start());
    for (let round = 0; round < 5; round++) {
      const tx = await begin(test);
      await tx.sql("INSERT INTO t VALUES (1)");
      const bad = tx.sql("INSERT OR ROLLBACK INTO t VALUES (1)");
      // Sent before anybody could know.
      const pipelined = Array.from({ length: 5 }, (_, i) => tx.sql("INSERT INTO t VALUES (?)", BigInt(100 + i)));
      await assert.rejects(bad, reason("CONSTRAINT_UNIQUE"));
      for (const call of pipelined) await assert.rejects(call, reason("TRANSACTION_EXPIRED"));
      await assert.rejects(tx.sql("INSERT INTO t VALUES (9)"), reason("TRANSACTION_EXPIRED"));
      await assert.rejects(tx.commit(), reason("TRANSACTION_EXPIRED"));
      await tx.rollback();
      assert.deepEqual(await values(test), []);
    }
    await test.sql("INSERT INTO t VALUES ('others go on')");
  });

  it("fail to commit while a deferred foreign key is violated, and are rolled back", async () => {
    const test = await withTable(start());
    await ensureTable(test, "p", "id INTEGER PRIMARY KEY");
    await ensureTable(test, "c", "p REFERENCES p DEFERRABLE INITIALLY DEFERRED");
    const tx = await begin(test);
    await tx.sql("INSERT INTO c VALUES (404)");
    await tx.sql("INSERT INTO t VALUES (1)");
    await assert.rejects(tx.commit(), reason("CONSTRAINT_FOREIGN_KEY"));
    assert.deepEqual(await values(test), []);
    const good = await begin(test);
    await good.sql("INSERT INTO c VALUES (1)");
    await good.sql("INSERT INTO p VALUES (1)");
    await good.commit();
    assert.deepEqual(await test.values("SELECT count(*) FROM c"), [1n]);
  });

  it("stream their own uncommitted rows", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    await tx.sql("INSERT INTO t VALUES (1), (2)");
    const seen: unknown[] = [];
    for await (const { rows } of tx.query("SELECT x FROM t"))
      seen.push(...rows.map((row) => row.values[0]?.kind.value));
    assert.deepEqual(seen, [1n, 2n]);
    await tx.rollback();
  });

  it("run several streams one after another, however they were begun and consumed", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    const sql = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x < 60000) SELECT x FROM n";
    const count = async (): Promise<number> => {
      let rows = 0;
      for await (const message of tx.query(sql)) rows += message.rows.length;
      return rows;
    };
    assert.deepEqual(await Promise.all([count(), count(), count()]), [60_000, 60_000, 60_000]);
    const broken = tx.query(sql);
    await broken.next();
    const next = count();
    await broken.return(undefined);
    assert.equal(await next, 60_000);
    await tx.commit();
  });

  it("refuse a call while a stream of theirs is not read on, and are committed all the same", async () => {
    const test = await withTable(start());
    const tx = await begin(test, 60_000);
    await tx.sql("INSERT INTO t VALUES (1)");
    const stream = tx.query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT x FROM n");
    await stream.next();
    const startMs = performance.now();
    await assert.rejects(tx.sql("INSERT INTO t VALUES (2)"), reason("TRANSACTION_BUSY"));
    assert.ok(performance.now() - startMs < 20_000, "it waited for the time to live");
    await stream.next();
    await tx.commit();
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, reason("TRANSACTION_BUSY"));
    assert.deepEqual(await values(test), [1n]);
  });

  it("expire with their time to live, are rolled back, and say so", async () => {
    const test = await withTable(start());
    const tx = await begin(test, 150);
    await tx.sql("INSERT INTO t VALUES (1)");
    const waiting = test.sql("INSERT INTO t VALUES (2)");
    await waiting;
    await assert.rejects(tx.sql("SELECT 1"), reason("TRANSACTION_EXPIRED"));
    await assert.rejects(tx.commit(), reason("TRANSACTION_EXPIRED"));
    await tx.rollback();
    assert.deepEqual(await values(test), [2n]);
  });

  it("expire in the middle of an endless statement, which is stopped", async () => {
    const test = await withTable(start({ maxStatementMs: 60_000 }));
    const tx = await begin(test, 300);
    await tx.sql("INSERT INTO t VALUES (1)");
    const startMs = performance.now();
    await assert.rejects(tx.sql(ENDLESS), reason("TRANSACTION_EXPIRED"));
    await test.sql("INSERT INTO t VALUES (2)");
    assert.ok(performance.now() - startMs < 3_000, "the writer is free again");
    assert.deepEqual(await values(test), [2n]);
  });

  it("expire in the middle of a stream that nobody takes", async () => {
    const test = await withTable(start());
    const tx = await begin(test, 300);
    const stream = tx.query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n) SELECT x FROM n");
    await stream.next();
    await test.sql("INSERT INTO t VALUES (2)");
    await assert.rejects(async () => {
      for await (const _ of stream);
    }, reason("TRANSACTION_EXPIRED"));
  });

  it("end with a statement that was stopped at its deadline", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    await tx.sql("INSERT INTO t VALUES (1)");
    const endless = test.call("execute", { sql: ENDLESS, transactionId: tx.id }, within(200));
    await assert.rejects(endless, reason("DEADLINE_EXCEEDED"));
    await assert.rejects(tx.sql("SELECT 1"), reason("TRANSACTION_EXPIRED"));
    await test.sql("INSERT INTO t VALUES (2)");
    assert.deepEqual(await values(test), [2n]);
  });

  it("are committed whole or not at all when the commit races with the expiry", async () => {
    const test = await withTable(start());
    const outcomes = { committed: 0, expired: 0 };
    for (let round = 0; round < 24; round++) {
      const ttlMs = 60;
      const tx = await begin(test, ttlMs);
      const beganMs = performance.now();
      for (const value of [2 * round, 2 * round + 1]) {
        await tx.sql("INSERT INTO t VALUES (?)", BigInt(value)).catch(reason("TRANSACTION_EXPIRED"));
      }
      // Every fourth at once, the others some milliseconds around the end.
      if (round % 4 > 0) await pause(beganMs + ttlMs - 6 + (round % 12) - performance.now());
      const isCommitted = await tx.commit().then(
        () => true,
        (error: unknown) => !reason("TRANSACTION_EXPIRED")(error),
      );
      outcomes[isCommitted ? "committed" : "expired"]++;
      const rows = await test.values(`SELECT count(*) FROM t WHERE x / 2 = ${round}`);
      assert.deepEqual(rows, [isCommitted ? 2n : 0n], `round ${round}`);
    }
    assert.ok(outcomes.committed > 0 && outcomes.expired > 0, JSON.stringify(outcomes));
  });

  it("are refused when too many are open or wait, and a cancelled one frees its place", async () => {
    const test = await withTable(start({ maxTransactions: 2 }));
    const open = await begin(test);
    const abort = new AbortController();
    const waiting = test.call("beginTransaction", {}, { signal: abort.signal });
    await assert.rejects(begin(test), (error: { reason?: string; retryAfterMs?: number }) => {
      return error.reason === "OVERLOADED" && (error.retryAfterMs ?? 0) > 0;
    });
    abort.abort();
    await assert.rejects(waiting, reason("CANCELLED"));
    const next = begin(test);
    await open.commit();
    await (await next).commit();
    await test.sql("INSERT INTO t VALUES (1)");
  });

  it("free the writer when the client of a begin goes away at any moment", async () => {
    const test = await withTable(start());
    for (let delayMs = 0; delayMs < 6; delayMs++) {
      const abort = new AbortController();
      const begun = test.call("beginTransaction", {}, { signal: abort.signal });
      if (delayMs > 0) await pause(delayMs - 1);
      abort.abort();
      const { transactionId } = await begun.catch(() => ({ transactionId: "" }));
      if (transactionId !== "") await test.call("rollbackTransaction", { transactionId });
      await test.sql("INSERT INTO t VALUES (?)", BigInt(delayMs));
    }
    assert.equal((await values(test)).length, 6);
  });

  it("do not begin after the deadline of the call", async () => {
    const test = await withTable(start());
    const slow = test.sql(
      "INSERT INTO t WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM n WHERE x < 300000) SELECT max(x) FROM n",
    );
    await assert.rejects(test.call("beginTransaction", {}, within(5)), reason("DEADLINE_EXCEEDED"));
    await slow;
    await test.sql("INSERT INTO t VALUES (1)");
  });

  it("refuse a time to live out of range", async () => {
    const test = await start();
    for (const ttlMs of [0, -1, 60_001]) await assert.rejects(begin(test, ttlMs), reason("INVALID_REQUEST"));
  });

  it("are lost with the writer process, whole, and no other write gets into the next one", async () => {
    const test = await withTable(start());
    for (let round = 0; round < 2; round++) {
      await test.sql("DELETE FROM t");
      const tx = await begin(test);
      await tx.sql("INSERT INTO t VALUES ('lost')");
      const waiting = Array.from({ length: 5 }, (_, i) => test.sql("INSERT INTO t VALUES (?)", BigInt(i)));
      const next = begin(test);
      const behind = Array.from({ length: 5 }, (_, i) => test.sql("INSERT INTO t VALUES (?)", BigInt(10 + i)));
      const running = tx.sql(ENDLESS);
      await pause(30);
      for (const pid of workerPids(test.databasePath, "writer")) process.kill(pid, "SIGKILL");
      await assert.rejects(running, reason("TRANSACTION_EXPIRED"));
      await assert.rejects(tx.commit(), reason("TRANSACTION_EXPIRED"));
      const second = await next;
      await second.sql("INSERT INTO t VALUES ('rolled back')");
      await pause(30);
      await second.rollback();
      await Promise.all([...waiting, ...behind]);
      assert.deepEqual(await values(test), [0n, 1n, 2n, 3n, 4n, 10n, 11n, 12n, 13n, 14n]);
    }
  });

  it("keep out writes that are sent again after the writer process died", async () => {
    const test = await withTable(start());
    // In flight when the process dies: both are sent again, and the transaction gets the new process first.
    const slow = Array.from({ length: 5 }, (_, i) => test.sql("INSERT INTO t VALUES (?)", BigInt(i)));
    const begun = begin(test);
    for (const pid of workerPids(test.databasePath, "writer")) process.kill(pid, "SIGKILL");
    const tx = await begun;
    await pause(100);
    await tx.rollback();
    const outcomes = await Promise.allSettled(slow);
    const acknowledged = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [BigInt(i)] : []));
    const stored = await values(test);
    for (const value of acknowledged) assert.ok(stored.includes(value), `${value} was acknowledged`);
  });

  it("are gone when the driver is closed with them open", async () => {
    const test = await TestEngine.start();
    await test.sql("CREATE TABLE t(x)");
    const tx = await begin(test);
    await tx.sql("INSERT INTO t VALUES (1)");
    await test.engine.close();
    const again = await TestEngine.open(test.databasePath);
    assert.deepEqual(await values(again), []);
    await again.stop();
  });
});

describe("request_id", () => {
  const start = useEngines();

  it("gives the first answer again and runs nothing, also after a restart and after a kill", async () => {
    const first = await withTable(TestEngine.start());
    const write = (test: TestEngine) =>
      test.call("execute", { sql: "INSERT INTO t VALUES (1)", requestId: "insert one" });
    const answer = await write(first);
    assert.deepEqual(await write(first), answer);
    for (const pid of workerPids(first.databasePath, "writer")) process.kill(pid, "SIGKILL");
    assert.deepEqual(await write(first), answer);
    await first.engine.close();

    const second = await TestEngine.open(first.databasePath);
    assert.deepEqual(await write(second), answer);
    second.engine.kill();
    await until("no worker is left", () => workerPids(first.databasePath).length === 0);

    const third = await TestEngine.open(first.databasePath);
    assert.deepEqual(await write(third), answer);
    assert.deepEqual(await third.values("SELECT count(*) FROM t"), [1n]);
    await third.stop();
  });

  it("runs once when it is sent many times at once", async () => {
    const test = await withTable(start());
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => test.call("execute", { sql: "INSERT INTO t VALUES (7)", requestId: "many" })),
    );
    for (const answer of answers) assert.deepEqual(answer, answers[0]);
    assert.deepEqual(await values(test), [7n]);
  });

  it("is refused for another request", async () => {
    const test = await withTable(start());
    await test.call("execute", { sql: "INSERT INTO t VALUES (1)", requestId: "reused" });
    const others = [
      test.call("execute", { sql: "INSERT INTO t VALUES (2)", requestId: "reused" }),
      test.call("executeBatch", { statements: [{ sql: "INSERT INTO t VALUES (1)" }], requestId: "reused" }),
    ];
    for (const other of others) await assert.rejects(other, reason("REQUEST_ID_REUSED"));
    assert.deepEqual(await values(test), [1n]);
  });

  it("knows a request again whose map comes in another order", async () => {
    const test = await withTable(start());
    const [a, b] = [sqlValue(1n), sqlValue(2n)];
    const request = { sql: "INSERT INTO t VALUES (:a + :b)", requestId: "shuffled" };
    const first = await test.call("execute", { ...request, namedParameters: { a, b } });
    assert.deepEqual(await test.call("execute", { ...request, namedParameters: { b, a } }), first);
    await assert.rejects(
      test.call("execute", { ...request, namedParameters: { a: b, b: a } }),
      reason("REQUEST_ID_REUSED"),
    );
    const batch = (namedParameters: Record<string, typeof a>) =>
      test.call("executeBatch", {
        requestId: "batch",
        statements: [{ sql: "INSERT INTO t VALUES (:a - :b)", namedParameters }],
      });
    assert.deepEqual(await batch({ a, b }), await batch({ b, a }));
    assert.deepEqual(await values(test), [3n, -1n]);
  });

  it("is refused inside a transaction and when it is too long", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    const inside = test.call("execute", { sql: "INSERT INTO t VALUES (1)", transactionId: tx.id, requestId: "inside" });
    await assert.rejects(inside, reason("INVALID_REQUEST"));
    await tx.commit();
    const requestId = "é".repeat(65);
    await assert.rejects(
      test.call("execute", { sql: "INSERT INTO t VALUES (1)", requestId }),
      reason("INVALID_REQUEST"),
    );
    assert.deepEqual(await values(test), []);
  });

  it("makes a commit repeatable, for the same transaction only", async () => {
    const test = await withTable(start());
    const tx = await begin(test);
    await tx.sql("INSERT INTO t VALUES (1)");
    const answer = await tx.commit("commit one");
    assert.deepEqual(await tx.commit("commit one"), answer);
    for (const pid of workerPids(test.databasePath, "writer")) process.kill(pid, "SIGKILL");
    assert.deepEqual(await tx.commit("commit one"), answer);
    await assert.rejects(tx.commit(), reason("TRANSACTION_NOT_FOUND"));

    const other = await begin(test);
    await other.sql("INSERT INTO t VALUES (2)");
    await assert.rejects(other.commit("commit one"), reason("REQUEST_ID_REUSED"));
    await assert.rejects(new Transaction(test, "no such id").commit("commit one"), reason("REQUEST_ID_REUSED"));
    assert.deepEqual(await values(test), [1n]);
  });

  it("always tells whether a commit happened that the writer process did not survive", async () => {
    const test = await withTable(start());
    for (let round = 0; round < 4; round++) {
      const tx = await begin(test);
      await tx.sql("INSERT INTO t VALUES (?)", BigInt(round));
      const commit = tx.commit(`commit ${round}`);
      if (round % 2 === 1) await pause(round / 2);
      for (const pid of workerPids(test.databasePath, "writer")) process.kill(pid, "SIGKILL");
      const isCommitted = await commit.then(
        () => true,
        (error: unknown) => !reason("TRANSACTION_EXPIRED")(error),
      );
      assert.deepEqual(await test.values(`SELECT count(*) FROM t WHERE x = ${round}`), [isCommitted ? 1n : 0n]);
    }
  });
});
