import assert from "node:assert/strict";
import type { MessageInitShape } from "@bufbuild/protobuf";
import fc from "fast-check";
import {
  CreateTableRequestSchema,
  CreateTableResponseSchema,
  DropTableRequestSchema,
  DropTableResponseSchema,
  ForeignKeyAction,
} from "../../../gen/code_analysis/driver/v1/schema_pb.js";
import { createTable, dropTable } from "../../../src/workers/operations/table-ddl.js";
import { expressionSql } from "../../../src/workers/operations/table-definition.js";
import type { SqliteValue } from "../../../src/workers/wire-writer.js";
import { failsWith, TestDatabase, toValue } from "../../support/session.js";
import { useTempFolder } from "../../support/temp-folder.js";

type Request = MessageInitShape<typeof CreateTableRequestSchema>;

const Create = [CreateTableRequestSchema, CreateTableResponseSchema] as const;
const Drop = [DropTableRequestSchema, DropTableResponseSchema] as const;

describe("createTable and dropTable", () => {
  const folder = useTempFolder();
  let db: TestDatabase;
  beforeEach(() => {
    db = new TestDatabase(folder("test.db"));
  });
  afterEach(() => db.close());

  const make = (request: Request) => db.write(createTable, Create, request);
  const schema = () => db.rows("SELECT type, name, sql FROM sqlite_schema ORDER BY name");

  describe("createTable", () => {
    it("makes what SQLite makes of the same statement", () => {
      db.exec("CREATE TABLE parent (x, y, UNIQUE (x, y))");
      const { created, sql, commitSeq } = make({
        table: "child",
        columns: [
          { name: "id", type: "INTEGER" },
          { name: "name", type: "VARCHAR(20)", isNotNull: true, collation: "nocase" },
          { name: "a", type: "TEXT", default: { case: "defaultValue", value: toValue("it's") } },
          { name: "b", default: { case: "defaultExpression", value: "julianday('now')" } },
        ],
        primaryKey: ["id"],
        isAutoincrement: true,
        uniqueConstraints: [{ columns: ["name", "a"] }],
        checks: ["a <> 'x)' AND (b > 0 OR b IS NULL)"],
        foreignKeys: [
          {
            columns: ["a", "b"],
            referencedTable: "parent",
            referencedColumns: ["x", "y"],
            onDelete: ForeignKeyAction.CASCADE,
            onUpdate: ForeignKeyAction.SET_NULL,
            isDeferred: true,
          },
        ],
        isStrict: false,
      });
      assert.equal(created, true);
      assert.ok(commitSeq > 0n);
      db.exec(
        `CREATE TABLE twin (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(20) NOT NULL COLLATE NOCASE,
        a TEXT DEFAULT 'it''s', b DEFAULT (julianday('now')), UNIQUE (name, a), CHECK (a <> 'x)' AND (b > 0 OR b IS NULL)),
        FOREIGN KEY (a, b) REFERENCES parent (x, y) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED)`.replace(
          "other.child",
          "twin",
        ),
      );
      for (const pragma of ["table_xinfo", "foreign_key_list"]) {
        assert.deepEqual(db.rows(`PRAGMA ${pragma}(child)`), db.rows(`PRAGMA ${pragma}(twin)`), pragma);
      }
      const [[index] = []] = db.rows("SELECT name FROM pragma_index_list('child')") as string[][];
      const [[twinIndex] = []] = db.rows("SELECT name FROM pragma_index_list('twin')") as string[][];
      assert.deepEqual(db.rows(`PRAGMA index_xinfo(${index})`), db.rows(`PRAGMA index_xinfo(${twinIndex})`));
      assert.deepEqual(db.rows("SELECT sql FROM sqlite_schema WHERE name = 'child'"), [[sql]]);
      db.exec(`INSERT INTO child (id, name, a) VALUES (5, 'n', NULL); DELETE FROM child;
               INSERT INTO child (name, a) VALUES ('m', NULL)`);
      assert.deepEqual(db.rows("SELECT id FROM child"), [[6n]], "AUTOINCREMENT");
      assert.throws(() => db.exec("INSERT INTO child (name, a) VALUES ('n', 'x)')"), /CHECK/);
      db.exec("BEGIN; INSERT INTO child (name, a, b) VALUES ('o', 1, 1)");
      assert.throws(() => db.exec("COMMIT"), /FOREIGN KEY/, "checked at COMMIT");
      db.exec("ROLLBACK");
    });

    it("makes STRICT tables and tables without rowid", () => {
      make({
        table: "t",
        columns: [
          { name: "a", type: "INT" },
          { name: "b", type: "any" },
        ],
        primaryKey: ["b", "a"],
        withoutRowid: true,
        isStrict: true,
      });
      assert.deepEqual(db.rows("SELECT wr, strict FROM pragma_table_list('t')"), [[1n, 1n]]);
      assert.throws(
        () => make({ table: "u", columns: [{ name: "a", type: "VARCHAR(2)" }], isStrict: true }),
        failsWith("SQL_ERROR"),
      );
    });

    it("gives a default exactly the value that was asked for", () => {
      const anyConstant: fc.Arbitrary<SqliteValue> = fc.oneof(
        fc.constant(null),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n)),
        fc.double({ noNaN: true }),
        fc.constantFrom(-0, 0, 1e21, 5e-324, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY),
        fc.string({ unit: "binary" }),
        fc.constantFrom("'", "a\0b", "\0", "CURRENT_TIME", "');DROP TABLE x;--"),
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      );
      let count = 0;
      fc.assert(
        fc.property(anyConstant, (constant) => {
          const table = `t${count++}`;
          make({
            table,
            columns: [{ name: "a" }, { name: "d", default: { case: "defaultValue", value: toValue(constant) } }],
          });
          db.exec(`INSERT INTO ${table} (a) VALUES (1)`);
          const [[value] = []] = db.rows(`SELECT d FROM ${table}`) as SqliteValue[][];
          assert.deepStrictEqual(value, constant);
        }),
        { numRuns: 120 },
      );
    });

    it("takes names of any spelling", () => {
      for (const name of ['a"b', "a'b", "select", " ", "é😀", "a;b--", "[x]", "x) STRICT", "__proto__", "%s"]) {
        make({
          table: name,
          columns: [{ name, type: "INTEGER" }, { name: "other" }],
          primaryKey: [name],
          uniqueConstraints: [{ columns: ["other", name] }],
          foreignKeys: [{ columns: [name], referencedTable: name, referencedColumns: [name] }],
        });
        const quoted = `"${name.replaceAll('"', '""')}"`;
        assert.equal((db.rows(`PRAGMA table_info(${quoted})`)[0] as unknown[])[1], name);
        assert.equal(db.write(dropTable, Drop, { table: name }).dropped, true);
      }
    });

    it("says what is there already, or leaves it when asked to", () => {
      db.exec("CREATE TABLE Some (a); CREATE VIEW seen AS SELECT 1; CREATE INDEX idx ON Some (a)");
      const columns = [{ name: "x" }];
      assert.throws(() => make({ table: "some", columns }), failsWith("TABLE_ALREADY_EXISTS", "table"));
      assert.throws(() => make({ table: "SEEN", columns }), failsWith("TABLE_ALREADY_EXISTS", "table"));
      const left = make({ table: "some", columns, ifNotExists: true });
      assert.equal(left.created, false);
      assert.equal(left.sql, "CREATE TABLE Some (a)");
      assert.equal(make({ table: "seen", columns, ifNotExists: true }).sql, "CREATE VIEW seen AS SELECT 1");
      assert.throws(() => make({ table: "idx", columns }), failsWith("SQL_ERROR"));
    });

    it("refuses what is not a table definition, with the part of the request", () => {
      const a = [{ name: "a", type: "INTEGER" }];
      const ab = [{ name: "a" }, { name: "b" }];
      const cases: [Request, string][] = [
        [{ table: "", columns: a }, "table"],
        [{ table: "x\0y", columns: a }, "table"],
        [{ table: "SQLite_x", columns: a }, "table"],
        [{ table: "Temp_x", columns: a }, "table"],
        [{ table: "driver_state", columns: a, ifNotExists: false }, "table"],
        [{ table: "t" }, "columns"],
        [{ table: "t", columns: [{ name: "" }] }, "columns[0].name"],
        [{ table: "t", columns: [{ name: "a\0" }] }, "columns[0].name"],
        [{ table: "t", columns: [{ name: "a" }, { name: "A" }] }, "columns[1].name"],
        [{ table: "t", columns: [{ name: "a", collation: "x" }] }, "columns[0].collation"],
        [{ table: "t", columns: [{ name: "a", collation: "BINARY, b" }] }, "columns[0].collation"],
        [
          { table: "t", columns: [{ name: "a", default: { case: "defaultValue", value: toValue(Number.NaN) } }] },
          "columns[0].default_value",
        ],
        [
          { table: "t", columns: [{ name: "a", default: { case: "defaultValue", value: {} } }] },
          "columns[0].default_value",
        ],
        [{ table: "t", columns: a, primaryKey: ["b"] }, "primary_key[0]"],
        [{ table: "t", columns: ab, primaryKey: ["a", "A"] }, "primary_key[1]"],
        [{ table: "t", columns: a, isAutoincrement: true }, "is_autoincrement"],
        [{ table: "t", columns: ab, primaryKey: ["a"], isAutoincrement: true }, "is_autoincrement"],
        [{ table: "t", columns: a, primaryKey: ["a"], isAutoincrement: true, withoutRowid: true }, "is_autoincrement"],
        [{ table: "t", columns: a, withoutRowid: true }, "without_rowid"],
        [{ table: "t", columns: a, uniqueConstraints: [{}] }, "unique_constraints[0].columns"],
        [{ table: "t", columns: a, uniqueConstraints: [{ columns: ["z"] }] }, "unique_constraints[0].columns[0]"],
        [{ table: "t", columns: a, foreignKeys: [{ referencedTable: "p" }] }, "foreign_keys[0].columns"],
        [{ table: "t", columns: a, foreignKeys: [{ columns: ["a"] }] }, "foreign_keys[0].referenced_table"],
        [
          {
            table: "t",
            columns: a,
            foreignKeys: [{ columns: ["a"], referencedTable: "p", referencedColumns: ["x", "y"] }],
          },
          "foreign_keys[0].referenced_columns",
        ],
        [
          {
            table: "t",
            columns: a,
            foreignKeys: [{ columns: ["a"], referencedTable: "p", onDelete: 77 as ForeignKeyAction }],
          },
          "foreign_keys[0].on_delete",
        ],
        [{ table: "t", columns: a, checks: [""] }, "checks[0]"],
        [{ table: "t", columns: a, checks: ["  "] }, "checks[0]"],
      ];
      const before = schema();
      for (const [request, field] of cases) {
        const reason = request.table === "driver_state" ? "TABLE_ALREADY_EXISTS" : "INVALID_REQUEST";
        assert.throws(() => make(request), failsWith(reason, field));
      }
      assert.deepEqual(schema(), before);
    });

    it("does not take a constraint for a type", () => {
      const before = schema();
      const types = [
        "INTEGER PRIMARY KEY",
        "TEXT UNIQUE",
        "TEXT NOT NULL",
        "TEXT COLLATE NOCASE",
        "TEXT CHECK (1)",
        "TEXT REFERENCES other",
        "TEXT GENERATED ALWAYS",
        "GENERATED ALWAYS",
        "NULL",
        "TEXT, b TEXT",
        "TEXT); DROP TABLE t; --",
        "TEXT DEFAULT 1",
        "TEXT AS (1)",
        "TEXT CONSTRAINT x",
        "TEXT -- ",
        "TEXT /*",
        '"TEXT"',
        "(1)",
        "INT(1",
        "TEXT\n",
      ];
      for (const type of types) {
        const request = { table: "t", columns: [{ name: "a", type }, { name: "z" }] };
        assert.throws(
          () => make(request),
          (error) => {
            // SQLite itself refuses some; none may pass.
            const reason = (error as { reason?: string }).reason;
            return reason === "INVALID_REQUEST" || reason === "SQL_ERROR";
          },
          type,
        );
      }
      assert.deepEqual(schema(), before);
    });

    it("takes every spelling of a type that SQLite keeps", () => {
      for (const type of [
        "integer",
        "UNSIGNED BIG INT",
        "VARCHAR(255)",
        "decimal( 10 , -5 )",
        "double  precision",
        "Straße",
        "x(+1)",
      ]) {
        make({ table: "t", columns: [{ name: "a", type }] });
        db.write(dropTable, Drop, { table: "t" });
      }
    });

    it("lets no expression out of its parentheses", () => {
      db.exec("CREATE TABLE victim (x); INSERT INTO victim VALUES (1)");
      const before = schema();
      const expressions = [
        "1); DROP TABLE victim; --",
        "1); DROP TABLE victim",
        "1), extra TEXT, CHECK (1",
        "1) REFERENCES victim (x",
        "1) UNIQUE CHECK (1",
        "1)) AS SELECT (1",
        "1) ON CONFLICT REPLACE, UNIQUE (a",
        "1 --",
        "1 /*",
        "1 /* */",
        "'",
        "'a''",
        '"',
        "`",
        "[",
        "1;",
        ";",
        ")(",
        "((1)",
        "1\0",
        "1, 2",
        "SELECT 1",
        "(SELECT x FROM victim)",
        "",
      ];
      for (const expression of expressions) {
        for (const request of [
          { table: "t", columns: [{ name: "a" }], checks: [expression] },
          {
            table: "t",
            columns: [{ name: "a", default: { case: "defaultExpression", value: expression } as const }],
          },
        ]) {
          assert.throws(
            () => make(request),
            (error) => {
              const reason = (error as { reason?: string }).reason;
              return reason === "INVALID_REQUEST" || reason === "SQL_ERROR";
            },
            expression,
          );
        }
      }
      assert.deepEqual(schema(), before);
      assert.deepEqual(db.rows("SELECT x FROM victim"), [[1n]]);
    });

    it("makes one table with the columns that were asked for, or nothing, whatever the expression", () => {
      const part = fc.constantFrom(
        ..."( ) ' \" ` [ ] ; , -- /* */ 1 a 'x' CHECK UNIQUE ) ( b TEXT SELECT CASE WHEN THEN END + x'00' \n".split(
          " ",
        ),
      );
      fc.assert(
        fc.property(fc.array(part, { maxLength: 8 }), fc.boolean(), (parts, isDefault) => {
          const expression = parts.join(" ");
          const names = () => db.rows("SELECT name FROM sqlite_schema WHERE tbl_name NOT LIKE 'driver%'").flat();
          try {
            make({
              table: "t",
              columns: [
                { name: "a", ...(isDefault && { default: { case: "defaultExpression", value: expression } as const }) },
                { name: "z" },
              ],
              checks: isDefault ? [] : [expression],
            });
          } catch {
            assert.deepEqual(names(), [], "nothing is left");
            return;
          }
          assert.deepEqual(names(), ["t"]);
          assert.deepEqual(db.rows("SELECT name, type FROM pragma_table_xinfo('t')"), [
            ["a", ""],
            ["z", ""],
          ]);
          assert.deepEqual(db.rows("SELECT * FROM pragma_index_list('t')"), []);
          db.write(dropTable, Drop, { table: "t" });
        }),
        { numRuns: 2_000 },
      );
    });

    it("takes expressions with quotes, brackets and parentheses that match", () => {
      for (const expression of [
        "a <> ')'",
        "a <> ';--/*'",
        `"a" <> '''('`,
        "[a] > (1 + (2))",
        "`a` IS NULL",
        "a\n> 1",
      ]) {
        assert.equal(expressionSql(expression, "x"), `(${expression})`);
        make({ table: "t", columns: [{ name: "a" }], checks: [expression] });
        db.write(dropTable, Drop, { table: "t" });
      }
    });

    it("refuses a default that SQLite would notice only when a row is inserted", () => {
      for (const value of ["nosuch(1)", "count(*)", "a", "max(1)", "? "]) {
        assert.throws(
          () => make({ table: "t", columns: [{ name: "a", default: { case: "defaultExpression", value } }] }),
          failsWith("SQL_ERROR"),
        );
      }
      assert.throws(() => make({ table: "t", columns: [{ name: "a" }], checks: ["b > 0"] }), failsWith("SQL_ERROR"));
    });

    it("does not stand in the way of recovery", () => {
      db.exec("CREATE TABLE temp_files (a)");
      assert.throws(() => make({ table: "files", columns: [{ name: "a" }] }), failsWith("TEMP_TABLE_STATE", "table"));
    });
  });

  describe("dropTable", () => {
    const drop = (table: string, ifExists = false) => db.write(dropTable, Drop, { table, ifExists });

    it("drops a table with its indexes and triggers", () => {
      db.exec(`CREATE TABLE t (a); INSERT INTO t VALUES (1); CREATE INDEX i ON t (a);
               CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END`);
      assert.equal(drop("T").dropped, true);
      assert.deepEqual(db.rows("SELECT name FROM sqlite_schema WHERE name NOT LIKE '%driver%'"), []);
    });

    it("says when there is none, or not when asked so", () => {
      assert.throws(() => drop("nope"), failsWith("TABLE_NOT_FOUND", "table"));
      assert.equal(drop("nope", true).dropped, false);
    });

    it("refuses a view, and tables that are not the client's", () => {
      db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT); CREATE VIEW v AS SELECT 1;
               CREATE VIRTUAL TABLE f USING fts5(x); CREATE TABLE temp_files (a)`);
      assert.throws(() => drop("v", true), failsWith("INVALID_REQUEST", "table"));
      for (const table of [
        "f_data",
        "sqlite_sequence",
        "sqlite_schema",
        "driver_requests",
        "DRIVER_STATE",
        "temp_files",
      ]) {
        assert.throws(() => drop(table, true), failsWith("STATEMENT_NOT_ALLOWED", "table"), table);
      }
      assert.equal(drop("f").dropped, true);
      assert.deepEqual(db.rows("SELECT name FROM sqlite_schema WHERE name LIKE 'f%'"), []);
    });

    it("keeps a table that rows of others reference: no cascade may take those", () => {
      for (const action of ["CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"]) {
        db.exec(`CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
                 CREATE TABLE c (x, y, FOREIGN KEY (x) REFERENCES P ON DELETE ${action} DEFERRABLE INITIALLY DEFERRED);
                 INSERT INTO c (x) VALUES (1)`);
        assert.throws(() => drop("p"), failsWith("CONSTRAINT_FOREIGN_KEY", "table"), action);
        assert.deepEqual(db.rows("SELECT x FROM c"), [[1n]]);
        db.exec("UPDATE c SET x = NULL");
        assert.equal(drop("p").dropped, true, "a NULL references nothing");
        assert.deepEqual(db.rows("SELECT x FROM c"), [[null]]);
        db.exec("DROP TABLE c");
      }
    });

    it("without that check a cascade would take the rows of others", () => {
      db.exec(`CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1);
               CREATE TABLE c (x REFERENCES p ON DELETE CASCADE); INSERT INTO c VALUES (1); DROP TABLE p`);
      assert.deepEqual(db.rows("SELECT * FROM c"), []);
    });

    it("drops a table whose own rows reference each other", () => {
      db.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, parent REFERENCES t); INSERT INTO t VALUES (1, NULL), (2, 1)");
      assert.equal(drop("t").dropped, true);
    });
  });
});
