import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { DriverError, type Reason } from "../../src/errors.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { type TestEngine, useEngines } from "../support/engine.js";
import { snapshot } from "../support/snapshot.js";

/** What no client may do, whatever its role, and how it is refused. `SQL_ERROR`: this build of SQLite does not have it. */
const ATTACKS: Readonly<Record<string, readonly (readonly [sql: string, ...reasons: Reason[]])[]>> = {
  "other files": [
    ["ATTACH 'evil.db' AS evil", "STATEMENT_NOT_ALLOWED"],
    ["/**/ATTACH ':memory:' AS m", "STATEMENT_NOT_ALLOWED"],
    ["VACUUM INTO 'evil.db'", "STATEMENT_NOT_ALLOWED"],
    ["VACUUM main INTO 'evil.db'", "STATEMENT_NOT_ALLOWED"],
    ["SELECT load_extension('evil.so')", "STATEMENT_NOT_ALLOWED"],
    ["SELECT Load_Extension('evil.so', 'init') FROM t", "STATEMENT_NOT_ALLOWED"],
    ["CREATE TABLE evil AS SELECT load_extension('evil.so')", "STATEMENT_NOT_ALLOWED"],
    ["INSERT INTO t (v) SELECT load_extension('evil.so') FROM t", "STATEMENT_NOT_ALLOWED"],
    ["SELECT readfile('/etc/passwd')", "SQL_ERROR"],
    ["SELECT writefile('evil.db', 'x')", "SQL_ERROR"],
    ["SELECT edit('x')", "SQL_ERROR"],
    ["SELECT * FROM fsdir('.')", "TABLE_NOT_FOUND", "SQL_ERROR"],
    ["CREATE VIRTUAL TABLE evil USING csv(filename='/etc/passwd')", "SQL_ERROR"],
    ["CREATE VIRTUAL TABLE evil USING zipfile('evil.zip')", "SQL_ERROR"],
  ],
  "raw pages and the schema table": [
    ["SELECT data FROM sqlite_dbpage", "TABLE_NOT_FOUND", "SQL_ERROR"],
    ["UPDATE sqlite_dbpage SET data = zeroblob(4096)", "TABLE_NOT_FOUND", "SQL_ERROR"],
    ["PRAGMA writable_schema = 1", "STATEMENT_NOT_ALLOWED"],
    ["UPDATE sqlite_schema SET sql = ''", "SQL_ERROR"],
    ["DELETE FROM sqlite_master", "SQL_ERROR"],
    ["INSERT INTO sqlite_master (name) VALUES ('x')", "SQL_ERROR"],
    ["UPDATE words_data SET block = x'00'", "SQL_ERROR"],
    ["DROP TABLE words_content", "SQL_ERROR"],
  ],
  "PRAGMAs in disguise": [
    ["PRAGMA main.journal_mode(delete)", "STATEMENT_NOT_ALLOWED"],
    ["EXPLAIN PRAGMA query_only = 0", "STATEMENT_NOT_ALLOWED"],
    ["EXPLAIN /**/ QUERY /**/ PLAN PRAGMA writable_schema = 1", "STATEMENT_NOT_ALLOWED"],
    ["SELECT * FROM pragma_optimize(0x10002)", "STATEMENT_NOT_ALLOWED"],
    ['SELECT 1 FROM "PRAGMA_Optimize" WHERE arg = 65538', "STATEMENT_NOT_ALLOWED"],
    ["WITH x AS (SELECT * FROM 'pragma_optimize'(65538)) SELECT * FROM x", "STATEMENT_NOT_ALLOWED"],
    ["INSERT INTO t (v) SELECT * FROM [pragma_optimize](65538)", "STATEMENT_NOT_ALLOWED"],
    ["SELECT * FROM pragma_journal_mode('delete')", "SQL_ERROR", "INVALID_REQUEST"],
    ["SELECT * FROM pragma_query_only(0)", "SQL_ERROR"],
    ["SELECT * FROM pragma_wal_checkpoint('TRUNCATE')", "TABLE_NOT_FOUND", "SQL_ERROR"],
    ["SELECT * FROM pragma_incremental_vacuum(1)", "TABLE_NOT_FOUND", "SQL_ERROR"],
    ["CREATE VIEW pragma_table_info AS SELECT 1", "STATEMENT_NOT_ALLOWED"],
    ["CREATE VIEW evil AS SELECT * FROM pragma_optimize", "STATEMENT_NOT_ALLOWED"],
  ],
  "TEMP objects, which would shadow those of other clients": [
    ["CREATE TEMP TABLE t (x)", "STATEMENT_NOT_ALLOWED"],
    ['CREATE TABLE "temp"."t" (x)', "STATEMENT_NOT_ALLOWED"],
    ["CREATE TEMP TABLE t AS SELECT 1 AS v", "STATEMENT_NOT_ALLOWED"],
    ["CREATE TEMPORARY VIEW t AS SELECT 1", "STATEMENT_NOT_ALLOWED"],
    ["CREATE VIEW temp.t AS SELECT 1", "STATEMENT_NOT_ALLOWED"],
    ["CREATE VIRTUAL TABLE temp.t USING fts5(x)", "STATEMENT_NOT_ALLOWED"],
    ["CREATE TEMP TRIGGER r AFTER INSERT ON main.t BEGIN DELETE FROM t; END", "STATEMENT_NOT_ALLOWED"],
    ["CREATE TRIGGER temp.r AFTER INSERT ON main.t BEGIN DELETE FROM t; END", "STATEMENT_NOT_ALLOWED"],
    ["DELETE FROM sqlite_temp_schema", "STATEMENT_NOT_ALLOWED", "SQL_ERROR"],
  ],
  "the driver's transaction": [
    ["COMMIT", "STATEMENT_NOT_ALLOWED"],
    ["; ; -- x\n END TRANSACTION", "STATEMENT_NOT_ALLOWED"],
    ["ROLLBACK TO request", "STATEMENT_NOT_ALLOWED"],
    ["RELEASE request", "STATEMENT_NOT_ALLOWED"],
    ["EXPLAIN COMMIT", "STATEMENT_NOT_ALLOWED"],
  ],
  "the driver's own tables": [
    ["DELETE FROM driver_requests", "STATEMENT_NOT_ALLOWED"],
    ["UPDATE main.[DRIVER_STATE] SET value = 0", "STATEMENT_NOT_ALLOWED"],
    ["CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM driver_state; END", "STATEMENT_NOT_ALLOWED"],
    ["CREATE VIEW evil AS SELECT * FROM `driver_requests`", "STATEMENT_NOT_ALLOWED"],
    ["ALTER TABLE t RENAME TO driver_unresolved", "STATEMENT_NOT_ALLOWED", "SQL_ERROR"],
    ["INSERT INTO t (v) SELECT response FROM driver_requests", "STATEMENT_NOT_ALLOWED"],
    ["CREATE VIRTUAL TABLE evil USING fts5(value, content='driver_state')", "STATEMENT_NOT_ALLOWED"],
  ],
  "a second statement": [
    ["SELECT 1; DELETE FROM t", "INVALID_REQUEST"],
    ["SELECT 1;;;/* */ATTACH 'evil.db' AS evil", "INVALID_REQUEST"],
    ["SELECT 1\0; DELETE FROM t", "INVALID_REQUEST"],
    ["DELETE FROM t --\0 WHERE 0", "INVALID_REQUEST"],
    ["\0DELETE FROM t", "INVALID_REQUEST"],
    ["EXPLAIN SELECT 1; DELETE FROM t", "INVALID_REQUEST"],
  ],
};

