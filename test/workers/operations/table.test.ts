import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  ComparisonOperator,
  ConditionSchema,
  ConflictAction,
  DeleteRequestSchema,
  DeleteResponseSchema,
  InsertRequestSchema,
  InsertResponseSchema,
  SelectRequestSchema,
  SelectResponseSchema,
  UpdateRequestSchema,
  UpdateResponseSchema,
} from "../../../gen/code_analysis/driver/v1/table_pb.js";
import { deleteRows, insert, select, update } from "../../../src/workers/operations/table.js";
import type { SqliteValue } from "../../../src/workers/wire-writer.js";
import { failsWith, fromValue, TestDatabase, toValue } from "../../support/session.js";
import { useTempFolder } from "../../support/temp-folder.js";

const Insert = [InsertRequestSchema, InsertResponseSchema] as const;
const Update = [UpdateRequestSchema, UpdateResponseSchema] as const;
const Delete = [DeleteRequestSchema, DeleteResponseSchema] as const;
const Select = [SelectRequestSchema, SelectResponseSchema] as const;

const MAX_INT64 = 2n ** 63n - 1n;
const MIN_INT64 = -(2n ** 63n);

function rowsOf(...rows: SqliteValue[][]) {
  return rows.map((values) => ({ values: values.map(toValue) }));
}

function equal(column: string, value: SqliteValue) {
  return {
    kind: {
      case: "comparison",
      value: { column, operator: ComparisonOperator.EQUAL, value: toValue(value) },
    },
  } as const;
}

