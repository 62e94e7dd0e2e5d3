import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { BUILT_IN_SCHEMA } from "../../src/schema/built-in-schema.js";
import { assertStatementGateWorks } from "../../src/workers/session.js";
import { failsWith, TestDatabase } from "../support/session.js";
import { useTempFolder } from "../support/temp-folder.js";

describe("Session.prepareClientStatement()", () => {
  const folder = useTempFolder();
  let db: TestDatabase;
  beforeEach(() => {
    db = new TestDatabase(folder("test.db"));
    db.exec("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2); CREATE VIEW v AS SELECT * FROM t");
  });
  afterEach(() => db.close());

  const prepare = (sql: string) => db.writer.prepareClientStatement(sql);

  /** Everything a client must not be able to change: settings, attached files, TEMP objects, the driver's tables. */
  function settings(): unknown {
    const readable = ["foreign_keys", "journal_mode", "synchronous", "trusted_schema", "query_only", "writable_schema"];
    const others = ["cache_size", "temp_store", "locking_mode", "recursive_triggers", "ignore_check_constraints"];
    const more = ["legacy_alter_table", "user_version", "application_id", "busy_timeout", "wal_autocheckpoint"];
    return [
      [...readable, ...others, ...more].map((name) => db.rows(`PRAGMA ${name}`)),
      // SQLite opens the empty TEMP database when it is first looked at.
      db.rows("SELECT name, file FROM pragma_database_list WHERE name <> 'temp'"),
      db.rows("SELECT * FROM sqlite_temp_schema"),
      db.rows("SELECT * FROM driver_state"),
      db.writer.connection.inTransaction,
    ];
  }

  it("works on this build of SQLite", () => assertStatementGateWorks());

  it("refuses TEMP objects in every spelling", () => {
    const statements = [
      "CREATE TEMP TABLE q (a)",
      "CREATE TEMPORARY TABLE q (a)",
      "CREATE TEMP TABLE IF NOT EXISTS t (a)",
      "CREATE TABLE temp.q (a)",
      'CREATE TABLE "temp".q (a)',
      "CREATE TABLE [TEMP] . q (a)",
      "CREATE TABLE temp.t AS SELECT * FROM t",
      "CREATE TEMP VIEW t AS SELECT 1",
      "CREATE VIEW temp.t AS SELECT 1",
      "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END",
      "CREATE TRIGGER temp.x AFTER INSERT ON main.t BEGIN SELECT 1; END",
      "CREATE TEMP TRIGGER x INSTEAD OF INSERT ON v BEGIN SELECT 1; END",
      "CREATE VIRTUAL TABLE temp.f USING fts5(x)",
      "CREATE VIRTUAL TABLE temp.f USING rtree(id, a, b)",
      "ANALYZE temp",
      "/* */ CREATE /* */ TEMP /* */ TABLE q (a)",
      ";CREATE TEMP TABLE q (a)",
      "\uFEFFCREATE TEMP TABLE q (a)",
    ];
    const before = settings();
    for (const sql of statements) {
      assert.throws(() => prepare(sql), failsWith("STATEMENT_NOT_ALLOWED", "sql"), sql);
      assert.deepEqual(settings(), before, sql);
    }
  });

  it("a TEMP table would be seen by every other client: what the gate is for", () => {
    db.writer.connection.exec("CREATE TEMP TABLE t (a); INSERT INTO temp.t VALUES ('shadow')");
    assert.deepEqual(prepare("SELECT a FROM t").all(), [["shadow"]]);
  });

  it("lets nobody reach outside the database", () => {
    const statements = [
      `ATTACH '${folder("x.db")}' AS x`,
      `/**/ATTACH DATABASE '${folder("x.db")}' AS x`,
      `VACUUM INTO '${folder("x.db")}'`,
      `SELECT load_extension('${folder("x.so")}')`,
      `SELECT * FROM (SELECT 1 WHERE load_extension('${folder("x.so")}'))`,
      `INSERT INTO t SELECT load_extension('${folder("x.so")}'), 1`,
      `WITH x AS (SELECT load_extension('x')) SELECT * FROM x`,
      `SELECT sqlite_attach('${folder("x.db")}', 'x', NULL)`,
      `SELECT readfile('${folder("test.db")}')`,
      `SELECT writefile('${folder("x.db")}', 'x')`,
    ];
    const before = settings();
    for (const sql of statements) {
      assert.throws(
        () => prepare(sql),
        (error) => {
          const reason = (error as { reason?: string }).reason;
          return reason === "STATEMENT_NOT_ALLOWED" || reason === "SQL_ERROR";
        },
        sql,
      );
    }
    assert.ok(!existsSync(folder("x.db")));
    assert.deepEqual(settings(), before);
  });

  it("has load_extension refused also where a trigger or a view calls it", () => {
    db.exec("CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT load_extension('x'); END");
    assert.throws(() => prepare("INSERT INTO t VALUES (1, 2)").run());
    assert.throws(() => {
      prepare("CREATE VIEW w AS SELECT load_extension('x')").run();
      prepare("SELECT * FROM w").all();
    });
  });

  it("executes no PRAGMA while it compiles", () => {
    const before = settings();
    for (const name of [
      "user_version",
      "foreign_keys",
      "application_id",
      "writable_schema",
      "ignore_check_constraints",
    ]) {
      for (const sql of [`PRAGMA ${name} = 1`, `EXPLAIN PRAGMA ${name} = 1`, `;;/**/pragma main."${name}"(7)`]) {
        assert.throws(() => prepare(sql), failsWith("STATEMENT_NOT_ALLOWED"));
      }
    }
    assert.deepEqual(settings(), before);
  });

  it("takes one statement", () => {
    for (const sql of [
      "SELECT 1; SELECT 2",
      "SELECT 1;;SELECT 2",
      "SELECT 1; PRAGMA foreign_keys = 0",
      "INSERT INTO t VALUES (5, 5); DROP TABLE t",
    ]) {
      assert.throws(() => prepare(sql), failsWith("INVALID_REQUEST", "sql"), sql);
    }
    for (const sql of ["SELECT 1;", "SELECT 1;;", "SELECT 1; -- end", ";SELECT 1", "/* a */ SELECT 1 /* open"]) {
      assert.deepEqual(prepare(sql).all(), [[1n]], sql);
    }
    assert.deepEqual(db.rows("SELECT * FROM t"), [[1n, 2n]]);
  });

  it("explains statements, and only those that it would run", () => {
    for (const sql of [
      "EXPLAIN SELECT 1",
      "/* c */ EXPLAIN SELECT ?1",
      ";EXPLAIN QUERY PLAN SELECT * FROM t",
      "EXPLAIN DELETE FROM t",
    ]) {
      assert.ok(prepare(sql).reader, sql);
    }
    assert.throws(() => prepare("EXPLAIN VACUUM"), failsWith("STATEMENT_NOT_ALLOWED"));
    assert.deepEqual(db.rows("SELECT * FROM t"), [[1n, 2n]]);
  });

  it("has no table function of a PRAGMA with a side effect", () => {
    db.exec(BUILT_IN_SCHEMA);
    const names = db.rows("SELECT name FROM pragma_pragma_list").flat() as string[];
    assert.ok(names.includes("table_info") && names.includes("journal_mode"));
    const before = settings();
    let functions = 0;
    for (const name of names) {
      for (const arguments_ of [
        "",
        "(1)",
        "(0)",
        "('t')",
        "('delete')",
        "('OFF', 'main')",
        "('TRUNCATE')",
        "(NULL, 'temp')",
      ]) {
        try {
          prepare(`SELECT * FROM pragma_${name}${arguments_}`).all();
          functions++;
        } catch {
          // Most PRAGMAs have no function, and most functions take no such argument.
        }
      }
      assert.deepEqual(settings(), before, name);
    }
    assert.ok(functions > 20);
  });

  it("protects the schema table and SQLite's own", () => {
    db.exec("CREATE TABLE s (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE VIRTUAL TABLE f USING fts5(x)");
    const statements = [
      "UPDATE sqlite_schema SET sql = ''",
      "UPDATE sqlite_master SET sql = ''",
      "DELETE FROM main.sqlite_schema",
      "INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 0, 'CREATE TABLE x (a)')",
      "DROP TABLE sqlite_schema",
      "DROP TABLE sqlite_sequence",
      "ALTER TABLE sqlite_schema RENAME TO x",
      "CREATE TABLE sqlite_x (a)",
      "CREATE INDEX x ON sqlite_schema (name)",
      "CREATE TRIGGER x AFTER INSERT ON sqlite_schema BEGIN SELECT 1; END",
      "DELETE FROM f_data",
      "DROP TABLE f_data",
    ];
    const before = db.rows("SELECT * FROM sqlite_schema");
    for (const sql of statements) assert.throws(() => prepare(sql).run(), sql);
    assert.deepEqual(db.rows("SELECT * FROM sqlite_schema"), before);
  });

  it("protects the driver's own tables in every spelling, and lets them be read", () => {
    const statements = [
      "UPDATE driver_state SET value = 0",
      'DELETE FROM main . "DRIVER_Requests"',
      "INSERT INTO [driver_requests] VALUES (1, 2, 3, 4)",
      "REPLACE INTO `driver_state` VALUES ('commit_seq', 0)",
      "UPDATE 'driver_state' SET value = 0",
      "DROP TABLE/**/driver_state/**/",
      "ALTER TABLE driver_state RENAME TO x",
      "ALTER TABLE driver_state ADD COLUMN x",
      "CREATE INDEX x ON driver_state (value)",
      "CREATE TRIGGER x BEFORE UPDATE ON driver_state BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
      "CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM driver_requests; END",
      "CREATE VIEW x AS SELECT * FROM driver_requests",
      "WITH x AS (SELECT 1) DELETE FROM driver_requests",
      "INSERT INTO t SELECT 1, 2 FROM driver_state",
      "CREATE TABLE c (a REFERENCES driver_state ON DELETE CASCADE)",
    ];
    const before = [settings(), db.rows("SELECT * FROM sqlite_schema")];
    for (const sql of statements) assert.throws(() => prepare(sql), failsWith("STATEMENT_NOT_ALLOWED", "sql"), sql);
    assert.deepEqual([settings(), db.rows("SELECT * FROM sqlite_schema")], before);
    assert.equal(prepare("SELECT * FROM driver_state").all().length, 1);
    prepare("INSERT INTO t VALUES ('my_driver_state', 'driver_states')").run();
    prepare("INSERT INTO t VALUES (?, ?)").run("driver_state", "driver_requests");
  });

  it("takes what clients need", () => {
    const statements = [
      "CREATE TABLE IF NOT EXISTS t (a)",
      "DROP TABLE IF EXISTS nope",
      "DROP VIEW IF EXISTS nope",
      "CREATE INDEX IF NOT EXISTS i ON t (a)",
      "CREATE INDEX IF NOT EXISTS i ON t (a)",
      "ALTER TABLE t ADD COLUMN c",
      "ALTER TABLE t RENAME COLUMN c TO d",
      "ALTER TABLE t DROP COLUMN d",
      "ALTER TABLE t RENAME TO u",
      "ALTER TABLE u RENAME TO t",
      "WITH x AS (SELECT 5) INSERT INTO t SELECT *, 6 FROM x",
      "INSERT OR REPLACE INTO t VALUES (7, 8)",
      "UPDATE t SET a = a + 1 WHERE a > 5 RETURNING a",
      "DELETE FROM t WHERE a = 8",
      "ANALYZE",
      "REINDEX",
      "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
      "DROP TRIGGER tr",
      "CREATE VIRTUAL TABLE f USING fts5(x)",
      "INSERT INTO f VALUES ('words')",
      "SELECT * FROM f WHERE f MATCH 'words' ORDER BY rank",
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 5) SELECT sum(i) OVER () FROM n",
      "SELECT * FROM json_each('[1]') JOIN pragma_table_info('t')",
      "PRAGMA table_info(t)",
      "PRAGMA journal_mode",
      "VALUES (1), (2)",
    ];
    for (const sql of statements) {
      const statement = prepare(sql);
      if (statement.reader) statement.all();
      else statement.run();
    }
  });

  it("counts any number of parameters quickly", () => {
    for (const count of [0, 1, 7, 8, 9, 10, 500, 32_766]) {
      const started = process.hrtime.bigint();
      const statement = prepare(`SELECT 1 WHERE 0 IN (${new Array(count).fill("?").join(",")})`);
      assert.deepEqual(statement.all(...new Array(count).fill(0n)), count === 0 ? [] : [[1n]]);
      assert.ok(Number(process.hrtime.bigint() - started) / 1e6 < 2_000, `${count} parameters`);
    }
    assert.throws(() => prepare(`SELECT ${new Array(32_767).fill("?").join("+")}`), failsWith("SQL_ERROR"));
  });

  it("writes nothing on a connection that reads", () => {
    const reads = db.reader;
    for (const sql of ["INSERT INTO t VALUES (1, 1)", "CREATE TABLE x (a)", "ANALYZE", "ALTER TABLE t RENAME TO x"]) {
      assert.throws(
        () => reads.prepareClientStatement(sql),
        (error) => {
          return ["DATABASE_READ_ONLY", "STATEMENT_NOT_ALLOWED", "SQL_ERROR"].includes(
            String((error as { reason?: string }).reason),
          );
        },
        sql,
      );
    }
    assert.deepEqual(reads.prepareClientStatement("SELECT * FROM t").all(), [[1n, 2n]]);
  });

  it("keeps a statement for its text, through changes of the schema", () => {
    const statement = prepare("SELECT * FROM t");
    assert.equal(prepare("SELECT * FROM t"), statement);
    db.exec("ALTER TABLE t ADD COLUMN c DEFAULT 3");
    assert.deepEqual(prepare("SELECT * FROM t").all(), [[1n, 2n, 3n]]);
    for (let i = 0; i < 600; i++) prepare(`SELECT ${i}`);
    assert.notEqual(prepare("SELECT * FROM t"), statement, "the least recently used one is dropped");
  });
});
