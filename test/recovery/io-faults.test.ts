import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import { DriverError } from "../../src/errors.js";
import { wantedModel } from "../../src/schema/built-in-schema.js";
import { fix } from "../../src/schema/doctor.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { ensureTable, reason, sqlValue, TestEngine, useEngines, within } from "../support/engine.js";
import { until, workerPids } from "../support/processes.js";
import { SystemFault, whyNoSystemFaults } from "../support/system-faults.js";
import { useTempFolder } from "../support/temp-folder.js";

const SYNC = "fsync,fdatasync";

describe("a disk that fails", () => {
  const start = useEngines();
  const folder = useTempFolder();
  let fault: SystemFault | undefined;

  before(function () {
    const why = whyNoSystemFaults();
    if (why === null) return;
    process.stderr.write(`skipped: ${why}\n`);
    this.skip();
  });
  afterEach(async () => {
    await fault?.remove();
    fault = undefined;
  });

  async function open(): Promise<TestEngine> {
    const test = await start({});
    await ensureTable(test, "t", "x");
    return test;
  }

  async function strike(test: TestEngine, what: string): Promise<SystemFault> {
    const [pid = 0] = workerPids(test.databasePath, "writer");
    fault = await SystemFault.inject(pid, what);
    return fault;
  }

  function insert(test: TestEngine, value: bigint, requestId = "") {
    return test.call("execute", { sql: "INSERT INTO t VALUES (?)", parameters: [sqlValue(value)], requestId });
  }

  /** What the database answers after a kill of every process: its index is gone, and the WAL is read from its beginning. */
  function afterCrash({ databasePath }: TestEngine, sql: string): unknown[] {
    const copy = folder("copy.db");
    for (const suffix of ["", "-wal"]) copyFileSync(databasePath + suffix, copy + suffix);
    const connection = openConnection(copy, { role: "writer" });
    try {
      return connection.prepare(sql).pluck().safeIntegers().all();
    } finally {
      connection.close();
    }
  }

  it("does not get a commit killed that lasts beyond the deadline", async () => {
    const test = await open();
    const delay = await strike(test, `${SYNC}:delay_enter=1200000:when=1`);
    const { commitSeq } = await test.call("execute", { sql: "INSERT INTO t VALUES (1)" }, within(500));
    assert.equal(delay.count, 1);
    assert.ok(commitSeq > 0n);
    assert.deepEqual(await test.values("SELECT x FROM t"), [1n]);
  });

  it("does not bring a commit back that failed and was then not there", async () => {
    const test = await open();
    // A reader keeps the index of the WAL, in which the commit does not stand.
    assert.deepEqual(await test.values("SELECT x FROM t"), []);
    const served: boolean[] = [];
    test.engine.health.on("change", ({ isServing }) => served.push(isServing));
    await strike(test, `${SYNC}:error=EIO:when=1`);
    await assert.rejects(insert(test, 1n), reason("COMMIT_OUTCOME_UNKNOWN"));
    await until("the database is open again", () => served.at(-1) === true);
    const seen = await test.values("SELECT x FROM t");
    assert.deepEqual(afterCrash(test, "SELECT x FROM t"), seen);
  });

  it("does not bring a commit back in which the writer was killed and that was then not there", async () => {
    const test = await open();
    assert.deepEqual(await test.values("SELECT x FROM t"), []);
    const { transactionId } = await test.call("beginTransaction", {});
    await test.call("execute", { sql: "INSERT INTO t VALUES (1)", transactionId });
    // All of the commit is in the WAL then.
    await strike(test, `${SYNC}:signal=SIGKILL:when=1`);
    await assert.rejects(test.call("commitTransaction", { transactionId }), reason("TRANSACTION_EXPIRED"));
    const seen = await test.values("SELECT x FROM t");
    assert.deepEqual(seen, []);
    assert.deepEqual(afterCrash(test, "SELECT x FROM t"), seen);
  });

  it("writes nothing when the writer was killed between two commits, as it may have to on a full disk", async () => {
    const test = await open();
    assert.deepEqual(await test.values("SELECT x FROM t"), []);
    const served: boolean[] = [];
    test.engine.health.on("change", ({ isServing }) => served.push(isServing));
    const before = readFileSync(`${test.databasePath}-wal`);
    for (const pid of workerPids(test.databasePath, "writer")) process.kill(pid, "SIGKILL");
    await until("the writer is there again", () => served.at(-1) === true);
    assert.ok(readFileSync(`${test.databasePath}-wal`).equals(before), "the WAL is another");
  });

  it("leaves nobody with a wrong answer when the sync of a commit fails, and is opened again", async () => {
    const test = await open();
    const served: boolean[] = [];
    test.engine.health.on("change", ({ isServing }) => served.push(isServing));
    const eio = await strike(test, `${SYNC}:error=EIO:when=1`);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 10 }, (_, i) => insert(test, BigInt(i), i % 2 === 0 ? `sync ${i}` : "")),
    );
    assert.equal(eio.count, 1);
    await until("the database is open again", () => served.at(-1) === true);
    await fault?.remove();

    const acknowledged = outcomes.flatMap(({ status }, i) => (status === "fulfilled" ? [BigInt(i)] : []));
    const unknown = outcomes.filter(({ status }) => status === "rejected");
    assert.ok(unknown.length > 0);
    for (const outcome of unknown) {
      if (outcome.status === "rejected") reason("COMMIT_OUTCOME_UNKNOWN")(outcome.reason);
    }
    const stored = await test.values("SELECT x FROM t");
    for (const value of acknowledged) assert.equal(stored.filter((it) => it === value).length, 1, `${value}`);
    assert.ok(served.includes(false));

    // Asked again with the same id, each is there once.
    for (let i = 0; i < 10; i += 2) await insert(test, BigInt(i), `sync ${i}`);
    for (let i = 0; i < 10; i += 2) {
      assert.deepEqual(await test.values(`SELECT count(*) FROM t WHERE x = ${i}`), [1n]);
    }
    assert.ok(!test.log.some(({ level }) => level === "fatal"));
  });

  // What has the connection to itself commits by the same rule as the batches.
  const schemaSql = "CREATE TABLE wanted (x)";
  const ALONE: Record<string, (test: TestEngine) => Promise<unknown>> = {
    SyncSchema: (test) => test.call("syncSchema", { schemaSql }),
    "the end of an IndexProject": async (test) => {
      for await (const { summary } of test.stream("indexProject", { projectId: "p" }))
        if (summary !== undefined) return;
      assert.fail("it ended without a summary");
    },
  };
  for (const [name, run] of Object.entries(ALONE)) {
    it(`says of ${name} that nobody knows when the sync of its commit fails, and goes on`, async () => {
      const test = await open();
      await test.call("registerProject", { id: "p", rootPath: folder() });
      const eio = await strike(test, `${SYNC}:error=EIO:when=1`);
      await assert.rejects(run(test), reason("COMMIT_OUTCOME_UNKNOWN"));
      assert.equal(eio.count, 1);
      await eio.remove();
      await until("the database is open again", () => test.engine.health.status.isServing);
      await run(test);
      await insert(test, 1n);
      assert.deepEqual(await test.values("SELECT x FROM t"), [1n]);
    });
  }

  it("is opened again as it was at first: what then waits for the lock of another process waits no longer than before", async () => {
    const maxLockWaitMs = 300;
    const test = await start({ maxLockWaitMs });
    await ensureTable(test, "t", "x");
    const served: boolean[] = [];
    test.engine.health.on("change", ({ isServing }) => served.push(isServing));
    const waits = () => test.log.filter(({ message }) => message.includes("writes wait for it")).length;
    const other = openConnection(test.databasePath, { role: "migration" });
    try {
      other.exec("BEGIN IMMEDIATE");
      const eio = await strike(test, `${SYNC}:error=EIO:when=1`);
      const unknown = assert.rejects(insert(test, 1n), reason("COMMIT_OUTCOME_UNKNOWN"));
      await until("the write waits for the lock", () => waits() === 1);
      other.exec("ROLLBACK");
      await unknown;
      await until("the database is open again", () => served.at(-1) === true);
      assert.equal(eio.count, 1);
      await eio.remove();

      other.exec("BEGIN IMMEDIATE");
      const startMs = performance.now();
      await assert.rejects(insert(test, 2n), reason("DATABASE_BUSY"));
      // Of a new connection, unless told otherwise.
      assert.ok(performance.now() - startMs < 5_000, "it has waited in SQLite");
      assert.equal(waits(), 2, "the log says again that writes wait");
    } finally {
      other.close();
    }
  });

  it("ends the driver when a second sync fails soon after", async () => {
    const test = await open();
    const isFatal = () => test.log.some(({ level }) => level === "fatal");
    await strike(test, `${SYNC}:error=EIO`);
    for (let i = 0; i < 5 && !isFatal(); i++) await insert(test, BigInt(i)).catch(() => undefined);
    await until("it is fatal", isFatal);
    assert.equal(test.engine.health.status.isServing, false);
  });

  it("that is full fails the writes, keeps what is there and goes on when there is room again", async () => {
    const test = await open();
    await insert(test, 1n);
    const full = await strike(test, "pwrite64:error=ENOSPC");
    const outcomes = await Promise.allSettled([insert(test, 2n), insert(test, 3n), insert(test, 4n)]);
    for (const outcome of outcomes) {
      assert.equal(outcome.status, "rejected");
      if (outcome.status === "rejected") reason("DISK_FULL")(outcome.reason);
    }
    assert.ok(full.count > 0);
    await full.remove();
    await insert(test, 5n);
    assert.deepEqual(await test.values("SELECT x FROM t"), [1n, 5n]);
  });

  it("that is full when the WAL is copied into the database loses no answer", async () => {
    const test = await open();
    const text = "x".repeat(40_000);
    for (let i = 0; i < 60; i++) await test.sql("INSERT INTO t VALUES (?)", text);
    const [pid] = workerPids(test.databasePath, "writer");
    // Every tenth write fails: whichever it hits, a commit or a copy, its answer must be the truth.
    const full = await strike(test, "pwrite64:error=ENOSPC:when=5+10");
    let acknowledged = 60n;
    for (let i = 0; i < 60; i++) {
      const isStored = await test.sql("INSERT INTO t VALUES (?)", text).then(
        () => true,
        (error: unknown) => !reason("DISK_FULL")(error),
      );
      if (isStored) acknowledged++;
    }
    assert.ok(full.count > 0);
    await full.remove();
    assert.deepEqual(await test.values("SELECT count(*) FROM t"), [acknowledged]);
    assert.deepEqual(await test.values("PRAGMA integrity_check"), ["ok"]);
    assert.deepEqual(workerPids(test.databasePath, "writer"), [pid], "the writer has survived");
  });
});

