import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import {
  RecoverRequestSchema,
  RecoverResponseSchema,
  RecoveryActionKind,
  TableState,
} from "../../../gen/code_analysis/driver/v1/recovery_pb.js";
import {
  ColumnVisibility,
  DriftKind,
  ForeignKeyAction,
  GetTableInfoRequestSchema,
  GetTableInfoResponseSchema,
  IndexOrigin,
  ListTablesRequestSchema,
  ListTablesResponseSchema,
  SchemaObjectKind,
  SyncSchemaRequestSchema,
  SyncSchemaResponseSchema,
  TableKind,
} from "../../../gen/code_analysis/driver/v1/schema_pb.js";
import { getTableInfo, listTables, recover, syncSchema } from "../../../src/workers/operations/schema.js";
import { failsWith, TestDatabase } from "../../support/session.js";
import { useTempFolder } from "../../support/temp-folder.js";

const List = [ListTablesRequestSchema, ListTablesResponseSchema] as const;
const Info = [GetTableInfoRequestSchema, GetTableInfoResponseSchema] as const;
const Sync = [SyncSchemaRequestSchema, SyncSchemaResponseSchema] as const;
const Recover = [RecoverRequestSchema, RecoverResponseSchema] as const;

describe("operations on the schema", () => {
  const folder = useTempFolder();
  let db: TestDatabase;
  beforeEach(() => {
    db = new TestDatabase(folder("test.db"));
  });
  afterEach(() => db.close());

  describe("listTables", () => {
    beforeEach(() =>
      db.exec(`CREATE TABLE b (id INTEGER PRIMARY KEY AUTOINCREMENT, g AS (id));
        CREATE TABLE "A" (x); CREATE VIEW v AS SELECT * FROM b; CREATE VIRTUAL TABLE f USING fts5(one, two)`),
    );

    it("answers tables and views by name, with the columns that SELECT * answers", () => {
      const { tables } = db.read(listTables, List, {});
      assert.deepEqual(
        tables.map(({ name, kind, columnCount }) => [name, kind, columnCount]),
        [
          ["A", TableKind.TABLE, 1],
          ["b", TableKind.TABLE, 2],
          ["f", TableKind.VIRTUAL, 2],
          ["v", TableKind.VIEW, 2],
        ],
      );
    });

    it("answers internal tables too when asked to", () => {
      const { tables } = db.read(listTables, List, { includeInternal: true });
      const kinds = new Map(tables.map(({ name, kind }) => [name, kind]));
      assert.equal(kinds.get("f_data"), TableKind.SHADOW);
      for (const name of ["driver_state", "driver_requests", "sqlite_sequence", "sqlite_schema"]) {
        assert.equal(kinds.get(name), TableKind.TABLE, name);
      }
    });

    it("answers also while a view is broken", () => {
      db.exec("CREATE VIEW broken AS SELECT * FROM gone");
      const { tables } = db.read(listTables, List, {});
      assert.ok(tables.some(({ name, kind }) => name === "broken" && kind === TableKind.VIEW));
    });
  });

  describe("getTableInfo", () => {
    const infoOf = (table: string, withRowCount = false) => db.read(getTableInfo, Info, { table, withRowCount }).table;

    it("describes a table completely", () => {
      const sql = `CREATE TABLE Child (
        b TEXT, a INTEGER NOT NULL DEFAULT (1 + 1), g AS (a) STORED, h AS (a) VIRTUAL, u UNIQUE,
        p REFERENCES parent ON DELETE SET NULL,
        PRIMARY KEY (a, b),
        FOREIGN KEY (a, b) REFERENCES parent (x, y) ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED
      ) WITHOUT ROWID`;
      db.exec(`CREATE TABLE parent (x, y, PRIMARY KEY (x, y)); ${sql};
        CREATE UNIQUE INDEX i ON Child (b COLLATE NOCASE DESC, a + 1) WHERE a > 0;
        CREATE TRIGGER t2 AFTER INSERT ON Child BEGIN SELECT 1; END;
        CREATE TRIGGER t1 AFTER INSERT ON Child BEGIN SELECT 2; END`);
      const info = infoOf("child", true);
      assert.equal(info?.name, "Child");
      assert.equal(info.kind, TableKind.TABLE);
      assert.equal(info.sql, sql);
      assert.deepEqual([info.withoutRowid, info.isStrict, info.rowCount], [true, false, 0n]);
      assert.deepEqual(info.primaryKey, ["a", "b"]);
      const { NORMAL, GENERATED_STORED, GENERATED_VIRTUAL } = ColumnVisibility;
      assert.deepEqual(
        info.columns.map((c) => [c.name, c.type, c.isNotNull, c.defaultSql, c.primaryKeyPosition, c.visibility]),
        [
          ["b", "TEXT", true, undefined, 2, NORMAL],
          ["a", "INTEGER", true, "1 + 1", 1, NORMAL],
          ["g", "", false, undefined, 0, GENERATED_STORED],
          ["h", "", false, undefined, 0, GENERATED_VIRTUAL],
          ["u", "", false, undefined, 0, NORMAL],
          ["p", "", false, undefined, 0, NORMAL],
        ],
      );
      const { NO_ACTION, SET_NULL, CASCADE } = ForeignKeyAction;
      assert.deepEqual(
        info.foreignKeys.map((k) => [
          k.columns,
          k.referencedTable,
          k.referencedColumns,
          k.onDelete,
          k.onUpdate,
          k.isDeferred,
        ]),
        [
          [["p"], "parent", [], SET_NULL, NO_ACTION, false],
          [["a", "b"], "parent", ["x", "y"], NO_ACTION, CASCADE, true],
        ],
      );
      const index = info.indexes.find(({ name }) => name === "i");
      assert.deepEqual([index?.isUnique, index?.isPartial, index?.origin], [true, true, IndexOrigin.CREATE_INDEX]);
      assert.deepEqual(
        index?.columns.map(({ name, isDescending, collation }) => [name, isDescending, collation]),
        [
          ["b", true, "NOCASE"],
          ["", false, "BINARY"],
        ],
      );
      assert.match(index?.sql ?? "", /^CREATE UNIQUE INDEX i /);
      assert.deepEqual(
        info.indexes.map(({ origin }) => origin).sort(),
        [IndexOrigin.CREATE_INDEX, IndexOrigin.UNIQUE, IndexOrigin.PRIMARY_KEY].sort(),
      );
      assert.deepEqual(
        info.triggers.map(({ name }) => name),
        ["t2", "t1"],
      );
    });

    it("describes views, STRICT and virtual tables, and counts rows only when asked to", () => {
      db.exec(`CREATE TABLE s (a INT) STRICT; INSERT INTO s VALUES (1), (2); CREATE VIEW v AS SELECT a AS x FROM s;
        CREATE VIRTUAL TABLE f USING fts5(one)`);
      assert.deepEqual([infoOf("s")?.isStrict, infoOf("s")?.rowCount], [true, undefined]);
      assert.equal(infoOf("s", true)?.rowCount, 2n);
      const view = infoOf("V", true);
      assert.deepEqual(
        [view?.kind, view?.rowCount, view?.columns.map(({ name }) => name)],
        [TableKind.VIEW, 2n, ["x"]],
      );
      assert.deepEqual(
        infoOf("f")?.columns.map(({ name, visibility }) => [name, visibility]),
        [
          ["one", ColumnVisibility.NORMAL],
          ["f", ColumnVisibility.HIDDEN],
          ["rank", ColumnVisibility.HIDDEN],
        ],
      );
    });

    it("takes names of any spelling, and knows none that is not there", () => {
      for (const name of ['a"b', "a'b", "select", "a;b", "é 😀", "x)--"]) {
        db.exec(
          `CREATE TABLE "${name.replaceAll('"', '""')}" (a); CREATE INDEX "i${name.replaceAll('"', '""')}" ON "${name.replaceAll('"', '""')}" (a)`,
        );
        assert.equal(infoOf(name, true)?.name, name);
      }
      for (const name of ["", "nope", "a\0", "main.t", "pragma_table_list"]) {
        assert.throws(() => infoOf(name), failsWith("TABLE_NOT_FOUND"));
      }
      db.exec("CREATE TABLE temp_gone (a)");
      assert.throws(() => infoOf("gone"), failsWith("TEMP_TABLE_STATE"));
    });
  });

  describe("syncSchema", () => {
    const sync = (schemaSql?: string) => db.exclusive(syncSchema, Sync, schemaSql === undefined ? {} : { schemaSql });

    it("creates the built-in schema, and nothing the second time", () => {
      const first = sync();
      assert.ok(first.createdTables.includes("files") && first.createdTables.includes("indexing_errors"));
      assert.ok(first.createdObjects.includes("idx_files_project"));
      assert.deepEqual(first.drift, []);
      assert.ok(first.commitSeq > 0n);
      const before = db.rows("SELECT * FROM sqlite_schema");
      const second = sync();
      assert.deepEqual([second.createdTables, second.createdObjects, second.drift], [[], [], []]);
      assert.equal(second.commitSeq, 0n);
      assert.deepEqual(db.rows("SELECT * FROM sqlite_schema"), before);
    });

    it("creates and counts in one commit: nobody sees the one without the other", () => {
      db.writer.connection.pragma("wal_checkpoint(TRUNCATE)");
      const before = db.writer.tables.commitSeq();
      const { createdTables, commitSeq } = sync("CREATE TABLE one (a); CREATE TABLE two (b);");
      assert.deepEqual(createdTables, ["one", "two"]);
      assert.equal(commitSeq, before + 1n);
      assert.equal(commitsInWal(`${db.writer.connection.name}-wal`), 1);
    });

    it("leaves what differs as it is and reports each difference", () => {
      db.exec(`CREATE TABLE t (a INTEGER, b TEXT, extra); INSERT INTO t VALUES (1, 'x', 2);
        CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT a FROM t; CREATE TABLE mine (x)`);
      const before = db.rows("SELECT * FROM sqlite_schema WHERE name <> 'fresh'");
      const { createdTables, drift } = sync(`CREATE TABLE t (a INTEGER, b BLOB NOT NULL, c, UNIQUE (a));
        CREATE INDEX i ON t (b); CREATE INDEX j ON t (a); CREATE VIEW v AS SELECT b FROM t;
        CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END; CREATE TABLE fresh (x)`);
      assert.deepEqual(createdTables, ["fresh"]);
      assert.deepEqual(db.rows("SELECT * FROM sqlite_schema WHERE name <> 'fresh'"), before);
      const { TABLE, COLUMN, INDEX, TRIGGER, VIEW } = SchemaObjectKind;
      const { MISSING, UNEXPECTED, DIFFERENT } = DriftKind;
      const found = drift
        .map(({ table, objectKind, object, kind }) => [table, objectKind, object, kind].join(" "))
        .sort();
      assert.deepEqual(
        found,
        [
          ["t", COLUMN, "b", DIFFERENT],
          ["t", COLUMN, "c", MISSING],
          ["t", COLUMN, "extra", UNEXPECTED],
          ["t", TABLE, "t", DIFFERENT],
          ["t", INDEX, "i", DIFFERENT],
          ["t", INDEX, "j", MISSING],
          ["v", VIEW, "v", DIFFERENT],
          ["t", TRIGGER, "tr", MISSING],
        ]
          .map((parts) => parts.join(" "))
          .sort(),
      );
      assert.ok(drift.every(({ description, remedy }) => description !== "" && remedy !== ""));
    });

    it("refuses a schema that is wrong, and one that would reach the driver's own tables", () => {
      const before = db.rows("SELECT * FROM sqlite_schema");
      const cases = [
        ["CREATE TABLE t (", "SQL_ERROR"],
        ["CREATE TABLE good (a); DROP TABLE good", "SQL_ERROR"],
        ["CREATE TABLE good (a); INSERT INTO good VALUES (1)", "SQL_ERROR"],
        ["ATTACH 'x.db' AS x", "SQL_ERROR"],
        ["CREATE TABLE good (a); PRAGMA foreign_keys = OFF", "SQL_ERROR"],
        ["CREATE TABLE pragma_table_list (a)", "STATEMENT_NOT_ALLOWED"],
        ["CREATE TRIGGER x AFTER UPDATE ON driver_state BEGIN SELECT 1; END", "STATEMENT_NOT_ALLOWED"],
        [
          "CREATE TABLE t (a); CREATE TRIGGER x AFTER INSERT ON t BEGIN DELETE FROM [Driver_Requests]; END",
          "STATEMENT_NOT_ALLOWED",
        ],
      ] as const;
      for (const [sql, reason] of cases) assert.throws(() => sync(sql), failsWith(reason), sql);
      assert.deepEqual(db.rows("SELECT * FROM sqlite_schema"), before);
      assert.deepEqual(db.rows("PRAGMA foreign_keys"), [[1n]]);
    });

    it("creates no TEMP objects", () => {
      assert.throws(() => sync("CREATE TEMP TABLE t (a)"), failsWith("SQL_ERROR"));
      sync("CREATE TABLE temp.t (a)");
      assert.deepEqual(db.rows("SELECT * FROM sqlite_temp_schema"), []);
    });

    it("does not create a table whose rows stand under its temporary name", () => {
      db.exec("CREATE TABLE temp_t (a); INSERT INTO temp_t VALUES (1)");
      assert.throws(() => sync("CREATE TABLE t (a)"), failsWith("TEMP_TABLE_STATE"));
      assert.deepEqual(db.rows("SELECT a FROM temp_t"), [[1n]]);
    });
  });

  describe("recover", () => {
    const run = () => db.exclusive(recover, Recover, {}).report;
    beforeEach(() => db.exclusive(syncSchema, Sync, {}));

    it("finds nothing in a healthy database", () => {
      const before = Date.now();
      const report = run();
      assert.deepEqual([report?.actions, report?.isHealthy], [[], true]);
      assert.ok(Number(report?.finishedAt?.seconds) * 1_000 >= before - 1_000);
      assert.ok(report?.duration !== undefined);
    });

    it("turns a renamed table back and says so", () => {
      db.exec(`INSERT INTO projects (id, root_path) VALUES ('p', '/p');
        INSERT INTO files (id, project_id, path) VALUES (1, 'p', 'f'); ALTER TABLE files RENAME TO temp_files`);
      const [action] = run()?.actions ?? [];
      assert.deepEqual(
        [action?.table, action?.state, action?.action],
        ["files", TableState.INTERRUPTED_AFTER_RENAME, RecoveryActionKind.RENAMED_BACK],
      );
      assert.ok(action?.message.includes("temp_files"));
      assert.deepEqual(db.rows("SELECT id FROM files"), [[1n]]);
      assert.deepEqual(run()?.actions, []);
    });

    it("leaves two tables with rows to a person, with both counts", () => {
      db.exec(`PRAGMA foreign_keys = OFF; CREATE TABLE temp_projects AS SELECT * FROM projects;
        INSERT INTO temp_projects (id, root_path) VALUES ('p', '/p'), ('q', '/q');
        INSERT INTO projects (id, root_path) VALUES ('r', '/r')`);
      const report = run();
      assert.equal(report?.isHealthy, false);
      assert.deepEqual(
        report.actions.map(({ state, action, rows, tempRows }) => [state, action, rows, tempRows]),
        [[TableState.BOTH_HAVE_ROWS, RecoveryActionKind.LEFT_UNRESOLVED, 1n, 2n]],
      );
    });
  });
});

/** Frames of a write-ahead log that end a transaction (https://sqlite.org/fileformat2.html#walformat). */
function commitsInWal(path: string): number {
  const wal = readFileSync(path);
  const frameBytes = 24 + wal.readUInt32BE(8);
  let commits = 0;
  for (let start = 32; start < wal.length; start += frameBytes) if (wal.readUInt32BE(start + 4) !== 0) commits++;
  return commits;
}