describe("operations on tables", () => {
  const folder = useTempFolder();
  let db: TestDatabase;
  beforeEach(() => {
    db = new TestDatabase(folder("test.db"));
  });
  afterEach(() => db.close());

  function selectRows(
    request: Parameters<typeof db.stream<typeof SelectRequestSchema, typeof SelectResponseSchema>>[2],
  ) {
    return db.stream(select, Select, request).flatMap(({ rows }) => rows.map(({ values }) => values.map(fromValue)));
  }

  describe("insert", () => {
    it("inserts many rows, answers how many and the last rowid, and numbers the commit", () => {
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)");
      const rows = rowsOf([10n, "x", 1.5], [20n, "y", null]);
      const first = db.write(insert, Insert, { table: "t", rows });
      assert.equal(first.affectedRows, 2n);
      assert.equal(first.lastInsertRowid, 20n);
      const second = db.write(insert, Insert, { table: "T", columns: ["A"], rows: rowsOf(["z"]) });
      assert.equal(second.lastInsertRowid, 21n);
      assert.equal(second.commitSeq, first.commitSeq + 1n);
      assert.deepEqual(db.rows("SELECT * FROM t"), [
        [10n, "x", 1.5],
        [20n, "y", null],
        [21n, "z", null],
      ]);
    });

    it("keeps every value exactly", () => {
      db.exec("CREATE TABLE t (v)");
      const values: SqliteValue[] = [
        null,
        0n,
        MAX_INT64,
        MIN_INT64,
        2n ** 53n + 1n,
        1,
        -0,
        0.1,
        Number.POSITIVE_INFINITY,
        Number.NEGATIVE_INFINITY,
        5e-324,
        "",
        "a\0b",
        "\0",
        "ü😀\u{FFFF}",
        "x".repeat(100_000),
        Buffer.alloc(0),
        Buffer.from([0, 255, 0]),
        Buffer.alloc(70_000, 3),
      ];
      db.write(insert, Insert, { table: "t", rows: rowsOf(...values.map((value) => [value])) });
      const types = db.rows("SELECT typeof(v), length(CAST(v AS BLOB)) FROM t ORDER BY rowid");
      assert.deepEqual(types[12], ["text", 3n], "text does not end at NUL");
      const answered = selectRows({ table: "t" }).map(([value]) => value);
      assert.equal(answered.length, values.length);
      for (const [index, value] of values.entries()) {
        assert.deepStrictEqual(answered[index], value, `value ${index}`);
      }
    });

    it("stores NaN as NULL", () => {
      db.exec("CREATE TABLE t (v)");
      db.write(insert, Insert, { table: "t", rows: rowsOf([Number.NaN]) });
      assert.deepEqual(db.rows("SELECT v FROM t"), [[null]]);
    });

    it("stores text that is not UTF-8 as an error of the request", () => {
      db.exec("CREATE TABLE t (v)");
      const good = toBinary(InsertRequestSchema, create(InsertRequestSchema, { table: "t", rows: rowsOf(["abc"]) }));
      const bytes = Buffer.from(good);
      // A lone surrogate in the encoding that UTF-8 forbids.
      Buffer.from([0xed, 0xa0, 0x80]).copy(bytes, bytes.indexOf("abc"));
      assert.throws(() => db.writeBytes(insert, bytes), failsWith("INVALID_REQUEST"));
      assert.deepEqual(db.rows("SELECT * FROM t"), []);
    });

    it("inserts all rows or none, and names the row that failed", () => {
      db.exec("CREATE TABLE t (a UNIQUE); INSERT INTO t VALUES (2)");
      const rows = rowsOf([1n], [2n], [3n]);
      assert.throws(() => db.write(insert, Insert, { table: "t", rows }), failsWith("CONSTRAINT_UNIQUE", "rows[1]"));
      assert.deepEqual(db.rows("SELECT a FROM t"), [[2n]]);
    });

    it("is all or nothing even where the constraint itself says otherwise", () => {
      db.exec(`CREATE TABLE ignoring (a UNIQUE ON CONFLICT IGNORE); INSERT INTO ignoring VALUES (1);
               CREATE TABLE replacing (a UNIQUE ON CONFLICT REPLACE, b); INSERT INTO replacing VALUES (1, 'old');
               CREATE TABLE rolling (a UNIQUE ON CONFLICT ROLLBACK); INSERT INTO rolling VALUES (1);
               CREATE TABLE failing (a UNIQUE ON CONFLICT FAIL); INSERT INTO failing VALUES (1)`);
      for (const table of ["ignoring", "replacing", "rolling", "failing"]) {
        const rows = rowsOf([0n], [1n]);
        const before = db.rows(`SELECT * FROM ${table}`);
        const request = { table, columns: ["a"], rows, onConflict: ConflictAction.ABORT };
        assert.throws(() => db.write(insert, Insert, request), failsWith("CONSTRAINT_UNIQUE", "rows[1]"));
        assert.deepEqual(db.rows(`SELECT * FROM ${table}`), before, table);
      }
    });

    it("leaves out or replaces rows that are there when asked to", () => {
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 'old')");
      const ignore = { table: "t", onConflict: ConflictAction.IGNORE };
      const some = db.write(insert, Insert, { ...ignore, rows: rowsOf([7n, "new"], [1n, "new"]) });
      assert.equal(some.affectedRows, 1n);
      assert.equal(some.lastInsertRowid, 7n);
      const none = db.write(insert, Insert, { ...ignore, rows: rowsOf([1n, "new"]) });
      assert.equal(none.affectedRows, 0n);
      assert.equal(none.lastInsertRowid, undefined, "not the rowid of an earlier call");
      const replaced = db.write(insert, Insert, {
        table: "t",
        onConflict: ConflictAction.REPLACE,
        rows: rowsOf([1n, "new"]),
      });
      assert.equal(replaced.affectedRows, 1n);
      assert.deepEqual(db.rows("SELECT * FROM t"), [
        [1n, "new"],
        [7n, "new"],
      ]);
    });

    it("answers no rowid for a table that has none", () => {
      db.exec("CREATE TABLE r (a); INSERT INTO r VALUES (1); CREATE TABLE t (a PRIMARY KEY) WITHOUT ROWID");
      const { affectedRows, lastInsertRowid } = db.write(insert, Insert, { table: "t", rows: rowsOf([5n]) });
      assert.equal(affectedRows, 1n);
      assert.equal(lastInsertRowid, undefined);
    });

    it("answers the row's own rowid when a trigger inserts elsewhere", () => {
      db.exec(`CREATE TABLE t (a); CREATE TABLE log (id INTEGER PRIMARY KEY, a);
               INSERT INTO log VALUES (100, 'x');
               CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log (a) VALUES (new.a), (new.a); END`);
      const { affectedRows, lastInsertRowid } = db.write(insert, Insert, { table: "t", rows: rowsOf([5n]) });
      assert.deepEqual([affectedRows, lastInsertRowid], [1n, 1n]);
    });

    it("answers each violated constraint with its own status", () => {
      db.exec(`CREATE TABLE p (id INTEGER PRIMARY KEY);
               CREATE TABLE t (a NOT NULL, b CHECK (b > 0), c REFERENCES p, d INTEGER PRIMARY KEY);
               CREATE TABLE strict (a INTEGER) STRICT;
               CREATE TRIGGER tr BEFORE INSERT ON t WHEN new.a = 'no' BEGIN SELECT RAISE(ABORT, 'refused'); END`);
      const cases: [string, SqliteValue[], Parameters<typeof failsWith>[0]][] = [
        ["t", [null, 1n, null, 1n], "CONSTRAINT_NOT_NULL"],
        ["t", [1n, -1n, null, 1n], "CONSTRAINT_CHECK"],
        ["t", [1n, 1n, 77n, 1n], "CONSTRAINT_FOREIGN_KEY"],
        ["t", [1n, 1n, null, "x"], "CONSTRAINT_DATATYPE"],
        ["t", ["no", 1n, null, 1n], "CONSTRAINT_TRIGGER"],
        ["strict", ["text"], "CONSTRAINT_DATATYPE"],
      ];
      for (const [table, row, reason] of cases) {
        assert.throws(() => db.write(insert, Insert, { table, rows: rowsOf(row) }), failsWith(reason, "rows[0]"));
      }
    });

    it("fails alone with a deferred foreign key", () => {
      db.exec(`CREATE TABLE p (id INTEGER PRIMARY KEY);
               CREATE TABLE t (c REFERENCES p DEFERRABLE INITIALLY DEFERRED)`);
      assert.throws(
        () => db.write(insert, Insert, { table: "t", rows: rowsOf([1n]) }),
        failsWith("CONSTRAINT_FOREIGN_KEY"),
      );
      assert.deepEqual(db.rows("SELECT * FROM t"), []);
    });

    it("refuses what does not fit the table, with the part of the request", () => {
      db.exec("CREATE TABLE t (a, b, g AS (a) STORED, v AS (b))");
      const one = rowsOf([1n]);
      const cases: [Parameters<typeof db.write<typeof InsertRequestSchema, typeof InsertResponseSchema>>[2], string][] =
        [
          [{ table: "t", columns: ["nope"], rows: one }, "columns[0]"],
          [{ table: "t", columns: ["rowid"], rows: one }, "columns[0]"],
          [{ table: "t", columns: ["a", "A"], rows: rowsOf([1n, 2n]) }, "columns[1]"],
          [{ table: "t", columns: ["g"], rows: one }, "columns[0]"],
          [{ table: "t", columns: ["v"], rows: one }, "columns[0]"],
          [{ table: "t", columns: ['a") VALUES (1); DROP TABLE t; --'], rows: one }, "columns[0]"],
          [{ table: "t", columns: ["a"], rows: [] }, "rows"],
          [{ table: "t", rows: rowsOf([1n, 2n], [1n]) }, "rows[1].values"],
          [{ table: "t", rows: rowsOf([1n, 2n, 3n]) }, "rows[0].values"],
          [{ table: "t", columns: ["a"], rows: [{ values: [{}] }] }, "rows[0].values[0]"],
          [{ table: "t", columns: ["a"], rows: one, onConflict: 9 as ConflictAction }, "on_conflict"],
        ];
      for (const [request, field] of cases) {
        assert.throws(() => db.write(insert, Insert, request), failsWith("INVALID_REQUEST", field));
      }
      assert.deepEqual(db.rows("SELECT * FROM t"), []);
    });

    it("leaves out generated columns when no columns are named", () => {
      db.exec("CREATE TABLE t (a, g AS (a * 2) STORED, b)");
      db.write(insert, Insert, { table: "t", rows: rowsOf([2n, "b"]) });
      assert.deepEqual(db.rows("SELECT * FROM t"), [[2n, 4n, "b"]]);
    });

    it("sees a table that was changed or made anew", () => {
      db.exec("CREATE TABLE t (a)");
      db.write(insert, Insert, { table: "t", rows: rowsOf([1n]) });
      db.exec("ALTER TABLE t ADD COLUMN b");
      db.write(insert, Insert, { table: "t", rows: rowsOf([1n, 2n]) });
      db.exec("DROP TABLE t; CREATE TABLE t (c)");
      db.write(insert, Insert, { table: "t", columns: ["c"], rows: rowsOf([3n]) });
      db.exec("BEGIN; ALTER TABLE t RENAME COLUMN c TO d; ROLLBACK");
      db.write(insert, Insert, { table: "t", columns: ["c"], rows: rowsOf([4n]) });
      assert.deepEqual(db.rows("SELECT * FROM t"), [[3n], [4n]]);
    });
  });

  describe("names", () => {
    const hostile = [
      'a"b',
      "a'b",
      "a]b`c",
      "select",
      " ",
      "a b",
      "a;b",
      "--x",
      "/*",
      "é😀",
      "1",
      "a.b",
      "main.t",
      "%s",
      "?1",
      ":x",
      "x\ny",
      "__proto__",
      "constructor",
    ];

    it("of any spelling are taken as they are", () => {
      for (const name of hostile) {
        const quoted = `"${name.replaceAll('"', '""')}"`;
        db.exec(`CREATE TABLE ${quoted} (${quoted}, other)`);
        db.write(insert, Insert, { table: name, columns: [name, "other"], rows: rowsOf(["v", 1n], ["w", 2n]) });
        const set = JSON.parse(`{${JSON.stringify(name)}: {}}`);
        set[name] = toValue("u");
        const updated = db.write(update, Update, { table: name, set, where: equal(name, "v") });
        assert.equal(updated.affectedRows, 1n, name);
        const rows = selectRows({ table: name, columns: [name], orderBy: [{ column: name, isDescending: true }] });
        assert.deepEqual(rows, [["w"], ["u"]], name);
        const deleted = db.write(deleteRows, Delete, { table: name, where: equal(name, "w") });
        assert.equal(deleted.affectedRows, 1n, name);
      }
    });

    it("are compared as SQLite does: ASCII letters in any case, others exactly", () => {
      db.exec('CREATE TABLE "Tä" ("Öx" TEXT)');
      db.write(insert, Insert, { table: "tä", columns: ["ÖX"], rows: rowsOf(["v"]) });
      assert.throws(() => selectRows({ table: "TÄ" }), failsWith("TABLE_NOT_FOUND", "table"));
      assert.throws(() => selectRows({ table: "Tä", columns: ["öx"] }), failsWith("INVALID_REQUEST", "columns[0]"));
    });

    it("of tables that are not there are not found", () => {
      db.exec("CREATE TABLE t (a)");
      for (const table of ["nope", "", "main.t", '"t"', "t; DROP TABLE t", "t\0", "t\0x", "temp.t", "t "]) {
        const rows = rowsOf([1n]);
        assert.throws(() => db.write(insert, Insert, { table, rows }), failsWith("TABLE_NOT_FOUND", "table"));
        assert.throws(() => db.write(deleteRows, Delete, { table, allRows: true }), failsWith("TABLE_NOT_FOUND"));
        assert.throws(() => selectRows({ table }), failsWith("TABLE_NOT_FOUND", "table"));
      }
    });

    it("whose table is between two statements of a migration are answered as such", () => {
      db.exec("CREATE TABLE temp_files (a)");
      assert.throws(() => selectRows({ table: "files" }), failsWith("TEMP_TABLE_STATE", "table"));
    });

    it("of functions that SQLite offers as tables do not stand in the way", () => {
      db.exec(`CREATE TABLE pragma_table_xinfo (a); CREATE TABLE pragma_table_list (a); CREATE TABLE t (a)`);
      db.write(insert, Insert, { table: "t", rows: rowsOf([1n]) });
      db.write(insert, Insert, { table: "pragma_table_list", rows: rowsOf([1n]) });
      assert.deepEqual(selectRows({ table: "t" }), [[1n]]);
    });
  });

  describe("tables that clients may not write", () => {
    it("are those of SQLite, of virtual tables and of the driver", () => {
      db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (1); ANALYZE;
               CREATE VIRTUAL TABLE f USING fts5(x)`);
      const tables = ["sqlite_schema", "SQLITE_SEQUENCE", "sqlite_stat1", "f_data", "F_CONTENT", "driver_state"];
      for (const table of [...tables, "Driver_Requests"]) {
        const before = db.rows(`SELECT count(*) FROM ${table}`);
        const refused = failsWith("STATEMENT_NOT_ALLOWED", "table");
        assert.throws(() => db.write(insert, Insert, { table, rows: rowsOf([1n]) }), refused);
        assert.throws(() => db.write(deleteRows, Delete, { table, allRows: true }), refused);
        const set = { value: toValue(1n) };
        assert.throws(() => db.write(update, Update, { table, set, allRows: true }), refused);
        assert.deepEqual(db.rows(`SELECT count(*) FROM ${table}`), before);
      }
    });

    it("can be read", () => {
      db.exec("CREATE TABLE t (a)");
      const rows = selectRows({ table: "sqlite_schema", columns: ["name"], where: equal("name", "t") });
      assert.deepEqual(rows, [["t"]]);
    });

    it("are not the full-text table itself, except for its commands", () => {
      db.exec("CREATE VIRTUAL TABLE f USING fts5(x)");
      db.write(insert, Insert, { table: "f", rows: rowsOf(["some words"]) });
      assert.deepEqual(selectRows({ table: "f", where: equal("f", "words") }), [["some words"]]);
      assert.throws(
        () => db.write(insert, Insert, { table: "f", columns: ["f"], rows: rowsOf(["delete-all"]) }),
        failsWith("INVALID_REQUEST", "columns[0]"),
      );
    });

    it("are views, unless a trigger writes for them", () => {
      db.exec(`CREATE TABLE t (a); CREATE VIEW v AS SELECT a FROM t; CREATE VIEW w AS SELECT a FROM t;
               CREATE TRIGGER tr INSTEAD OF INSERT ON w BEGIN INSERT INTO t VALUES (new.a); END`);
      assert.throws(() => db.write(insert, Insert, { table: "v", rows: rowsOf([1n]) }), failsWith("SQL_ERROR"));
      const { affectedRows, lastInsertRowid } = db.write(insert, Insert, { table: "w", rows: rowsOf([1n]) });
      assert.deepEqual([affectedRows, lastInsertRowid], [0n, undefined], "as SQLite counts it");
      assert.deepEqual(selectRows({ table: "v" }), [[1n]]);
    });
  });

  describe("update and delete", () => {
    beforeEach(() => db.exec("CREATE TABLE t (a, b, g AS (a)); INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, NULL)"));

    it("change the rows that match and count them", () => {
      const set = { b: toValue("z"), A: toValue(MIN_INT64) };
      const { affectedRows, commitSeq } = db.write(update, Update, { table: "t", set, where: equal("a", 2n) });
      assert.equal(affectedRows, 1n);
      assert.ok(commitSeq > 0n);
      assert.deepEqual(db.rows("SELECT a, b FROM t"), [
        [1n, "x"],
        [MIN_INT64, "z"],
        [3n, null],
      ]);
      assert.equal(db.write(deleteRows, Delete, { table: "t", where: equal("a", 77n) }).affectedRows, 0n);
      assert.equal(db.write(deleteRows, Delete, { table: "t", where: equal("a", 1n) }).affectedRows, 1n);
      assert.equal(db.write(deleteRows, Delete, { table: "t", allRows: true }).affectedRows, 2n);
    });

    it("want either a condition or all_rows", () => {
      const set = { b: toValue(1n) };
      for (const [where, allRows, field] of [
        [undefined, false, "where"],
        [equal("a", 1n), true, "all_rows"],
      ] as const) {
        const condition = where === undefined ? {} : { where };
        const request = { table: "t", allRows, ...condition };
        assert.throws(() => db.write(update, Update, { ...request, set }), failsWith("INVALID_REQUEST", field));
        assert.throws(() => db.write(deleteRows, Delete, request), failsWith("INVALID_REQUEST", field));
      }
      assert.equal(db.rows("SELECT 1 FROM t WHERE b = 1").length, 0);
      const everyRow = db.write(update, Update, { table: "t", set, allRows: true });
      assert.equal(everyRow.affectedRows, 3n);
    });

    it("do not take an empty condition for no condition", () => {
      const where = create(ConditionSchema);
      assert.throws(() => db.write(deleteRows, Delete, { table: "t", where }), failsWith("INVALID_REQUEST", "where"));
      const emptyList = create(ConditionSchema, { kind: { case: "allOf", value: { conditions: [] } } });
      assert.throws(
        () => db.write(deleteRows, Delete, { table: "t", where: emptyList }),
        failsWith("INVALID_REQUEST", "where.all_of"),
      );
      assert.equal(db.rows("SELECT 1 FROM t").length, 3);
    });

    it("refuse columns that are not there, generated or given twice", () => {
      const cases: [Record<string, ReturnType<typeof toValue>>, string][] = [
        [{}, "set"],
        [{ nope: toValue(1n) }, "set[nope]"],
        [{ rowid: toValue(1n) }, "set[rowid]"],
        [{ g: toValue(1n) }, "set[g]"],
        [{ b: toValue(1n), B: toValue(2n) }, "set[B]"],
        [{ "a = 1, b": toValue(1n) }, "set[a = 1, b]"],
      ];
      for (const [set, field] of cases) {
        assert.throws(
          () => db.write(update, Update, { table: "t", set, allRows: true }),
          failsWith("INVALID_REQUEST", field),
        );
      }
      assert.throws(
        () => db.write(update, Update, { table: "t", set: { a: {} }, allRows: true }),
        failsWith("INVALID_REQUEST", "set[a]"),
      );
    });

    it("do not count rows that a cascade deleted", () => {
      db.exec(`CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
               CREATE TABLE c (p REFERENCES p ON DELETE CASCADE); INSERT INTO c VALUES (1), (1)`);
      assert.equal(db.write(deleteRows, Delete, { table: "p", allRows: true }).affectedRows, 1n);
      assert.deepEqual(db.rows("SELECT * FROM c"), []);
    });
  });

  describe("select", () => {
    it("answers columns first, once, also when there is no row", () => {
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(20), x)");
      const [first, ...others] = db.stream(select, Select, { table: "t" });
      assert.deepEqual(others, []);
      assert.deepEqual(
        first?.columns.map(({ name, declaredType }) => [name, declaredType]),
        [
          ["id", "INTEGER"],
          ["name", "VARCHAR(20)"],
          ["x", ""],
        ],
      );
    });

    it("streams many rows in messages of useful size, with the columns in the first", () => {
      db.exec(`CREATE TABLE t (a, b);
               WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
               INSERT INTO t SELECT i, printf('%0100d', i) FROM n`);
      const messages = db.stream(select, Select, { table: "t" });
      assert.ok(messages.length > 10);
      const sizes = messages.map((message) => toBinary(SelectResponseSchema, message).length);
      assert.ok(
        sizes.slice(0, -1).every((bytes) => bytes >= 32 * 1024 && bytes <= 64 * 1024),
        String(sizes),
      );
      assert.deepEqual(
        messages.map(({ columns }) => columns.length > 0),
        messages.map((_message, index) => index === 0),
      );
      const answered = messages.flatMap(({ rows }) => rows.map(({ values }) => values.map(fromValue)));
      assert.deepEqual(answered, db.rows("SELECT * FROM t"));
    });

    it("orders, limits and leaves out", () => {
      db.exec("CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 'x'), (2, 'x'), (3, 'y'), (NULL, 'y')");
      const orderBy = [{ column: "b", isDescending: true }, { column: "A" }];
      assert.deepEqual(selectRows({ table: "t", columns: ["a"], orderBy }), [[null], [3n], [1n], [2n]]);
      assert.deepEqual(selectRows({ table: "t", columns: ["a"], orderBy, limit: 2n, offset: 1n }), [[3n], [1n]]);
      assert.deepEqual(selectRows({ table: "t", columns: ["a"], orderBy, offset: 3n }), [[2n]]);
      assert.deepEqual(selectRows({ table: "t", limit: 0n }), []);
      assert.equal(selectRows({ table: "t", limit: 2n ** 64n - 1n }).length, 4);
      assert.deepEqual(selectRows({ table: "t", offset: 2n ** 64n - 1n }), []);
    });

    it("answers generated columns but not hidden ones, and columns twice when asked to", () => {
      db.exec("CREATE TABLE t (a, g AS (a + 1)); INSERT INTO t (a) VALUES (1); CREATE VIRTUAL TABLE f USING fts5(x)");
      assert.deepEqual(selectRows({ table: "t" }), [[1n, 2n]]);
      assert.deepEqual(selectRows({ table: "t", columns: ["G", "a", "g"] }), [[2n, 1n, 2n]]);
      const [message] = db.stream(select, Select, { table: "f" });
      assert.deepEqual(
        message?.columns.map(({ name }) => name),
        ["x"],
      );
    });

    it("refuses unknown columns wherever they stand", () => {
      db.exec("CREATE TABLE t (a)");
      const cases: [Parameters<typeof selectRows>[0], string][] = [
        [{ table: "t", columns: ["a", "b"] }, "columns[1]"],
        [{ table: "t", columns: ["*"] }, "columns[0]"],
        [{ table: "t", columns: ["count(*)"] }, "columns[0]"],
        [{ table: "t", orderBy: [{ column: "1" }] }, "order_by[0].column"],
        [{ table: "t", orderBy: [{ column: "a DESC; DROP TABLE t" }] }, "order_by[0].column"],
        [{ table: "t", where: equal("rowid", 1n) }, "where.comparison.column"],
      ];
      for (const [request, field] of cases) {
        assert.throws(() => selectRows(request), failsWith("INVALID_REQUEST", field));
      }
    });

    it("answers bytes that are not UTF-8 as U+FFFD", () => {
      db.exec("CREATE TABLE t (a); INSERT INTO t VALUES (CAST(x'61EDA08062FF' AS TEXT))");
      const [[text] = []] = selectRows({ table: "t" });
      assert.match(String(text), /^a\uFFFD+b\uFFFD$/);
    });

    it("reads the last committed state only", () => {
      db.exec("CREATE TABLE t (a); BEGIN; INSERT INTO t VALUES (1)");
      assert.deepEqual(selectRows({ table: "t" }), []);
      db.exec("COMMIT");
      assert.deepEqual(selectRows({ table: "t" }), [[1n]]);
    });
  });
});