describe("a damaged database", () => {
  it("is answered with DATABASE_CORRUPT, by Execute and Query, and ends serving", async () => {
    const first = await TestEngine.start();
    const [pagesBefore] = await first.values("PRAGMA page_count");
    await first.sql("CREATE TABLE t(x)");
    await first.sql("INSERT INTO t VALUES (?)", "x".repeat(100));
    for (let i = 0; i < 12; i++) await first.sql("INSERT INTO t SELECT x FROM t");
    await first.engine.close();
    // Every page that was added after the table's first one.
    const bytes = readFileSync(first.databasePath);
    const pageBytes = bytes.readUInt16BE(16);
    for (let page = Number(pagesBefore) + 1; page < bytes.length / pageBytes; page++)
      bytes.fill(0xff, page * pageBytes, page * pageBytes + 8);
    writeFileSync(first.databasePath, bytes);

    const test = await TestEngine.open(first.databasePath);
    assert.equal(test.engine.health.status.isServing, true);
    await assert.rejects(test.sql("SELECT sum(length(x)) FROM t"), reason("DATABASE_CORRUPT"));
    assert.equal(test.engine.health.status.isServing, false);
    await assert.rejects(async () => {
      for await (const _ of test.stream("query", { sql: "SELECT x FROM t" }));
    }, reason("DATABASE_CORRUPT"));
    await test.stop();
  });
});