/** What a client that may write can do, and one that may only read cannot. */
const WRITES = [
  "INSERT INTO t (v) VALUES (1)",
  "INSERT INTO t (v) VALUES (1) RETURNING v",
  "REPLACE INTO t (id, v) VALUES (1, 'other')",
  "WITH x(n) AS (SELECT 1) INSERT INTO t (v) SELECT n FROM x",
  "WITH x(n) AS (SELECT 1) UPDATE t SET v = n FROM x RETURNING *",
  "/* SELECT */ UPDATE t SET v = 'other'",
  "DELETE FROM t RETURNING v",
  "DELETE FROM t WHERE id IN (SELECT id FROM t) LIMIT 1",
  "CREATE TABLE u AS SELECT * FROM t",
  "CREATE INDEX i ON t (v)",
  "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; END",
  "CREATE VIRTUAL TABLE u USING fts5(x)",
  "ALTER TABLE t RENAME TO u",
  "DROP TABLE t",
  "ANALYZE",
  "INSERT INTO words (words) VALUES ('optimize')",
];

/** Statements on which a parser could run out of stack, memory or time. */
const MONSTERS: Readonly<Record<string, string>> = {
  parentheses: `SELECT ${"(".repeat(200_000)}1${")".repeat(200_000)}`,
  subqueries: `SELECT ${"(SELECT ".repeat(50_000)}1${")".repeat(50_000)}`,
  operators: `SELECT 1${" + 1".repeat(500_000)}`,
  NOT: `SELECT ${"NOT ".repeat(500_000)}1`,
  CASE: `SELECT ${"CASE WHEN 1 THEN ".repeat(20_000)}1${" END".repeat(20_000)}`,
  "compound SELECTs": `SELECT 1${" UNION ALL SELECT 1".repeat(100_000)}`,
  columns: `SELECT ${"1,".repeat(100_000)}1`,
  joins: `SELECT 1 FROM t${", t".repeat(1_000)}`,
  comments: "/**/".repeat(2_000_000),
  "stars in an open comment": `SELECT (1 /*${"*".repeat(4_000_000)}`,
  "characters in an open string": `SELECT '${"x".repeat(4_000_000)}`,
};

