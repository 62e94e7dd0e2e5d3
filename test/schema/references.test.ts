import assert from "node:assert/strict";
import { applyMigration } from "../../src/schema/migration.js";
import { planMigration } from "../../src/schema/planner.js";
import type { Connection } from "../../src/sqlite/connection.js";
import { assertRefused, kindsOf, migrate } from "../support/migrate.js";
import { migrateNaively } from "../support/naive-migration.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";
import { hashTable, snapshot } from "../support/snapshot.js";

const OLD = "CREATE TABLE files (id INTEGER PRIMARY KEY, size TEXT);";
const NEW = "CREATE TABLE files (id INTEGER PRIMARY KEY, size INTEGER);";
const ROWS = "INSERT INTO files VALUES (1, '10'), (2, '20');";

/** A database whose object `name` has its strings in double quotes, as an SQLite with the DQS option would have stored it. */
function withDoubleQuotes(sql: string, name: string): Connection {
  const scratch = scratchDatabase(sql);
  const { connection } = scratch;
  connection.unsafeMode(true);
  connection.exec("PRAGMA writable_schema = ON");
  connection.prepare("UPDATE sqlite_schema SET sql = replace(sql, char(39), char(34)) WHERE name = ?").run(name);
  connection.close();
  return scratch.connect();
}