describe("a full-text index that does not fit its rows", () => {
  it("fails the reads that meet it and says what heals it, and the driver goes on serving", async () => {
    const test = await TestEngine.start();
    await test.sql("CREATE TABLE text(id INTEGER PRIMARY KEY, x)");
    await test.sql("CREATE VIRTUAL TABLE text_index USING fts5(x, content = text, content_rowid = id)");
    await test.sql("INSERT INTO text VALUES (1, 'gamma')");
    await test.sql("INSERT INTO text_index(rowid, x) VALUES (1, 'gamma')");
    await test.sql("DELETE FROM text");
    const sql = "SELECT x FROM text_index WHERE text_index MATCH 'gamma'";
    const isExplained = (error: unknown) => {
      const { hint = "", reason, sqliteCode } = DriverError.from(error);
      assert.deepEqual({ reason, sqliteCode }, { reason: "SQL_ERROR", sqliteCode: "SQLITE_CORRUPT_VTAB" });
      assert.match(hint, /config_cli doctor --fix/);
      return true;
    };
    await assert.rejects(test.sql(sql), isExplained);
    await assert.rejects(test.stream("query", { sql }).next(), isExplained);
    await assert.rejects(test.call("executeBatch", { statements: [{ sql }] }), isExplained);
    assert.deepEqual(test.engine.health.status, { isServing: true, detail: "serving" });

    const connection = openConnection(test.databasePath, { role: "writer" });
    fix(connection, wantedModel());
    connection.close();
    assert.deepEqual(await test.values(sql), []);
    await test.stop();
  });
});
