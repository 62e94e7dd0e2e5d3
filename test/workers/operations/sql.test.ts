import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ExecuteBatchRequestSchema,
  ExecuteBatchResponseSchema,
  ExecuteRequestSchema,
  ExecuteResponseSchema,
  QueryRequestSchema,
  QueryResponseSchema,
} from "../../../gen/code_analysis/driver/v1/sql_pb.js";
import { execute, executeBatch, query } from "../../../src/workers/operations/sql.js";
import type { SqliteValue } from "../../../src/workers/wire-writer.js";
import { failsWith, fromValue, TestDatabase, toValue } from "../../support/session.js";
import { useTempFolder } from "../../support/temp-folder.js";

const Execute = [ExecuteRequestSchema, ExecuteResponseSchema] as const;
const Batch = [ExecuteBatchRequestSchema, ExecuteBatchResponseSchema] as const;
const Query = [QueryRequestSchema, QueryResponseSchema] as const;

describe("operations on SQL", () => {
  const folder = useTempFolder();
  let db: TestDatabase;
  beforeEach(() => {
    db = new TestDatabase(folder("test.db"), { maxExecuteRows: 10, maxExecuteBytes: 5_000, maxBatchStatements: 20 });
    db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a UNIQUE, b)");
  });
  afterEach(() => db.close());

  const run = (sql: string, ...parameters: SqliteValue[]) =>
    db.write(execute, Execute, { sql, parameters: parameters.map(toValue) });
  const rowsOf = (rows: readonly { values: Parameters<typeof fromValue>[0][] }[]) =>
    rows.map(({ values }) => values.map(fromValue));
  const numbers = (count: number) =>
    `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count}) SELECT i FROM n`;

  describe("execute", () => {
    it("answers rows with columns, affected rows, rowid and the number of the commit", () => {
      const inserted = run("INSERT INTO t (a, b) VALUES (?, ?), (?, NULL)", "x", 1.5, "y");
      assert.deepEqual([inserted.affectedRows, inserted.lastInsertRowid], [2n, 2n]);
      assert.ok(inserted.commitSeq > 0n);
      const selected = db.read(execute, Execute, { sql: "SELECT id AS n, a, b, 1 + 1 FROM t" });
      assert.deepEqual(
        selected.columns.map(({ name, declaredType }) => [name, declaredType]),
        [
          ["n", "INTEGER"],
          ["a", ""],
          ["b", ""],
          ["1 + 1", ""],
        ],
      );
      assert.deepEqual(rowsOf(selected.rows), [
        [1n, "x", 1.5, 2n],
        [2n, "y", null, 2n],
      ]);
      assert.deepEqual([selected.truncated, selected.affectedRows, selected.commitSeq], [false, 0n, 0n]);
    });

    it("answers columns also when there is no row", () => {
      const { columns, rows } = db.read(execute, Execute, { sql: "SELECT a FROM t" });
      assert.deepEqual([columns.length, rows.length], [1, 0]);
    });

    it("carries every value both ways exactly", () => {
      const values: SqliteValue[] = [
        null,
        2n ** 63n - 1n,
        -(2n ** 63n),
        2n ** 53n + 1n,
        -0,
        0.1,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        "",
        "a\0b",
        "\uFEFFbom",
        "😀",
        Buffer.alloc(0),
        Buffer.from([0, 1, 255]),
      ];
      const sql = `SELECT ${values.map(() => "?").join(",")}`;
      const { rows } = db.read(execute, Execute, { sql, parameters: values.map(toValue) });
      assert.deepStrictEqual(rowsOf(rows), [values]);
      const [[nan] = []] = rowsOf(
        db.read(execute, Execute, { sql: "SELECT ?", parameters: [toValue(Number.NaN)] }).rows,
      );
      assert.equal(nan, null, "SQLite has no NaN");
    });

    it("binds positional, numbered and named parameters", () => {
      const read = (sql: string, positional: SqliteValue[], named: Record<string, SqliteValue> = {}) =>
        rowsOf(
          db.read(execute, Execute, {
            sql,
            parameters: positional.map(toValue),
            namedParameters: Object.fromEntries(Object.entries(named).map(([name, value]) => [name, toValue(value)])),
          }).rows,
        )[0];
      assert.deepEqual(read("SELECT ?, ?", [1n, 2n]), [1n, 2n]);
      assert.deepEqual(read("SELECT ?1, ?2", [1n, 2n]), [1n, 2n]);
      assert.deepEqual(read("SELECT ?2, ?1, ?2", [1n, 2n]), [2n, 1n, 2n]);
      assert.deepEqual(read("SELECT ?1, ?", [1n, 2n]), [1n, 2n]);
      assert.deepEqual(read("SELECT ?, ?1, ?3, ?", [1n, 2n, 3n, 4n]), [1n, 1n, 3n, 4n]);
      assert.deepEqual(read("SELECT ?3", [1n, 2n, 3n]), [3n]);
      assert.deepEqual(read("SELECT :a, @b, $c, :a", [], { a: 1n, ":b": 2n, $c: 3n, "@b": 4n }), [1n, 4n, 3n, 1n]);
      assert.deepEqual(read("SELECT :a, ?", [5n], { a: 1n }), [1n, 5n]);
      assert.deepEqual(read("SELECT :__proto__, :constructor", [], { ["__proto__"]: 1n, constructor: 2n }), [1n, 2n]);
      const wrong: [string, SqliteValue[], Record<string, SqliteValue>?][] = [
        ["SELECT ?", []],
        ["SELECT ?", [1n, 2n]],
        ["SELECT ?1", []],
        ["SELECT ?2", [1n]],
        ["SELECT ?1", [1n, 2n]],
        ["SELECT 1", [1n]],
        ["SELECT :a", []],
        ["SELECT :a", [], { b: 1n }],
        ["SELECT :toString", []],
      ];
      for (const [sql, positional, named] of wrong) {
        assert.throws(() => read(sql, positional, named), failsWith("SQL_ERROR"), sql);
      }
      assert.throws(
        () => db.read(execute, Execute, { sql: "SELECT ?, ?", parameters: [toValue(1n), {}] }),
        failsWith("INVALID_REQUEST", "parameters[1]"),
      );
    });

    it("answers a rowid only for a statement that inserted one", () => {
      db.exec(`CREATE TABLE log (id INTEGER PRIMARY KEY, x); INSERT INTO log VALUES (500, 1);
        CREATE TABLE w (a PRIMARY KEY) WITHOUT ROWID; CREATE VIRTUAL TABLE f USING fts5(x);
        CREATE TRIGGER tr AFTER UPDATE ON t BEGIN INSERT INTO log (x) VALUES (1); END`);
      const rowids: [string, bigint | undefined][] = [
        ["INSERT INTO t (id, a) VALUES (77, 1)", 77n],
        ["UPDATE t SET b = 1", undefined],
        ["UPDATE OR REPLACE t SET b = 2", undefined],
        ["INSERT OR IGNORE INTO t (id, a) VALUES (78, 1)", undefined],
        ["INSERT INTO w VALUES (1)", undefined],
        ["INSERT INTO f (rowid, x) VALUES (9, 'x')", 9n],
        ["UPDATE f SET x = 'y'", undefined],
        ["DELETE FROM f", undefined],
        ["REPLACE INTO t (id, a) VALUES (80, 1)", 80n],
        ["WITH n AS (SELECT 90 AS i) INSERT INTO t (id, a) SELECT i, 'with' FROM n", 90n],
        ["INSERT INTO t (a) VALUES ('ret') RETURNING a", 91n],
        ["INSERT INTO t SELECT id + 100, id, b FROM t", 191n],
        ["INSERT INTO t (a) VALUES ('ret') ON CONFLICT DO UPDATE SET b = 5", undefined],
        ["DELETE FROM t WHERE id = 90", undefined],
        ["CREATE TABLE x (a)", undefined],
        ["SELECT 1", undefined],
      ];
      for (const [sql, rowid] of rowids) assert.equal(run(sql).lastInsertRowid, rowid, sql);
    });

    it("counts the rows that the statement itself changed", () => {
      db.exec(`CREATE TABLE log (x); CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log VALUES (1), (2); END`);
      assert.equal(run("INSERT INTO t (a) VALUES (1), (2)").affectedRows, 2n);
      assert.equal(run("UPDATE t SET b = b RETURNING a").affectedRows, 2n);
      assert.equal(run("CREATE TABLE x (a)").affectedRows, 0n);
      assert.equal(run("DELETE FROM t").affectedRows, 2n);
    });

    it("cuts long answers off, though the statement runs to its end", () => {
      const all = run(numbers(10));
      assert.deepEqual([all.rows.length, all.truncated], [10, false]);
      const cut = run(numbers(11));
      assert.deepEqual([cut.rows.length, cut.truncated], [10, true]);
      const fewer = db.read(execute, Execute, { sql: numbers(9), maxRows: 4 });
      assert.deepEqual([fewer.rows.length, fewer.truncated], [4, true]);
      assert.throws(
        () => db.read(execute, Execute, { sql: "SELECT 1", maxRows: 11 }),
        failsWith("INVALID_REQUEST", "max_rows"),
      );
      const written = run(`INSERT INTO t (a) ${numbers(20)} RETURNING a`);
      assert.deepEqual([written.rows.length, written.truncated, written.affectedRows], [10, true, 20n]);
      assert.equal(db.rows("SELECT * FROM t").length, 20);
    });

    it("keeps the answer below the limit of bytes, even for one row", () => {
      const sql = "SELECT printf('%1000d', value) FROM json_each('[1,2,3,4,5,6]')";
      const several = db.read(execute, Execute, { sql });
      assert.deepEqual([several.rows.length, several.truncated], [4, true]);
      assert.ok(toBinary(ExecuteResponseSchema, several).length <= 5_100);
      const one = db.read(execute, Execute, { sql: "SELECT zeroblob(10000)" });
      assert.deepEqual([one.rows.length, one.truncated, one.columns.length], [0, true, 1]);
    });

    it("answers each failure with its reason", () => {
      run("INSERT INTO t VALUES (1, 1, 1)");
      const cases: [string, Parameters<typeof failsWith>[0]][] = [
        ["SELEC 1", "SQL_ERROR"],
        ["SELECT FROM", "SQL_ERROR"],
        ["SELECT * FROM nope", "SQL_ERROR"],
        ["SELECT nope FROM t", "SQL_ERROR"],
        ['SELECT "nope" FROM t', "SQL_ERROR"],
        ["INSERT INTO t VALUES (1, 2, 3)", "CONSTRAINT_UNIQUE"],
        ["INSERT INTO t VALUES (2, 1, 3)", "CONSTRAINT_UNIQUE"],
        ["INSERT INTO t VALUES ('x', 2, 3)", "CONSTRAINT_DATATYPE"],
        ["SELECT abs(-9223372036854775807 - 1)", "SQL_ERROR"],
        ["SELECT zeroblob(1000000001)", "LIMIT_EXCEEDED"],
        ["", "INVALID_REQUEST"],
        ["SELECT 1; SELECT 2", "INVALID_REQUEST"],
        ["BEGIN", "STATEMENT_NOT_ALLOWED"],
      ];
      for (const [sql, reason] of cases) assert.throws(() => run(sql), failsWith(reason), sql);
      assert.throws(() => db.writeBytes(execute, Buffer.from([0xff])), failsWith("INVALID_REQUEST"));
    });
  });

  describe("executeBatch", () => {
    const batch = (...statements: string[]) =>
      db.write(executeBatch, Batch, { statements: statements.map((sql) => ({ sql })) });

    it("runs all statements and answers each", () => {
      const { results, commitSeq } = batch("INSERT INTO t (a) VALUES (1)", "SELECT a FROM t", "DELETE FROM t");
      assert.deepEqual(
        results.map(({ affectedRows }) => affectedRows),
        [1n, 0n, 1n],
      );
      assert.deepEqual(
        results.map(({ rows }) => rowsOf(rows)),
        [[], [[1n]], []],
      );
      assert.ok(commitSeq > 0n);
    });

    it("runs all or nothing and names the statement that failed, from 0", () => {
      assert.throws(
        () => batch("INSERT INTO t (a) VALUES (1)", "INSERT INTO t (a) VALUES (2)", "INSERT INTO t (a) VALUES (1)"),
        (error) => failsWith("CONSTRAINT_UNIQUE", "statements[2].sql")(error) && /statements\[2\]/.test(String(error)),
      );
      assert.throws(() => batch("INSERT INTO t (a) VALUES (1)", "COMMIT"), failsWith("STATEMENT_NOT_ALLOWED"));
      assert.throws(
        () => batch("INSERT INTO t (a) VALUES (1)", "INSERT OR ROLLBACK INTO t (a) VALUES (1)"),
        failsWith("CONSTRAINT_UNIQUE"),
      );
      assert.throws(
        () => batch("INSERT INTO t (a) VALUES (1)", "INSERT OR FAIL INTO t (a) VALUES (2), (1), (3)"),
        failsWith("CONSTRAINT_UNIQUE"),
      );
      assert.deepEqual(db.rows("SELECT * FROM t"), []);
      assert.equal(db.writer.connection.inTransaction, false);
    });

    it("wants at least one statement and not too many", () => {
      assert.throws(() => batch(), failsWith("INVALID_REQUEST", "statements"));
      assert.throws(() => batch(...new Array<string>(21).fill("SELECT 1")), failsWith("LIMIT_EXCEEDED", "statements"));
      assert.equal(batch(...new Array<string>(20).fill("SELECT 1")).results.length, 20);
    });

    it("keeps the whole answer below the limit of bytes", () => {
      const { results } = batch(...new Array<string>(20).fill("SELECT printf('%900d', 1)"));
      assert.deepEqual(
        results.map(({ rows, truncated }) => [rows.length, truncated]),
        results.map((_result, index) => (index < 5 ? [1, false] : [0, true])),
      );
    });
  });

  describe("query", () => {
    const queryBytes = (sql: string) => toBinary(QueryRequestSchema, create(QueryRequestSchema, { sql }));
    const stream = (sql: string, ...parameters: SqliteValue[]) =>
      db.stream(query, Query, { sql, parameters: parameters.map(toValue) });

    it("streams all rows of one snapshot", () => {
      run(`INSERT INTO t (a) ${numbers(50_000)}`);
      const bytes = queryBytes("SELECT a FROM t");
      const messages = query(db.reader, bytes);
      messages.next();
      run("DELETE FROM t");
      let count = 0;
      for (const _message of messages) count++;
      assert.ok(count > 5);
      assert.deepEqual(db.rows("SELECT * FROM t"), []);
    });

    it("answers columns first, also without rows, and takes parameters", () => {
      const [first, ...others] = stream("SELECT a FROM t WHERE a = ?1", 1n);
      assert.deepEqual([first?.columns.map(({ name }) => name), first?.rows.length, others.length], [["a"], 0, 0]);
      assert.deepEqual(rowsOf(stream("SELECT ?1, ?2", 1n, 2n)[0]?.rows ?? []), [[1n, 2n]]);
    });

    it("refuses what writes", () => {
      for (const sql of ["DELETE FROM t", "INSERT INTO t (a) VALUES (1) RETURNING a", "CREATE TABLE x (a)"]) {
        assert.throws(
          () => stream(sql),
          (error) => {
            const reason = (error as { reason?: string }).reason;
            return reason === "STATEMENT_NOT_ALLOWED" || reason === "DATABASE_READ_ONLY";
          },
          sql,
        );
        // On the writer, inside an interactive transaction.
        const bytes = queryBytes(sql);
        assert.throws(() => query(db.writer, bytes).next(), failsWith("STATEMENT_NOT_ALLOWED", "sql"));
      }
    });

    it("ends its snapshot when the caller leaves", () => {
      run(`INSERT INTO t (a) ${numbers(50_000)}`);
      const bytes = queryBytes("SELECT * FROM t");
      const messages = query(db.reader, bytes);
      messages.next();
      messages.return?.(undefined);
      run("DELETE FROM t");
      assert.deepEqual(rowsOf(db.read(execute, Execute, { sql: "SELECT count(*) FROM t" }).rows), [[0n]]);
    });
  });
});
