import assert from "node:assert/strict";
import { SQLiteSchemaManager } from "../../src/schema/schema-manager.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { newDatabase, scratchDirectory } from "../support/scratch.js";
import { readRows, readTexts } from "./damage.js";

describe("SQLiteSchemaManager", () => {
  const directory = scratchDirectory();

  describe("createMissing()", () => {
    it("creates the built-in schema in a new database, and nothing the second time", () => {
      const { connection } = newDatabase(directory);
      const manager = new SQLiteSchemaManager(connection);
      const report = manager.createMissing();
      assert.equal(report.createdTables.length, 24 + 4 + 2);
      assert.deepEqual(report.createdTables.slice(-2), ["code_content_fts", "symbols_fts"]);
      assert.equal(report.createdObjects.length, 50 + 9);
      assert.ok(report.createdObjects.includes("index idx_files_needs_indexing"));
      assert.deepEqual(manager.createMissing(), { createdTables: [], createdObjects: [] });
      connection.close();
    });

    it("gives the same schema hash however the tables came to be there", () => {
      const one = newDatabase(directory).connection;
      const other = newDatabase(directory).connection;
      new SQLiteSchemaManager(one).createMissing();
      other.exec(
        "CREATE TABLE [db_settings] (key text primary  key not null, value TEXT NOT NULL, updated_at REAL DEFAULT (julianday('now')))",
      );
      const manager = new SQLiteSchemaManager(other);
      const before = manager.schemaHash();
      manager.createMissing();
      assert.equal(manager.schemaHash(), new SQLiteSchemaManager(one).schemaHash());
      assert.notEqual(manager.schemaHash(), before);
      one.close();
      other.close();
    });

    it("reads the schema at one moment while another connection changes it", () => {
      const { connection, path } = newDatabase(directory, "CREATE TABLE parent (id INTEGER PRIMARY KEY)");
      const other = openConnection(path, { role: "writer" });
      const tables = ["CREATE TABLE t (a, b UNIQUE)", "CREATE TABLE t (a REFERENCES parent (id), b, c)"] as const;
      const create = (sql: string) => other.exec(`BEGIN; DROP TABLE IF EXISTS t; ${sql}; COMMIT`);
      const hashes = tables.map((sql) => {
        create(sql);
        return new SQLiteSchemaManager(other).schemaHash();
      });
      const { prepare } = connection;
      for (let changeAt = 1; changeAt <= 12; changeAt++) {
        let prepared = 0;
        connection.prepare = ((sql) => {
          if (++prepared === changeAt) create(tables[1]);
          return prepare.call(connection, sql);
        }) as typeof prepare;
        create(tables[0]);
        assert.ok(hashes.includes(new SQLiteSchemaManager(connection).schemaHash()));

        prepared = 0;
        create(tables[0]);
        const { columns, foreignKeys, indexes, sql } = new SQLiteSchemaManager(connection).getTableInfo("t");
        const found = [columns.length, foreignKeys.length, indexes.length, sql];
        assert.deepEqual(found, sql === tables[0] ? [2, 0, 1, tables[0]] : [3, 1, 0, tables[1]], `${changeAt}`);
      }
      other.close();
      connection.close();
    });

    it("never touches what exists, however different", () => {
      const { connection } = newDatabase(
        directory,
        `CREATE TABLE files (id TEXT, other); INSERT INTO files VALUES ('x', 1);
         CREATE VIEW classes AS SELECT 1 AS one;
         CREATE TABLE mine (idx); CREATE INDEX idx_methods_name ON mine (idx);`,
      );
      const [rows, texts] = [readRows(connection), readTexts(connection)];
      const { createdTables, createdObjects } = new SQLiteSchemaManager(connection).createMissing();
      assert.ok(!createdTables.includes("files") && !createdTables.includes("classes"));
      assert.ok(createdTables.includes("methods"));
      assert.deepEqual(
        createdObjects.filter((name) => /files_|classes_|idx_methods_name/.test(name)),
        [],
      );
      assert.deepEqual({ ...readRows(connection), ...rows }, readRows(connection));
      for (const text of texts) assert.ok(readTexts(connection).includes(text), text);
      connection.close();
    });

    it("fills a full-text table that it creates over rows that are there", () => {
      const { connection } = newDatabase(directory);
      const manager = new SQLiteSchemaManager(connection);
      manager.createMissing();
      connection.exec(`
        DROP TABLE code_content_fts;
        INSERT INTO projects (id, root_path) VALUES ('p', '/p');
        INSERT INTO files (project_id, path) VALUES ('p', 'a.py');
        INSERT INTO code_content (file_id, entity_type, content) VALUES (1, 'file', 'marmalade');`);
      assert.deepEqual(manager.createMissing().createdTables, ["code_content_fts"]);
      assert.ok(connection.prepare("SELECT 1 FROM code_content_fts WHERE code_content_fts MATCH 'marmalade'").get());
      connection.close();
    });

    it("creates views and the triggers of what it creates", () => {
      const { connection } = newDatabase(directory, "CREATE TABLE old (a);");
      const report = new SQLiteSchemaManager(
        connection,
        `CREATE TABLE old (a); CREATE TABLE t (a);
         CREATE VIEW v AS SELECT a FROM t;
         CREATE TRIGGER of_v INSTEAD OF INSERT ON v BEGIN INSERT INTO t VALUES (new.a); END;
         CREATE TRIGGER of_t AFTER INSERT ON t BEGIN SELECT 1; END;
         CREATE TRIGGER of_old AFTER INSERT ON old BEGIN SELECT 1; END;
         CREATE INDEX i_old ON old (a);`,
      ).createMissing();
      assert.deepEqual(report, {
        createdTables: ["t"],
        createdObjects: ["view v", "trigger of_v", "trigger of_t"],
      });
      connection.close();
    });

    it("creates nothing when a part of the wanted schema does not fit", () => {
      const { connection } = newDatabase(directory, "CREATE TABLE old (a);");
      const manager = new SQLiteSchemaManager(
        connection,
        "CREATE TABLE old (a, b); CREATE TABLE t (a); CREATE VIEW v AS SELECT b FROM old;",
      );
      assert.throws(() => manager.createMissing(), { reason: "SQL_ERROR", message: /view v .* no such column: b/ });
      assert.deepEqual(
        manager.listTables().map(({ name }) => name),
        ["old"],
      );
      connection.close();
    });

    it("says TEMP_TABLE_STATE instead of creating a table that stands under its temporary name", () => {
      const { connection } = newDatabase(directory);
      const manager = new SQLiteSchemaManager(connection);
      manager.createMissing();
      connection.exec("ALTER TABLE files RENAME TO temp_files");
      assert.throws(() => manager.createMissing(), { reason: "TEMP_TABLE_STATE" });
      assert.equal(connection.inTransaction, false);
      connection.close();
    });
  });

  describe("syncSchema()", () => {
    it("reports no drift for what it created itself", () => {
      const { connection } = newDatabase(directory);
      assert.deepEqual(new SQLiteSchemaManager(connection).syncSchema().drift, []);
      connection.close();
    });

    it("reports what only a migration would change, and does not change it", () => {
      const { connection } = newDatabase(directory);
      const manager = new SQLiteSchemaManager(connection);
      manager.syncSchema();
      connection.exec(`
        ALTER TABLE files DROP COLUMN version_dir;
        ALTER TABLE projects ADD COLUMN mine;
        DROP INDEX idx_classes_name;
        DROP TABLE db_settings; CREATE TABLE db_settings (key TEXT PRIMARY KEY NOT NULL, value TEXT, updated_at REAL);`);
      const texts = readTexts(connection);
      assert.deepEqual(manager.syncSchema(), {
        createdTables: [],
        createdObjects: [],
        drift: [
          "table db_settings: column value: NULL → NOT NULL",
          "table db_settings: column updated_at: no default → DEFAULT julianday ( 'now' )",
          "table projects: column mine is not wanted",
          "table files: column version_dir is missing",
          "index idx_classes_name is missing",
        ],
      });
      assert.deepEqual(readTexts(connection), texts);
      connection.close();
    });

    it("syncs to another schema on request", () => {
      const { connection } = newDatabase(directory);
      const manager = new SQLiteSchemaManager(connection);
      assert.deepEqual(manager.syncSchema("CREATE TABLE other (a)"), {
        createdTables: ["other"],
        createdObjects: [],
        drift: [],
      });
      assert.throws(() => manager.syncSchema("CREATE TABLE x (a);\nDROP TABLE other"), {
        reason: "SQL_ERROR",
        message: /line 2/,
      });
      connection.close();
    });
  });

  describe("prepare()", () => {
    it("recovers before it creates", () => {
      const { connection } = newDatabase(directory);
      const manager = new SQLiteSchemaManager(connection);
      manager.prepare();
      connection.exec(`
        INSERT INTO projects (id, root_path) VALUES ('p', '/p');
        INSERT INTO files (project_id, path) VALUES ('p', 'a.py');
        ALTER TABLE files RENAME TO temp_files;`);
      const { recovery, creation } = manager.prepare();
      assert.deepEqual(
        recovery.tables.map(({ table, outcome }) => [table, outcome]),
        [["files", "done"]],
      );
      assert.deepEqual(creation, { createdTables: [], createdObjects: [] });
      assert.equal(connection.prepare("SELECT count(*) FROM files").pluck().get(), 1);
      connection.close();
    });

    it("heals references to the temporary copy of a table that was missing altogether", () => {
      const { connection } = newDatabase(directory);
      const manager = new SQLiteSchemaManager(connection);
      manager.prepare();
      connection.exec(
        "PRAGMA foreign_keys = OFF; ALTER TABLE files RENAME TO temp_files; DROP TABLE temp_files; PRAGMA foreign_keys = ON",
      );
      const { recovery, creation } = manager.prepare();
      assert.deepEqual(creation.createdTables, ["files"]);
      assert.deepEqual(
        recovery.tables.map(({ table, state, outcome }) => [table, state, outcome]),
        [["files", "dangling_references", "done"]],
      );
      connection.exec(
        "INSERT INTO projects (id, root_path) VALUES ('p', '/p'); INSERT INTO files (project_id, path) VALUES ('p', 'a'); INSERT INTO classes (file_id, name, line) VALUES (1, 'A', 1)",
      );
      connection.close();
    });
  });

  describe("getTableInfo()", () => {
    it("describes a table as plain data", () => {
      const { connection } = newDatabase(
        directory,
        `CREATE TABLE parent (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID;
         CREATE TABLE "Child t" (
           id INTEGER PRIMARY KEY, a TEXT NOT NULL DEFAULT 'x' COLLATE NOCASE, b, sum AS (id + 1) STORED,
           FOREIGN KEY (a, b) REFERENCES parent ON DELETE SET NULL, UNIQUE (b));
         CREATE INDEX i ON "Child t" (a DESC, lower(b)) WHERE b > 1;
         CREATE TRIGGER tr AFTER INSERT ON "Child t" BEGIN SELECT 1; END;`,
      );
      const info = new SQLiteSchemaManager(connection).getTableInfo("CHILD T");
      const { sql, triggers, ...rest } = info;
      assert.match(sql, /^CREATE TABLE "Child t"/);
      assert.deepEqual(
        triggers.map(({ name }) => name),
        ["tr"],
      );
      const plain = { isNotNull: false, defaultSql: undefined, primaryKeyPosition: 0, kind: "ordinary", type: "" };
      assert.deepEqual(rest, {
        name: "Child t",
        kind: "table",
        columnCount: 4,
        isWithoutRowid: false,
        isStrict: false,
        columns: [
          { ...plain, name: "id", type: "INTEGER", primaryKeyPosition: 1 },
          { ...plain, name: "a", type: "TEXT", isNotNull: true, defaultSql: "'x'" },
          { ...plain, name: "b" },
          { ...plain, name: "sum", kind: "stored" },
        ],
        foreignKeys: [
          {
            columns: ["a", "b"],
            parentTable: "parent",
            parentColumns: [],
            onUpdate: "NO ACTION",
            onDelete: "SET NULL",
          },
        ],
        indexes: [
          {
            name: "sqlite_autoindex_Child t_1",
            isUnique: true,
            isPartial: false,
            origin: "unique",
            columns: [{ name: "b", isDescending: false, collation: "BINARY" }],
            sql: undefined,
          },
          {
            name: "i",
            isUnique: false,
            isPartial: true,
            origin: "index",
            columns: [
              { name: "a", isDescending: true, collation: "NOCASE" },
              { name: undefined, isDescending: false, collation: "BINARY" },
            ],
            sql: `CREATE INDEX i ON "Child t" (a DESC, lower(b)) WHERE b > 1`,
          },
        ],
      });
      connection.close();
    });

    it("says TABLE_NOT_FOUND with what to do", () => {
      const { connection } = newDatabase(directory);
      assert.throws(() => new SQLiteSchemaManager(connection).getTableInfo("nothing"), { reason: "TABLE_NOT_FOUND" });
      connection.close();
    });
  });
});
