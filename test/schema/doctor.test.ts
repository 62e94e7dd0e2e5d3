import assert from "node:assert/strict";
import { BUILT_IN_SCHEMA, wantedModel } from "../../src/schema/built-in-schema.js";
import { examine, type FixReport, fix } from "../../src/schema/doctor.js";
import { compareRows } from "../../src/schema/row-comparison.js";
import type { Connection } from "../../src/sqlite/connection.js";
import { newDatabase, scratchDirectory } from "../support/scratch.js";
import {
  DEPENDENT_ROWS,
  DEPENDENTS,
  type DependentKind,
  PARENT,
  ROWS,
  readRows,
  readTexts,
  runNaively,
} from "./damage.js";

const WANTED = wantedModel(PARENT + DEPENDENTS["a child's foreign key"]);

describe("doctor", () => {
  const directory = scratchDirectory();
  let connection: Connection;

  function seed(sql: string, kinds: readonly DependentKind[] = ["a child's foreign key"]): Connection {
    const rows = kinds.map((kind) => DEPENDENT_ROWS[kind] ?? "").join("");
    connection = newDatabase(
      directory,
      PARENT + kinds.map((kind) => DEPENDENTS[kind]).join("") + ROWS + rows,
    ).connection;
    connection.exec(sql);
    return connection;
  }

  function kindsFound(): (readonly [string, string, boolean])[] {
    return examine(connection, WANTED).findings.map(
      ({ kind, object, isFixable }) => [kind, object, isFixable] as const,
    );
  }

  /** Fixes, and checks that the doctor is content and that the second time it does nothing. */
  function fixAll(): FixReport {
    const report = fix(connection, WANTED);
    assert.deepEqual(report.remaining.findings, []);
    assert.ok(report.fixed.length > 0);
    assert.deepEqual(fix(connection, WANTED).fixed, []);
    assert.equal(connection.pragma("foreign_keys", { simple: true }), 1);
    return report;
  }

  afterEach(() => connection.close());

  it("finds nothing in a healthy database, and changes nothing by looking", () => {
    seed("", Object.keys(DEPENDENTS) as DependentKind[]);
    const before = [readRows(connection), readTexts(connection)];
    // files, log, classes, notes, files_fts
    assert.deepEqual(examine(connection, WANTED), { isHealthy: true, checkedTables: 5, findings: [] });
    assert.deepEqual(fix(connection, WANTED).fixed, []);
    assert.deepEqual([readRows(connection), readTexts(connection)], before);
  });

  it("finds nothing in a new database with the built-in schema", () => {
    connection = newDatabase(directory, BUILT_IN_SCHEMA).connection;
    assert.deepEqual(examine(connection, wantedModel()).findings, []);
  });

  describe("recovery states", () => {
    for (const count of [1, 2, 3, 4]) {
      it(`heals a migration that ended after statement ${count}`, () => {
        seed("", Object.keys(DEPENDENTS) as DependentKind[]);
        const rows = readRows(connection);
        runNaively(connection, count);
        assert.ok(
          kindsFound().some(([kind, object, isFixable]) => kind === "recovery" && object === "files" && isFixable),
        );
        fixAll();
        const after = readRows(connection);
        assert.deepEqual(after.classes, rows.classes);
        assert.equal(after.files?.length, rows.files?.length);
        assert.ok(!readTexts(connection).join().includes("temp_files"));
      });
    }

    it("keeps the old copy when the new one holds only some of its rows", () => {
      seed("");
      runNaively(connection, 3);
      connection.exec("PRAGMA foreign_keys = OFF; DELETE FROM files WHERE id = 2; PRAGMA foreign_keys = ON");
      fixAll();
      assert.deepEqual(connection.prepare("SELECT id FROM files ORDER BY id").pluck().all(), [1, 2]);
      assert.match(readTexts(connection).join(), /size REAL/, "it is the old table");
    });

    it("leaves both when each has a row that the other lacks, and says how many", () => {
      seed("");
      runNaively(connection, 3);
      connection.exec(`
        PRAGMA foreign_keys = OFF;
        DELETE FROM files WHERE id = 2; INSERT INTO files (id, path) VALUES (7, 'new.py');
        PRAGMA foreign_keys = ON;`);
      const before = [readRows(connection), readTexts(connection)];
      const { fixed, remaining } = fix(connection, WANTED);
      assert.deepEqual(fixed, []);
      assert.deepEqual(
        remaining.findings.map(({ kind, isFixable }) => [kind, isFixable]),
        [["recovery", false]],
      );
      assert.match(
        remaining.findings[0]?.message ?? "",
        /\(2 and 2 rows\).* 1 of the 2 rows of temp_files are not in files/,
      );
      assert.deepEqual([readRows(connection), readTexts(connection)], before);
    });

    it("keeps the old copy when a column with values would be lost", () => {
      seed("ALTER TABLE files ADD COLUMN note TEXT; UPDATE files SET note = 'mine' WHERE id = 1;");
      runNaively(connection, 3);
      fixAll();
      assert.equal(connection.prepare("SELECT note FROM files WHERE id = 1").pluck().get(), "mine");
    });

    it("leaves both when a column with values would be lost with either", () => {
      seed("ALTER TABLE files ADD COLUMN note TEXT; UPDATE files SET note = 'mine' WHERE id = 1;");
      runNaively(connection, 3);
      connection.exec("ALTER TABLE files ADD COLUMN other TEXT; UPDATE files SET other = 'mine too' WHERE id = 1;");
      const { fixed, remaining } = fix(connection, WANTED);
      assert.deepEqual(fixed, []);
      assert.match(remaining.findings[0]?.message ?? "", /files has no column note/);
    });

    it("drops an empty leftover that nobody refers to", () => {
      seed("CREATE TABLE temp_files (id, path)");
      assert.deepEqual(kindsFound(), [["recovery", "files", true]]);
      fixAll();
    });
  });

  describe("leftovers of other programs", () => {
    const copies = [
      "_alembic_tmp_files",
      "new__files",
      "files__old",
      "__new_files",
      "__old_push_files",
      "temporary_files",
      "__temp__files",
      "files__tmp__",
      "files__temp_alter",
      "files_new_0123456789ab",
    ];
    for (const name of copies) {
      it(`drops ${name} when all its rows are in files`, () => {
        seed(
          `CREATE TABLE "${name}" (id INTEGER PRIMARY KEY, path TEXT, size REAL); INSERT INTO "${name}" SELECT id, path, size FROM files WHERE id = 1;`,
        );
        const files = readRows(connection).files;
        assert.deepEqual(kindsFound(), [["leftover", name, true]]);
        fixAll();
        assert.deepEqual(readRows(connection).files, files);
      });

      it(`keeps ${name} when it has a row of its own`, () => {
        seed(
          `CREATE TABLE "${name}" (id INTEGER PRIMARY KEY, path TEXT); INSERT INTO "${name}" VALUES (1, 'a.py'), (2, 'other.py');`,
        );
        assert.deepEqual(kindsFound(), [["leftover", name, false]]);
        assert.deepEqual(fix(connection, WANTED).fixed, []);
        assert.equal(connection.prepare(`SELECT count(*) FROM "${name}"`).pluck().get(), 2);
      });

      it(`renames ${name} back when files is missing`, () => {
        seed("");
        const rows = readRows(connection);
        connection.exec("PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON");
        connection.exec(
          `ALTER TABLE files RENAME TO "${name}"; PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON`,
        );
        assert.deepEqual(kindsFound(), [["leftover", name, true]]);
        fixAll();
        assert.deepEqual(readRows(connection), rows);
        connection.exec("INSERT INTO classes (file_id) VALUES (1)");
      });

      if (!name.includes("_new_0")) {
        it(`heals references to ${name} that is gone`, () => {
          seed("CREATE VIEW v AS SELECT id FROM files");
          const rows = readRows(connection);
          // What a program does that renames the table aside in default mode, and drops the copy in the end.
          connection.exec(
            `PRAGMA foreign_keys = OFF; ALTER TABLE files RENAME TO "${name}"; PRAGMA legacy_alter_table = ON;`,
          );
          connection.exec(
            `ALTER TABLE "${name}" RENAME TO files; PRAGMA legacy_alter_table = OFF; PRAGMA foreign_keys = ON`,
          );
          assert.throws(() => connection.exec("INSERT INTO classes (file_id) VALUES (1)"), /no such table/);
          assert.ok(
            kindsFound().some(([kind, object, isFixable]) => kind === "dangling" && object === "files" && isFixable),
          );
          fixAll();
          assert.deepEqual(readRows(connection), rows);
          connection.exec("INSERT INTO classes (file_id) VALUES (1); SELECT * FROM v");
        });
      }
    }

    for (const name of ["files_old", "old_files", "files_backup", "new_files"]) {
      it(`reports ${name}, which may be a person's backup, and keeps it`, () => {
        seed(`CREATE TABLE ${name} AS SELECT * FROM files`);
        assert.deepEqual(kindsFound(), [["leftover", name, false]]);
        assert.deepEqual(fix(connection, WANTED).fixed, []);
      });
    }

    it("does not flag tables that only sound like leftovers", () => {
      seed(`
        CREATE TABLE _litestream_seq (id INTEGER PRIMARY KEY, seq INTEGER);
        CREATE TABLE _litestream_lock (id INTEGER);
        CREATE TABLE _prisma_migrations (id TEXT);
        CREATE TABLE __drizzle_migrations (id INTEGER);
        CREATE TABLE __EFMigrationsHistory (MigrationId TEXT);
        CREATE TABLE alembic_version (version_num);
        CREATE TABLE temp_readings (celsius REAL);
        CREATE TABLE new_orders (id INTEGER);
        CREATE TABLE household (id INTEGER);
        CREATE TABLE new_files (sha TEXT, seen_at REAL);
        ANALYZE;`);
      assert.deepEqual(kindsFound(), []);
    });
  });

  describe("SQLite's own checks", () => {
    it("reports orphans with their rowids, and deletes none", () => {
      seed(
        "PRAGMA foreign_keys = OFF; INSERT INTO classes (id, file_id) VALUES (50, 77), (51, 78); PRAGMA foreign_keys = ON",
      );
      assert.deepEqual(kindsFound(), [["foreign_key", "classes", false]]);
      assert.match(examine(connection, WANTED).findings[0]?.message ?? "", /2 rows of classes .* \(rowid 50, 51\)/);
      assert.deepEqual(fix(connection, WANTED).fixed, []);
    });

    it("rebuilds a full-text index that does not fit its external content", () => {
      seed("", ["a full-text index"]);
      connection.exec("DROP TRIGGER files_fts_insert; INSERT INTO files (path) VALUES ('unindexed.py')");
      assert.deepEqual(kindsFound(), [["full_text", "files_fts", true]]);
      fixAll();
      assert.ok(connection.prepare("SELECT 1 FROM files_fts WHERE files_fts MATCH 'unindexed'").get());
    });

    it("makes an index anew that does not fit its table", () => {
      seed("");
      connection.unsafeMode(true);
      // Rows written while SQLite does not see the index are missing from it.
      connection.exec(`
        PRAGMA writable_schema = ON;
        CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = 'idx_files_size';
        DELETE FROM sqlite_schema WHERE name = 'idx_files_size';
        PRAGMA writable_schema = RESET;
        INSERT INTO files (path, size) VALUES ('unindexed.py', 9);
        PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema SELECT * FROM hidden;
        DROP TABLE hidden;
        PRAGMA writable_schema = RESET;`);
      connection.unsafeMode(false);
      assert.deepEqual(kindsFound(), [["index", "idx_files_size", true]]);
      fixAll();
      assert.ok(connection.prepare("SELECT 1 FROM files INDEXED BY idx_files_size WHERE size > 1 AND size = 9").get());
    });
  });
});

