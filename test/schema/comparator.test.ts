import assert from "node:assert/strict";
import { compareSchemas, SchemaComparator } from "../../src/schema/comparator.js";
import { describeChange, isEmptyDiff } from "../../src/schema/diff.js";
import { affinityOf } from "../../src/schema/model.js";
import { readWantedSchema } from "../../src/schema/wanted-schema.js";
import { kindsOf, migrate } from "../support/migrate.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";

function changes(live: string, wanted: string): string[] {
  const diff = compareSchemas(readWantedSchema(live), readWantedSchema(wanted));
  return diff.changedTables.flatMap((table) => table.changes.map(describeChange));
}

function assertSame(live: string, wanted: string): void {
  const diff = compareSchemas(readWantedSchema(live), readWantedSchema(wanted));
  assert.ok(
    isEmptyDiff(diff),
    `${live}\n${wanted}\n${JSON.stringify(
      diff.changedTables.map(({ changes: all }) => all),
      null,
      1,
    )}`,
  );
}

function assertDifferent(live: string, wanted: string): void {
  assert.ok(!isEmptyDiff(compareSchemas(readWantedSchema(live), readWantedSchema(wanted))), `${live}\n${wanted}`);
}

const files = (columns: string) => `CREATE TABLE files (${columns});`;

describe("compareSchemas()", () => {
  afterEach(removeScratchDatabases);

  it("E2 sees through quoting, comments, white space, case and what ALTER TABLE writes", () => {
    assertSame(
      'CREATE TABLE "files" ([id] INTEGER PRIMARY KEY, `path name` TEXT NOT NULL, "size" INT CHECK ("size" > 0)) -- one',
      'create table files(id integer primary key /* the key */,\n\t"path name" text not null,\n size int check(SIZE>0));',
    );
    const { connection } = scratchDatabase(files("id INTEGER PRIMARY KEY, a TEXT"));
    connection.exec(`ALTER TABLE files ADD COLUMN b TEXT DEFAULT 'x' CHECK (b <> ''); ALTER TABLE files RENAME COLUMN a TO c;
      ALTER TABLE files RENAME TO moved; ALTER TABLE moved RENAME TO files; ALTER TABLE files ADD CONSTRAINT k CHECK (c > 0);`);
    const wanted = files(
      "id INTEGER PRIMARY KEY, c TEXT, b TEXT DEFAULT 'x' CHECK (b <> ''), CONSTRAINT k CHECK (c > 0)",
    );
    assert.ok(isEmptyDiff(new SchemaComparator(connection, wanted).compareSchemas()));
  });

  it("E3 takes INT for INTEGER, except where it decides whether the column is the rowid", () => {
    assertSame(files("a INT, b VARCHAR(20)"), files("a INTEGER, b TEXT"));
    assert.deepEqual(
      changes(files("id INT PRIMARY KEY"), files("id INTEGER PRIMARY KEY")).at(-1),
      "the primary key differs",
    );
    assertDifferent(files("id INTEGER PRIMARY KEY DESC"), files("id INTEGER PRIMARY KEY"));
  });

  it("E4 computes affinities as SQLite does", () => {
    const types = [
      "FLOATING POINT",
      "CHARINT",
      "STRING",
      "DATETIME",
      "",
      "DOUBLE",
      "NVARCHAR(3)",
      "CLOB",
      "BLOB",
      "DECIMAL(10,5)",
      "BOOLEAN",
      "REAL",
    ];
    const { connection } = scratchDatabase(files(types.map((type, index) => `c${index} ${type}`).join(", ")));
    connection.exec(`INSERT INTO files VALUES (${types.map(() => "'5.0'").join(", ")})`);
    const stored = { INTEGER: "5", NUMERIC: "5", REAL: "5.0", TEXT: "'5.0'", BLOB: "'5.0'" };
    const actual = connection
      .prepare(`SELECT ${types.map((_, index) => `quote(c${index})`).join(", ")} FROM files`)
      .raw()
      .get();
    assert.deepEqual(
      types.map((type) => stored[affinityOf(type)]),
      actual,
    );
    assert.equal(affinityOf("FLOATING POINT"), "INTEGER");
  });

  it("E5 normalises defaults and keeps strings apart from keywords", () => {
    const same = [
      ["1", "(1)"],
      ["TRUE", "1"],
      ["+1", "1"],
      ["'x'", "('x')"],
      ["x'0a'", "X'0A'"],
      ["abc", "'abc'"],
      ["CURRENT_TIMESTAMP", "current_timestamp"],
      ["(julianday('now'))", "( JULIANDAY ( 'now' ) )"],
    ];
    for (const [a, b] of same) assertSame(files(`a DEFAULT ${a}`), files(`a DEFAULT ${b}`));
    assertSame(files("a DEFAULT NULL"), files("a"));
    const different = [
      ["1", "'1'"],
      ["-1", "1"],
      ["CURRENT_TIMESTAMP", "'CURRENT_TIMESTAMP'"],
      ["TRUE", "'TRUE'"],
      ["'x'", "'X'"],
      ["x'00'", "'00'"],
      ["NULL", "'NULL'"],
    ];
    for (const [a, b] of different) assertDifferent(files(`a DEFAULT ${a}`), files(`a DEFAULT ${b}`));
  });

  it("E6 finds no constraint inside texts and actions", () => {
    const wanted = readWantedSchema(`CREATE TABLE p (id INTEGER PRIMARY KEY);
      ${files("a TEXT DEFAULT 'NOT NULL UNIQUE' CHECK (a NOT NULL OR a <> 'PRIMARY KEY, CHECK ('), b INT REFERENCES p ON DELETE SET NULL ON UPDATE SET DEFAULT")}`);
    const table = wanted.tables.get("files");
    assert.deepEqual(
      table?.columns.map(({ notNull }) => notNull),
      [undefined, undefined],
    );
    assert.equal(table?.checks[0]?.expression, "a not null or a != 'PRIMARY KEY, CHECK ('");
    assert.equal(table?.foreignKeys[0]?.onDelete, "SET NULL");
    assert.deepEqual([table?.uniques, table?.primaryKey], [[], undefined]);
  });

  it("E7 takes both spellings of a generated column for the same", () => {
    assertSame(files("a, b AS (a+1)"), files("a, b GENERATED ALWAYS AS ( a + 1 ) VIRTUAL"));
    assertDifferent(files("a, b AS (a+1)"), files("a, b AS (a+1) STORED"));
    assertDifferent(files("a, b AS (a+1)"), files("a, b AS (a+2)"));
  });

  it("E8 distinguishes UNIQUE in a table from a unique index, but not in column from in table", () => {
    assertSame(files("a UNIQUE, b"), files("a, b, CONSTRAINT named UNIQUE (a)"));
    assertSame(files("a UNIQUE PRIMARY KEY"), files("a PRIMARY KEY"));
    assertDifferent(files("a UNIQUE"), `${files("a")} CREATE UNIQUE INDEX u ON files (a);`);
    assertDifferent(files("a UNIQUE"), files("a UNIQUE ON CONFLICT REPLACE"));
    assertDifferent(files("a, b, UNIQUE (a, b)"), files("a, b, UNIQUE (b, a)"));
  });

  it("E9 detects a change of COLLATE, DESC, WHERE or an expression alone", () => {
    const index = (body: string) => `${files("a TEXT, b TEXT")} CREATE INDEX i ON files ${body};`;
    const bodies = [
      "(a)",
      "(a COLLATE NOCASE)",
      "(a DESC)",
      "(a) WHERE b > 1",
      "(a) WHERE b > 2",
      "(lower(a))",
      "(upper(a))",
      "(a, b)",
    ];
    for (const [position, body] of bodies.entries()) {
      for (const other of bodies.slice(position + 1)) assertDifferent(index(body), index(other));
    }
    assertSame(index("(a ASC) WHERE (b > 1)"), index("(a COLLATE binary) where ( b>1 )"));
    assertDifferent(files("a TEXT"), files("a TEXT COLLATE NOCASE"));
  });

  it("E10 detects a change of type, NOT NULL or DEFAULT alone", () => {
    assert.deepEqual(changes(files("a TEXT"), files("a INTEGER")), ["column a: type TEXT → INTEGER"]);
    assert.deepEqual(changes(files("a TEXT"), files("a TEXT NOT NULL")), ["column a: NULL → NOT NULL"]);
    assert.deepEqual(changes(files("a TEXT"), files("a TEXT DEFAULT 'x'")), ["column a: no default → DEFAULT 'x'"]);
  });

  it("E11 takes names that differ in case only for the same", () => {
    assertSame(
      `${files("Path TEXT")} CREATE INDEX I ON FILES (PATH);`,
      "CREATE TABLE FILES (path TEXT); CREATE INDEX i ON files (path);",
    );
  });

  it("E12 quotes names with spaces, quotes, dots, emoji, keywords and the table's own name", () => {
    const table = (type: string) =>
      `CREATE TABLE "my ""odd"" table.x" (id INTEGER PRIMARY KEY, "my ""odd"" table.x" ${type}, "a b" TEXT, "select" TEXT, "😀" TEXT, [x]]"] TEXT);`;
    const valid = (type: string) => table(type).replace('[x]]"] TEXT', '"it\'s" TEXT');
    const { connection } = scratchDatabase(
      `${valid("TEXT")} INSERT INTO "my ""odd"" table.x" VALUES (1, '5', 'b', 'c', 'd', 'e');`,
    );
    migrate(connection, valid("INTEGER"));
    assert.deepEqual(connection.prepare('SELECT * FROM "my ""odd"" table.x"').raw().all(), [
      [1, 5, "b", "c", "d", "e"],
    ]);
  });

  it("ignores the order of columns and tables that are not wanted", () => {
    assertSame(files("a, b"), files("b, a"));
    assertSame(`${files("a")} CREATE TABLE mine (x);`, files("a"));
  });

  it("generates the statements that the plan runs", () => {
    const { connection } = scratchDatabase(
      `${files("id INTEGER PRIMARY KEY, size TEXT")} CREATE INDEX i ON files (size);`,
    );
    const wanted = `${files("id INTEGER PRIMARY KEY, size INTEGER")} CREATE INDEX i ON files (size);`;
    const comparator = new SchemaComparator(connection, wanted);
    const script = comparator.generateMigrationSql(comparator.compareSchemas());
    const { plan } = migrate(
      scratchDatabase(`${files("id INTEGER PRIMARY KEY, size TEXT")} CREATE INDEX i ON files (size);`).connection,
      wanted,
    );
    assert.deepEqual(
      script.slice(2, -1),
      plan.operations.flatMap(({ steps }) => steps.map(({ sql }) => sql)),
    );
    for (const statement of script) connection.exec(statement);
    assert.ok(isEmptyDiff(comparator.compareSchemas()));
  });
});

