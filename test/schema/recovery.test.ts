import assert from "node:assert/strict";
import { DriverError } from "../../src/errors.js";
import { isTempTableFailure, recover } from "../../src/schema/recovery.js";
import {
  ACTION_OF_STATE,
  inspectRecoveryState,
  type Presence,
  recoveryStateOf,
} from "../../src/schema/recovery-states.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
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

const KINDS = Object.keys(DEPENDENTS) as DependentKind[];
const MANAGED = ["files", "classes"];

describe("recover()", () => {
  const directory = scratchDirectory();

  function seed(kinds: readonly DependentKind[], extra = ""): Connection {
    const rows = kinds.map((kind) => DEPENDENT_ROWS[kind] ?? "").join("");
    const { connection } = newDatabase(
      directory,
      PARENT + kinds.map((kind) => DEPENDENTS[kind]).join("") + extra + ROWS + rows,
    );
    return connection;
  }

  /** Recovers, says what was logged, and checks what must hold after every recovery. */
  function recoverAndCheck(connection: Connection): string[] {
    const lines: string[] = [];
    const report = recover(connection, MANAGED, { log: (line) => lines.push(line) });
    assert.deepEqual(
      report.tables.map((table) => table.outcome).filter((outcome) => outcome !== "done"),
      [],
    );
    assert.deepEqual(
      inspectRecoveryState(connection, ["files"]).map(({ state }) => state),
      ["healthy"],
    );
    assert.ok(!readTexts(connection).join("\n").includes("temp_files"), readTexts(connection).join("\n"));
    assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
    assert.deepEqual(connection.pragma("foreign_key_check"), []);
    assert.equal(connection.pragma("foreign_keys", { simple: true }), 1);
    assert.equal(connection.pragma("legacy_alter_table", { simple: true }), 0);
    assert.deepEqual(recover(connection, MANAGED).tables, [], "a second run finds nothing");
    return lines;
  }

  /** Every dependent can be used, and triggers fire as often and in the order they did. */
  function assertUsable(connection: Connection, kinds: readonly DependentKind[]): void {
    connection.exec("INSERT INTO files (path, size) VALUES ('new.py', 5)");

    if (kinds.includes("a child's foreign key")) {
      connection.exec("INSERT INTO classes (file_id) VALUES (2); DELETE FROM files WHERE id = 2");
      assert.equal(
        connection.prepare("SELECT count(*) FROM classes WHERE file_id = 2").pluck().get(),
        0,
        "it cascades",
      );
    }
    if (kinds.includes("a view")) {
      connection.exec("INSERT INTO big (path, size) VALUES ('view.py', 9)");
      assert.ok(connection.prepare("SELECT 1 FROM bigger WHERE path = 'view.py'").get());
    }
    if (kinds.includes("a trigger of another table")) {
      connection.exec("INSERT INTO notes (path) VALUES ('note.py')");
      assert.ok(connection.prepare("SELECT 1 FROM files WHERE path = 'note.py'").get());
    }
    if (kinds.includes("its own triggers")) {
      connection.exec("DELETE FROM log; UPDATE files SET size = 7 WHERE id = 1");
      assert.deepEqual(connection.prepare("SELECT line FROM log ORDER BY rowid").pluck().all(), [
        "third",
        "a.py",
        "first",
      ]);
    }
    if (kinds.includes("a full-text index")) {
      assert.ok(connection.prepare("SELECT 1 FROM files_fts WHERE files_fts MATCH 'new'").get());
    }
  }

  const combinations = [...KINDS.map((kind) => [kind]), KINDS];
  for (const kinds of combinations) {
    const what = kinds.length === 1 ? kinds[0] : "all of them";
    for (const isLegacy of [false, true]) {
      const mode = isLegacy ? "left as they were" : "rewritten by SQLite";

      it(`B8 renames temp_files back after RENAME, with ${what}, ${mode}`, () => {
        const connection = seed(kinds);
        const [rows, texts] = [readRows(connection), readTexts(connection)];
        runNaively(connection, 1, { isLegacy });
        assert.throws(() => connection.exec("SELECT 1 FROM files"), /no such table: files/);
        const lines = recoverAndCheck(connection);
        assert.match(
          lines.join(),
          /^\[recovery\] files is missing and temp_files exists: [^,]*renamed temp_files back/,
        );
        assert.deepEqual(readRows(connection), rows);
        assert.deepEqual(readTexts(connection), texts);
        assertUsable(connection, kinds);
        const lowest = connection.prepare("SELECT min(id) FROM files WHERE path = 'new.py'").pluck().get();
        assert.ok(Number(lowest) > 900, "no id is given out twice");
        connection.close();
      });

      it(`drops the empty files after CREATE, with ${what}, ${mode}`, () => {
        const connection = seed(kinds);
        const [rows, texts] = [readRows(connection), readTexts(connection)];
        runNaively(connection, 2, { isLegacy });
        const lines = recoverAndCheck(connection);
        assert.match(
          lines.join(),
          /^\[recovery\] files is empty and temp_files has rows: .*dropped files and renamed temp_files back/,
        );
        assert.deepEqual(readRows(connection), rows);
        assert.deepEqual(readTexts(connection), texts);
        assertUsable(connection, kinds);
        const lowest = connection.prepare("SELECT min(id) FROM files WHERE path = 'new.py'").pluck().get();
        assert.ok(Number(lowest) > 900, "no id is given out twice");
        connection.close();
      });

      it(`B9 never guesses when both have rows, with ${what}, ${mode}`, () => {
        const connection = seed(kinds);
        runNaively(connection, 3, { isLegacy });
        const [rows, texts] = [readRows(connection), readTexts(connection)];
        const report = recover(connection, MANAGED);
        assert.deepEqual(
          report.tables.map(({ table, state, outcome, rowCounts }) => ({ table, state, outcome, rowCounts })),
          [{ table: "files", state: "both_have_rows", outcome: "left", rowCounts: { table: 2, temporary: 2 } }],
        );
        assert.ok(report.needsAttention && !report.isChanged);
        assert.deepEqual([readRows(connection), readTexts(connection)], [rows, texts]);
        connection.close();
      });
    }

    if (!kinds.includes("a full-text index") || kinds.length > 1) {
      it(`B7 heals references to temp_files that is gone, with ${what}`, () => {
        const connection = seed(kinds);
        runNaively(connection, 4);
        const isDamaged = readTexts(connection).join().includes("temp_files");
        const rows = readRows(connection);
        const lines = recoverAndCheck(connection);
        assert.equal(lines.length > 0, isDamaged);
        assert.deepEqual(readRows(connection), rows);
        // The naive migration lost the triggers of the table itself; recovery cannot know them.
        assertUsable(
          connection,
          kinds.filter((kind) => kind !== "its own triggers" && kind !== "a full-text index").concat(),
        );
        connection.close();
      });
    }
  }

  it("loses the children without recovery's precautions (control)", () => {
    const connection = seed(KINDS);
    runNaively(connection, 4, { hasForeignKeys: true });
    assert.equal(connection.prepare("SELECT count(*) FROM classes").pluck().get(), 0, "the cascade deleted them");
    assert.throws(() => connection.exec("INSERT INTO classes (file_id) VALUES (1)"), /no such table: main.temp_files/);
    recoverAndCheck(connection);
    connection.exec("INSERT INTO classes (file_id) VALUES (1)");
    connection.close();
  });

  it("heals a view over two tables that both left references behind", () => {
    const connection = seed(
      ["a child's foreign key"],
      "CREATE VIEW both AS SELECT * FROM files JOIN classes ON file_id = files.id;",
    );
    runNaively(connection, 4);
    connection.pragma("foreign_keys = OFF");
    connection.exec(`
      DROP VIEW both;
      CREATE VIEW both AS SELECT * FROM temp_files AS f JOIN temp_classes AS c ON c.file_id = f.id;
      PRAGMA foreign_keys = ON;`);
    recoverAndCheck(connection);
    assert.equal(connection.prepare("SELECT count(*) FROM both").pluck().get(), 2);
    connection.close();
  });

  it("heals beside views and triggers that do not compile, and leaves those as they are", () => {
    const broken = `
      CREATE TABLE a (x);
      CREATE VIEW broken AS SELECT * FROM nowhere;
      CREATE VIEW on_broken AS SELECT * FROM broken;
      CREATE TRIGGER broken_trigger AFTER INSERT ON a BEGIN INSERT INTO nowhere VALUES (1); END;
      CREATE TRIGGER sound_trigger AFTER INSERT ON a BEGIN INSERT INTO log VALUES (1); END;`;
    for (const count of [1, 2, 4]) {
      const connection = seed(["a child's foreign key"], broken);
      const texts = readTexts(connection);
      // SQLite's default mode refuses the first statement here; a program that uses legacy mode gets through.
      runNaively(connection, count, { isLegacy: true });
      if (count === 4) runChildInto(connection, "temp_files");
      recoverAndCheck(connection);
      const isOfFiles = (text: string) => /^(table|index) (idx_)?files/.test(text);
      assert.deepEqual(
        readTexts(connection).filter((text) => !isOfFiles(text)),
        texts.filter((text) => !isOfFiles(text)),
      );
      connection.close();
    }
  });

  it("heals when newer views and triggers already say files again", () => {
    const connection = seed(KINDS);
    runNaively(connection, 4);
    connection.exec(`
      CREATE VIEW newer AS SELECT id FROM files;
      CREATE TRIGGER files_newer AFTER UPDATE ON files BEGIN UPDATE files SET size = 0 WHERE id < 0; END;
      CREATE TRIGGER notes_newer AFTER INSERT ON notes BEGIN UPDATE files SET size = 3 WHERE id = 1; END;`);
    const texts = readTexts(connection).filter((text) => text.includes("newer"));
    recoverAndCheck(connection);
    assert.deepEqual(
      readTexts(connection).filter((text) => text.includes("newer")),
      texts,
    );
    connection.exec("INSERT INTO notes (path) VALUES ('x.py')");
    assert.equal(connection.prepare("SELECT size FROM files WHERE id = 1").pluck().get(), 3);
    connection.close();
  });

  it("heals a view that says both names", () => {
    const connection = seed(["a child's foreign key"]);
    runNaively(connection, 4);
    connection.exec("CREATE VIEW mixed AS SELECT files.id FROM files JOIN temp_files AS other ON other.id = files.id");
    recoverAndCheck(connection);
    assert.equal(connection.prepare("SELECT count(*) FROM mixed").pluck().get(), 2);
    connection.close();
  });

  it("heals a table whose CHECK and partial index name it", () => {
    const { connection } = newDatabase(
      directory,
      `CREATE TABLE files (id INTEGER PRIMARY KEY, size INTEGER CHECK (files.size >= 0));
       CREATE INDEX by_size ON files (size) WHERE files.size > 0;
       CREATE TABLE classes (id INTEGER PRIMARY KEY, file_id INTEGER REFERENCES temp_files (id));
       CREATE VIEW v AS SELECT * FROM temp_files;
       INSERT INTO files VALUES (1, 1);`,
    );
    recoverAndCheck(connection);
    connection.exec("INSERT INTO classes VALUES (1, 1)");
    assert.throws(() => connection.exec("INSERT INTO files VALUES (2, -1)"), /CHECK/);
    connection.close();
  });

  it("drops an empty temp_files that others refer to", () => {
    const connection = seed(["a child's foreign key"]);
    runNaively(connection, 3);
    connection.pragma("foreign_keys = OFF");
    connection.exec("DELETE FROM temp_files; PRAGMA foreign_keys = ON;");
    const lines = recoverAndCheck(connection);
    assert.match(lines.join(), /temp_files, which is empty; dropped temp_files; they refer to files again/);
    const texts = readTexts(connection).join("\n");
    assert.match(texts, /index idx_files_size: CREATE INDEX idx_files_size ON files \(size\)/);
    connection.exec("INSERT INTO files (path) VALUES ('new.py')");
    assert.equal(connection.prepare("SELECT max(id) FROM files").pluck().get(), 901, "no id is given out twice");
    connection.close();
  });

  for (const [what, sql] of [
    ["a table of somebody else", "CREATE TABLE temp_files (a, b, c, id); INSERT INTO temp_files VALUES (1, 2, 3, 4);"],
    ["an empty table that nobody refers to", "CREATE TABLE temp_files (id, path);"],
    ["a view", "CREATE VIEW temp_files AS SELECT 1 AS one; CREATE VIEW v AS SELECT * FROM temp_files;"],
  ] as const) {
    it(`leaves ${what} called temp_files alone`, () => {
      const connection = seed(["a child's foreign key"], sql);
      const before = [readRows(connection), readTexts(connection)];
      const report = recover(connection, MANAGED);
      assert.equal(report.isChanged, false);
      assert.deepEqual([readRows(connection), readTexts(connection)], before);
      connection.close();
    });
  }

  it("does not take an alias, a column or a string for a reference", () => {
    const connection = seed(
      ["a child's foreign key"],
      `CREATE VIEW v AS WITH temp_files AS (SELECT 1 AS one) SELECT one AS temp_classes FROM temp_files WHERE 'temp_files' <> '';
       CREATE TABLE t (temp_files);
       CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log SELECT temp_files.path FROM files AS temp_files; END;`,
    );
    assert.deepEqual(recover(connection, MANAGED).tables, []);
    connection.close();
  });

  it("reports what SQLite refuses to rename, and changes nothing", () => {
    const connection = seed(["a child's foreign key"]);
    runNaively(connection, 4);
    // Programs whose SQLite takes literals in double quotes write such a CHECK; ours reads it and renames nothing beside it.
    connection.exec("CREATE TABLE odd (x CHECK (x <> 'a'))");
    connection.unsafeMode(true);
    connection.exec(`
      PRAGMA writable_schema = ON;
      UPDATE sqlite_schema SET sql = 'CREATE TABLE odd (x CHECK (x <> "a"))' WHERE name = 'odd';
      PRAGMA writable_schema = RESET;`);
    connection.unsafeMode(false);
    const before = [readTexts(connection), readRows(connection)];
    const lines: string[] = [];
    const report = recover(connection, MANAGED, { log: (line) => lines.push(line) });
    assert.deepEqual(
      report.tables.map(({ table, state, outcome }) => [table, state, outcome]),
      [["files", "dangling_references", "failed"]],
    );
    assert.match(lines.join("\n"), /table classes refer to temp_files.*cannot be recovered: error in table odd/);
    assert.deepEqual([readTexts(connection), readRows(connection)], before);
    assert.equal(connection.pragma("foreign_keys", { simple: true }), 1);
    connection.close();
  });

  it("recovers one table when another cannot be", () => {
    const connection = seed(["a child's foreign key"]);
    connection.exec("ALTER TABLE classes RENAME TO temp_classes; CREATE TABLE t (x);");
    runNaively(connection, 1);
    // An index with the table's name stands in its way.
    connection.exec("CREATE INDEX classes ON t (x)");
    const report = recover(connection, MANAGED);
    assert.deepEqual(
      report.tables.map(({ table, outcome }) => [table, outcome]),
      [
        ["files", "done"],
        ["classes", "left"],
      ],
    );
    connection.close();
  });

  it("says DATABASE_BUSY while another process writes, and restores the PRAGMAs", () => {
    const { path, connection } = newDatabase(directory, PARENT + ROWS);
    runNaively(connection, 1);
    const other = openConnection(path, { role: "writer" });
    other.exec("BEGIN IMMEDIATE");
    connection.pragma("busy_timeout = 1");
    assert.throws(() => recover(connection, MANAGED), { reason: "DATABASE_BUSY" });
    assert.equal(connection.pragma("foreign_keys", { simple: true }), 1);
    other.exec("COMMIT");
    recoverAndCheck(connection);
    other.close();
    connection.close();
  });

  it("refuses to run inside a transaction, where foreign keys cannot be switched off", () => {
    const connection = seed([]);
    connection.exec("BEGIN");
    assert.throws(() => recover(connection, MANAGED), /inside a transaction/);
    connection.close();
  });

  it("has nothing to do in a new database", () => {
    const { connection } = newDatabase(directory);
    const report = recover(connection, MANAGED);
    assert.deepEqual(report, { isChanged: false, needsAttention: false, missingTables: MANAGED, tables: [] });
    connection.close();
  });
});