describe("compareRows()", () => {
  const directory = scratchDirectory();

  function missing(from: string, to: string, valuesFrom: string, valuesTo: string): number {
    const { connection } = newDatabase(
      directory,
      `CREATE TABLE a (x ${from}); CREATE TABLE b (x ${to}); INSERT INTO a VALUES ${valuesFrom}; INSERT INTO b VALUES ${valuesTo};`,
    );
    const { missingCount } = compareRows(connection, "a", "b");
    connection.close();
    return missingCount;
  }

  const cases: readonly (readonly [string, string, string, string, string, number])[] = [
    ["equal rows in another order", "", "", "(1), (2)", "(2), (1)", 0],
    ["NULL equal to NULL", "", "", "(NULL)", "(NULL)", 0],
    ["an integer apart from the same real", "", "", "(1)", "(1.0)", 1],
    ["an integer apart from the same text", "", "", "(1)", "('1')", 1],
    ["text apart from the same blob", "", "", "('a')", "(x'61')", 1],
    [
      "letters apart from their other case, NOCASE or not",
      "TEXT COLLATE NOCASE",
      "TEXT COLLATE NOCASE",
      "('a')",
      "('A')",
      1,
    ],
    ["duplicates, each counted", "", "", "(1), (1), (1)", "(1), (1)", 1],
    ["neighbouring 64-bit integers apart", "INTEGER", "INTEGER", "(9223372036854775807)", "(9223372036854775806)", 1],
    ["a real as the integer that a new type made of it", "REAL", "INTEGER", "(1), (2.5)", "(1), (2.5)", 0],
    ["text as the integer that a new type made of it", "TEXT", "INTEGER", "('12')", "('12')", 0],
    ["text as the real that a new type made of it", "TEXT", "REAL", "('1.5')", "('1.5')", 0],
    ["text that a new type changed", "TEXT", "INTEGER", "('007'), ('1e3')", "('007'), ('1e3')", 2],
    ["an integer that a new type rounded", "INTEGER", "REAL", "(9007199254740993)", "(9007199254740993)", 1],
  ];
  for (const [what, from, to, valuesFrom, valuesTo, expected] of cases) {
    it(`takes ${what}`, () => assert.equal(missing(from, to, valuesFrom, valuesTo), expected));
  }

  it("compares 100,000 rows in seconds", () => {
    const rows =
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000) SELECT i, 'file' || i FROM n";
    const { connection } = newDatabase(
      directory,
      `CREATE TABLE a (x, y); CREATE TABLE b (x, y); INSERT INTO a ${rows}; INSERT INTO b SELECT * FROM a;`,
    );
    const start = performance.now();
    assert.equal(compareRows(connection, "a", "b").missingCount, 0);
    const elapsedMs = performance.now() - start;
    assert.ok(elapsedMs < 10_000, `${elapsedMs} ms`);
    connection.close();
  });
});