/** Longer than all statements of a test take, on a busy machine too: an expired transaction would be the reason they are refused. */
const LONG_LEASE = { ttl: durationFromMs(60_000) };

describe("the statement gate of a running engine", () => {
  const engines = useEngines();
  let test: TestEngine;
  before(async () => {
    test = await engines();
    await test.sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v)");
    await test.sql("INSERT INTO t (v) VALUES ('kept')");
    await test.sql("CREATE VIRTUAL TABLE words USING fts5(x)");
    await test.sql("INSERT INTO words VALUES ('kept')");
  });

  /** Everything that a statement could have changed. `driver_state` counts commits, among them those of a transaction's end. */
  function state() {
    const connection = openConnection(test.databasePath, { role: "reader" });
    try {
      const { tables, ...rest } = snapshot(connection);
      const { driver_state: _, ...others } = tables;
      return {
        ...rest,
        tables: others,
        files: readdirSync(dirname(test.databasePath)).sort(),
        cwd: readdirSync(".").sort(),
      };
    } finally {
      connection.close();
    }
  }

  async function reasonOf(call: Promise<unknown>): Promise<Reason | "none"> {
    try {
      await call;
      return "none";
    } catch (error) {
      if (error instanceof DriverError) return error.reason;
      throw error;
    }
  }

  async function drain(messages: AsyncIterable<unknown>): Promise<void> {
    for await (const _ of messages);
  }

  /** Every way a statement can take to SQLite. */
  async function throughEveryDoor(sql: string, transactionId: string): Promise<Record<string, Reason | "none">> {
    const role = "read-only";
    return {
      "Execute, read-only": await reasonOf(test.call("execute", { sql }, { role })),
      "Query, read-only": await reasonOf(drain(test.stream("query", { sql }, { role }))),
      "Execute in a transaction": await reasonOf(test.call("execute", { sql, transactionId })),
      "ExecuteBatch in a transaction": await reasonOf(
        test.call("executeBatch", { statements: [{ sql }], transactionId }),
      ),
      "Query in a transaction": await reasonOf(drain(test.stream("query", { sql, transactionId }))),
    };
  }

  for (const [subject, attacks] of Object.entries(ATTACKS)) {
    it(`keeps clients from ${subject}`, async () => {
      const before = state();
      const { transactionId } = await test.call("beginTransaction", LONG_LEASE);
      for (const [sql, ...expected] of attacks) {
        // What a statement that writes gets from a reader and from Query.
        const whereNothingWrites: readonly string[] = [...expected, "ROLE_NOT_ALLOWED", "STATEMENT_NOT_ALLOWED"];
        for (const [door, reason] of Object.entries(await throughEveryDoor(sql, transactionId))) {
          const allowed: readonly string[] = /read-only|Query/.test(door) ? whereNothingWrites : expected;
          assert.ok(allowed.includes(reason), `${door}: ${sql}: ${reason}`);
        }
      }
      // Committed, so that what has slipped through shows.
      await test.call("commitTransaction", { transactionId });
      for (const [sql, ...expected] of attacks) {
        const reason = await reasonOf(test.sql(sql));
        assert.ok(reason !== "none" && expected.includes(reason), `Execute: ${sql}: ${reason}`);
      }
      assert.deepEqual(state(), before);
    });
  }

  it("keeps SyncSchema to the creation of what a schema may have", async () => {
    const before = state();
    const evil = join(dirname(test.databasePath), "evil.db");
    const schemas = [
      `ATTACH '${evil}' AS evil`,
      `CREATE TABLE a (x); ATTACH '${evil}' AS evil; CREATE TABLE evil.t (x)`,
      // To whoever splits the text, these words begin the body of a trigger; to SQLite they are names of columns.
      `CREATE TABLE a (trigger, begin); ATTACH '${evil}' AS evil; CREATE TABLE evil.t (x)`,
      `CREATE TABLE a (trigger, begin); VACUUM INTO '${evil}'`,
      `CREATE TABLE a (trigger, begin); ATTACH '${test.databasePath}' AS evil; DELETE FROM evil.t`,
      "CREATE TEMP TABLE a (x)",
      "CREATE TABLE pragma_table_info (x)",
      "CREATE TABLE a AS SELECT * FROM pragma_optimize(0x10002)",
      "CREATE TABLE a AS SELECT load_extension('evil.so')",
      "CREATE TABLE driver_state (x)",
      "CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM driver_state; END",
      "DROP TABLE t",
      "PRAGMA writable_schema = 1",
    ];
    for (const schemaSql of schemas) {
      assert.notEqual(await reasonOf(test.call("syncSchema", { schemaSql })), "none", schemaSql);
    }
    assert.deepEqual(state(), before);
  });

  it("keeps a client that may only read from every write, inside of a transaction and out", async () => {
    const before = state();
    const { transactionId } = await test.call("beginTransaction", LONG_LEASE);
    const role = "read-only";
    for (const sql of WRITES) {
      assert.equal(await reasonOf(test.call("execute", { sql }, { role })), "ROLE_NOT_ALLOWED", sql);
      assert.equal(await reasonOf(drain(test.stream("query", { sql }, { role }))), "STATEMENT_NOT_ALLOWED", sql);
      // It has got hold of the id of somebody else's transaction.
      assert.equal(await reasonOf(test.call("execute", { sql, transactionId }, { role })), "ROLE_NOT_ALLOWED", sql);
    }
    const inside = { sql: "SELECT 1", transactionId };
    assert.equal(await reasonOf(test.call("execute", inside, { role })), "ROLE_NOT_ALLOWED");
    assert.equal(await reasonOf(drain(test.stream("query", inside, { role }))), "ROLE_NOT_ALLOWED");
    await test.call("commitTransaction", { transactionId });
    assert.deepEqual(state(), before);
    // The control: each of them is a write, and it reads what it may.
    for (const sql of WRITES) {
      const { transactionId: own } = await test.call("beginTransaction", {});
      await test.call("execute", { sql, transactionId: own });
      await test.call("rollbackTransaction", { transactionId: own });
    }
    assert.equal((await test.call("execute", { sql: "SELECT v FROM t" }, { role })).rows.length, 1);
  });

  for (const [what, sql] of Object.entries(MONSTERS)) {
    it(`survives any number of ${what}`, async () => {
      const { log } = test;
      const said = log.length;
      for (const role of ["read-only", "read-write"] as const) {
        const reason = await reasonOf(test.call("execute", { sql }, { role }));
        assert.ok(["SQL_ERROR", "INVALID_REQUEST", "LIMIT_EXCEEDED"].includes(reason), `${role}: ${reason}`);
      }
      // No worker process has died.
      assert.deepEqual(log.slice(said), []);
    });
  }

  it("survives triggers that fire each other", async () => {
    await test.sql("CREATE TABLE ping (n)");
    await test.sql("CREATE TABLE pong (n)");
    await test.sql("CREATE TRIGGER a AFTER INSERT ON ping BEGIN INSERT INTO pong VALUES (new.n + 1); END");
    await test.sql("CREATE TRIGGER b AFTER INSERT ON pong BEGIN INSERT INTO ping VALUES (new.n + 1); END");
    // A trigger does not fire itself, not even by way of another.
    await test.sql("INSERT INTO ping VALUES (1)");
    assert.deepEqual(await test.values("SELECT n FROM ping ORDER BY n"), [1n, 3n]);
  });

  it("is needed: on a bare connection a SELECT writes", () => {
    const folder = mkdtempSync(join(tmpdir(), "driver-gate-"));
    const connection = openConnection(join(folder, "a.db"), { role: "writer" });
    try {
      connection.exec("CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1)");
      const select = connection.prepare("SELECT * FROM pragma_optimize(0x10002)");
      assert.equal(select.readonly, true);
      select.all();
      assert.deepEqual(connection.prepare("SELECT tbl FROM sqlite_stat1").pluck().all(), ["t"]);
    } finally {
      connection.close();
      rmSync(folder, { recursive: true });
    }
  });

  it("knows every module of this build of SQLite", () => {
    const connection = openConnection(":memory:", { role: "writer" });
    const modules = connection.prepare("SELECT name FROM pragma_module_list ORDER BY name").pluck().all();
    connection.close();
    // A further one: does it reach outside the database, or write behind SQLite's back?
    const known =
      "dbstat fts3 fts3tokenize fts4 fts4aux fts5 fts5vocab geopoly json_each json_tree rtree rtree_i32 percentile";
    const isKnown = (name: unknown) => known.split(" ").includes(String(name)) || /^pragma_/.test(String(name));
    assert.deepEqual(
      modules.filter((name) => !isKnown(name)),
      [],
    );
  });
});