/** Makes `classes` refer to `parent`, with its rows kept. */
function runChildInto(connection: Connection, parent: string): void {
  connection.pragma("foreign_keys = OFF");
  connection.exec(`
    CREATE TABLE moved (id INTEGER PRIMARY KEY, file_id INTEGER NOT NULL REFERENCES ${parent} (id) ON DELETE CASCADE, name TEXT);
    INSERT INTO moved SELECT * FROM classes; DROP TABLE classes;`);
  connection.pragma("legacy_alter_table = ON");
  connection.exec("ALTER TABLE moved RENAME TO classes");
  connection.pragma("legacy_alter_table = OFF");
  connection.pragma("foreign_keys = ON");
}

describe("recoveryStateOf()", () => {
  const presences: readonly Presence[] = ["missing", "empty", "filled", "foreign"];

  it("knows a state and an action for every pair", () => {
    for (const table of presences) {
      for (const temporary of presences) {
        for (const isReferenced of [false, true]) {
          const state = recoveryStateOf(table, temporary, isReferenced);
          assert.ok(ACTION_OF_STATE[state], `${table} ${temporary} ${isReferenced}`);
        }
      }
    }
  });

  it("acts on no pair in which both tables have rows", () => {
    for (const isReferenced of [false, true]) {
      assert.equal(ACTION_OF_STATE[recoveryStateOf("filled", "filled", isReferenced)], "leave");
    }
  });
});

describe("isTempTableFailure()", () => {
  const cases: readonly (readonly [string, boolean])[] = [
    ["no such table: main.temp_files", true],
    ["no such table: TEMP_FILES", true],
    ['error in view v: no such table: main."temp_files"', true],
    ["there is already another table or index with this name: temp_classes", true],
    ["no such table: files", false],
    ["no such table: temp_files_old", false],
    ["no such table: attempt_files", false],
    ["no such table: temp_unknown", false],
  ];
  for (const [message, expected] of cases) {
    it(`${expected ? "recognises" : "ignores"} "${message}"`, () => {
      assert.equal(isTempTableFailure(new Error(message), MANAGED), expected);
      assert.equal(isTempTableFailure(new DriverError("SQL_ERROR", message), MANAGED), expected);
    });
  }

  it("recognises the reason TEMP_TABLE_STATE", () => {
    assert.ok(isTempTableFailure(new DriverError("TEMP_TABLE_STATE", "files is between two statements."), MANAGED));
  });
});