describe("migration: references to a rebuilt table", () => {
  afterEach(removeScratchDatabases);

  it("B1 leaves no view, trigger or foreign key that mentions temp_files", () => {
    const others = `CREATE TABLE kids (file INT REFERENCES files);
      CREATE VIEW sizes AS SELECT size FROM files;
      CREATE TRIGGER count_kids AFTER INSERT ON kids BEGIN UPDATE files SET size = size + 1 WHERE id = NEW.file; END;`;
    const sql = OLD + others + ROWS;
    const { connection } = scratchDatabase(sql);
    migrate(connection, NEW + others);
    connection.exec("INSERT INTO kids VALUES (1)");
    assert.deepEqual(connection.prepare("SELECT size FROM sizes").pluck().all(), [11, 20]);
    const control = scratchDatabase(sql).connection;
    migrateNaively(control, "files", NEW);
    assert.throws(() => control.exec("INSERT INTO kids VALUES (1)"), /no such table: main\.temp_files/);
  });

  it("B2 rebuilds a table under a view, where creating the new table first and renaming it fails", () => {
    const view = "CREATE VIEW v AS SELECT id FROM files;";
    const { connection } = scratchDatabase(OLD + view + ROWS);
    const { plan } = migrate(connection, NEW + view);
    assert.deepEqual(kindsOf(plan), ["rebuild-table files"]);
    const control = scratchDatabase(OLD + view + ROWS).connection;
    control.exec("CREATE TABLE new_files (id INTEGER PRIMARY KEY, size INTEGER); DROP TABLE files");
    assert.throws(() => control.exec("ALTER TABLE new_files RENAME TO files"), /error in view v: no such table/);
  });

  it("B3 finds a way round a broken view, or names it", () => {
    const view = "CREATE VIEW broken AS SELECT missing FROM files;";
    const table = (columns: string) => `CREATE TABLE files (id INTEGER PRIMARY KEY, ${columns});`;
    const { connection } = scratchDatabase(`${table("size TEXT")} ${view} ${ROWS}`);
    const steps: [wanted: string, kind: string, allow?: string][] = [
      ["size TEXT NOT NULL", "alter-table files"],
      ["size TEXT NOT NULL, added TEXT DEFAULT 'x'", "alter-table files"],
      ["size TEXT NOT NULL", "rebuild-table files", "drop-column:files.added"],
      ["size INTEGER NOT NULL", "rebuild-table files"],
    ];
    for (const [columns, kind, allow] of steps) {
      const { plan } = migrate(connection, table(columns) + view, { allow: allow === undefined ? [] : [allow] });
      assert.deepEqual(kindsOf(plan), [kind]);
    }
    assert.throws(() => connection.exec("ALTER TABLE files DROP COLUMN size"), /error in view broken/, "the control");
    assert.throws(
      () =>
        planMigration(connection, table("bytes INTEGER NOT NULL") + view, {
          renames: [{ table: "files", from: "size", to: "bytes" }],
        }),
      /view broken/,
    );
  });

  for (const constraint of ["CHECK (files.size >= 0)", "CONSTRAINT positive CHECK (files.size >= 0)"]) {
    it(`B4 rebuilds a table whose ${constraint} names it`, () => {
      const table = (type: string) => `CREATE TABLE files (id INTEGER PRIMARY KEY, size ${type}, ${constraint});`;
      const { connection } = scratchDatabase(`${table("TEXT")} ${ROWS}`);
      migrate(connection, table("INTEGER"));
      assert.deepEqual(connection.prepare("SELECT size FROM files").pluck().all(), [10, 20]);
      assert.throws(() => connection.exec("INSERT INTO files VALUES (3, -1)"), /CHECK constraint failed/);
      const control = scratchDatabase(`${table("TEXT")} ${ROWS}`).connection;
      control.pragma("legacy_alter_table = ON");
      assert.throws(() => control.exec("ALTER TABLE files RENAME TO temp_files"), /no such column: files\.size/);
    });
  }

  it("B5 takes a partial index that names its table out of the way and puts it back", () => {
    const index = "CREATE INDEX large ON files (id) WHERE files.size > 10;";
    const { connection } = scratchDatabase(OLD + index + ROWS);
    migrate(connection, NEW + index);
    const control = scratchDatabase(OLD + index + ROWS).connection;
    control.pragma("legacy_alter_table = ON");
    assert.throws(() => control.exec("ALTER TABLE files RENAME TO temp_files"), /no such column: files\.size/);
  });

  it("B6 rebuilds a table that another program wrote with strings in double quotes", () => {
    const table = (type: string, quote: string) =>
      `CREATE TABLE files (id INTEGER PRIMARY KEY, size ${type}, kind TEXT CHECK (kind <> ${quote}bad${quote}));`;
    const connection = withDoubleQuotes(`${table("TEXT", "'")} INSERT INTO files VALUES (1, '10', 'good');`, "files");
    connection.exec("BEGIN; PRAGMA legacy_alter_table = ON");
    assert.throws(() => connection.exec("ALTER TABLE files RENAME TO temp_files"), /should this be a string literal/);
    connection.exec("ROLLBACK; PRAGMA legacy_alter_table = OFF");
    migrate(connection, table("INTEGER", "'"));
    assert.deepEqual(connection.prepare("SELECT size FROM files").pluck().all(), [10]);
  });

  it("B6 names the table with strings in double quotes that stands in the way of a rename", () => {
    const other = "CREATE TABLE other (kind TEXT CHECK (kind <> 'bad'));";
    const connection = withDoubleQuotes(OLD + other + ROWS, "other");
    assertRefused(connection, NEW, /error in table other: no such column: "bad".*single quotes/);
  });

  for (const [what, sql] of [
    ["table", "CREATE TABLE temp_files (mine);"],
    ["view", "CREATE VIEW temp_files AS SELECT 1;"],
    ["index", "CREATE INDEX temp_files ON files (size);"],
  ] as const) {
    it(`B10 refuses when a ${what} is called temp_files`, () => {
      const { connection } = scratchDatabase(OLD + sql + ROWS);
      assertRefused(connection, NEW, /temp_files exists/);
      if (what === "view") return;
      assert.throws(() => connection.exec("ALTER TABLE files RENAME TO temp_files"), /already another table or index/);
    });
  }

  it("B11 never means a TEMP object of the same name", () => {
    const others = "CREATE INDEX by_size ON files (size); CREATE TRIGGER t AFTER INSERT ON files BEGIN SELECT 1; END;";
    const { connection } = scratchDatabase(OLD + others + ROWS);
    connection.exec(
      "CREATE TEMP TABLE files (id INTEGER PRIMARY KEY, size TEXT); INSERT INTO temp.files VALUES (7, 'x')",
    );
    migrate(connection, NEW + others);
    assert.deepEqual(connection.prepare("SELECT size FROM main.files").pluck().all(), [10, 20]);
    assert.deepEqual(connection.prepare("SELECT * FROM temp.files").all(), [{ id: 7, size: "x" }]);
    assert.deepEqual(connection.prepare("SELECT name FROM main.sqlite_schema WHERE type <> 'table'").pluck().all(), [
      "by_size",
      "t",
    ]);
    const control = scratchDatabase(OLD + ROWS).connection;
    control.exec("CREATE TEMP TABLE files (id INTEGER PRIMARY KEY, size TEXT)");
    assert.throws(
      () => migrateNaively(control, "files", NEW.replace("TABLE files", "TABLE main.files")),
      /already exists/,
    );
  });

  it("B11 refuses while a TEMP trigger hangs on the table", () => {
    const { connection } = scratchDatabase(OLD + ROWS);
    connection.exec("CREATE TEMP TRIGGER mine AFTER INSERT ON main.files BEGIN SELECT 1; END");
    assertRefused(connection, NEW, /TEMP trigger mine on files would be lost/);
    const control = scratchDatabase(OLD + ROWS).connection;
    control.exec("CREATE TEMP TRIGGER mine AFTER INSERT ON main.files BEGIN SELECT 1; END");
    migrateNaively(control, "files", NEW);
    assert.deepEqual(control.prepare("SELECT name FROM temp.sqlite_schema").all(), [], "the naive procedure loses it");
    connection.exec("DROP TRIGGER mine");
    migrate(connection, NEW);
  });

  it("B12 restores legacy_alter_table after a failure", () => {
    const { connection } = scratchDatabase(OLD + ROWS);
    const before = snapshot(connection);
    const plan = planMigration(connection, NEW);
    const onStep = (sql: string) => {
      if (sql.startsWith("CREATE TABLE")) throw new Error("failpoint");
    };
    assert.throws(() => applyMigration(connection, plan, { onStep }), /failpoint/);
    assert.equal(connection.pragma("legacy_alter_table", { simple: true }), 0);
    assert.equal(connection.inTransaction, false);
    assert.deepEqual(snapshot(connection), before);
    assert.equal(hashTable(connection, "files").rows, 2);
    connection.exec("BEGIN; PRAGMA legacy_alter_table = ON; ROLLBACK");
    assert.equal(connection.pragma("legacy_alter_table", { simple: true }), 1, "the control: it survives a ROLLBACK");
  });
});