describe("alterTable()", () => {
  afterEach(removeScratchDatabases);

  const columns = "id INTEGER PRIMARY KEY, a TEXT, n INT";
  const cases: readonly [name: string, live: string, wanted: string, kind: "alter-table" | "rebuild-table"][] = [
    ["adds a column with a constant default", columns, `${columns}, b TEXT NOT NULL DEFAULT 'x'`, "alter-table"],
    [
      "adds a column with a CHECK and a foreign key",
      columns,
      `${columns}, b INT CHECK (b > 0) REFERENCES files`,
      "alter-table",
    ],
    ["adds a computed column", columns, `${columns}, b AS (n + 1)`, "alter-table"],
    ["rebuilds for a default that is computed", columns, `${columns}, b TEXT DEFAULT (date('now'))`, "rebuild-table"],
    ["rebuilds for a stored computed column", columns, `${columns}, b AS (n + 1) STORED`, "rebuild-table"],
    ["rebuilds for a new UNIQUE column", columns, `${columns}, b TEXT UNIQUE`, "rebuild-table"],
    ["sets NOT NULL", columns, columns.replace("n INT", "n INT NOT NULL"), "alter-table"],
    ["drops NOT NULL", columns.replace("n INT", "n INT NOT NULL"), columns, "alter-table"],
    ["adds a named CHECK", columns, `${columns}, CONSTRAINT k CHECK (n > 0)`, "alter-table"],
    ["adds an unnamed CHECK", columns, `${columns}, CHECK (n > 0)`, "alter-table"],
    ["drops a named CHECK", `${columns}, CONSTRAINT k CHECK (n > 0)`, columns, "alter-table"],
    [
      "drops a named CHECK in a column",
      columns.replace("n INT", "n INT CONSTRAINT k CHECK (n > 0)"),
      columns,
      "alter-table",
    ],
    ["rebuilds to drop an unnamed CHECK", `${columns}, CHECK (n > 0)`, columns, "rebuild-table"],
    [
      "rebuilds to drop one of two CHECKs with one name",
      `${columns}, CONSTRAINT k CHECK (n > 0), CONSTRAINT k CHECK (n < 9)`,
      `${columns}, CONSTRAINT k CHECK (n > 0)`,
      "rebuild-table",
    ],
    ["rebuilds for a DEFAULT", columns, columns.replace("n INT", "n INT DEFAULT 5"), "rebuild-table"],
    ["rebuilds for a foreign key", columns, columns.replace("n INT", "n INT REFERENCES files"), "rebuild-table"],
    ["rebuilds for COLLATE", columns, columns.replace("a TEXT", "a TEXT COLLATE NOCASE"), "rebuild-table"],
    ["rebuilds for AUTOINCREMENT", columns, columns.replace("KEY", "KEY AUTOINCREMENT"), "rebuild-table"],
    ["rebuilds to and from STRICT", columns, `${columns}) STRICT; --`, "rebuild-table"],
  ];
  for (const [name, live, wanted, kind] of cases) {
    it(name, () => {
      const { connection } = scratchDatabase(
        `${files(live)} INSERT INTO files (id, a, n) VALUES (1, 'x', 1), (2, 'y', 1);`,
      );
      const wantedSql = wanted.endsWith("--") ? `CREATE TABLE files (${wanted}\n` : files(wanted);
      assert.deepEqual(kindsOf(migrate(connection, wantedSql).plan), [`${kind} files`]);
      assert.deepEqual(connection.prepare("SELECT id, a, n FROM files").raw().all(), [
        [1, "x", 1],
        [2, "y", 1],
      ]);
    });
  }

  it("drops a column where SQLite allows it and rebuilds where it does not", () => {
    for (const [live, kind] of [
      ["a, b TEXT", "alter-table files"],
      ["a, b TEXT UNIQUE", "rebuild-table files"],
      ["a, b TEXT, CHECK (b > a)", "rebuild-table files"],
    ] as const) {
      const { connection } = scratchDatabase(`${files(live)} INSERT INTO files VALUES (1, 2);`);
      assert.deepEqual(kindsOf(migrate(connection, files("a"), { allow: ["drop-column:files.b"] }).plan), [kind]);
    }
  });
});
