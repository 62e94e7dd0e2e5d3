import assert from "node:assert/strict";
import { applyMigration } from "../../src/schema/migration.js";
import { statusOf } from "../../src/schema/plan.js";
import { planMigration } from "../../src/schema/planner.js";
import type { Connection } from "../../src/sqlite/connection.js";
import { assertRefused, kindsOf, migrate } from "../support/migrate.js";
import { migrateNaively } from "../support/naive-migration.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";
import { hashTable, snapshot } from "../support/snapshot.js";

function table(columns: string, options = ""): string {
  return `CREATE TABLE files (${columns})${options};`;
}

function columnOf(connection: Connection, name: string): unknown[] {
  return connection.prepare(`SELECT quote(${name}) FROM files ORDER BY rowid`).pluck().all();
}

function consentsOf(connection: Connection, wanted: string) {
  return planMigration(connection, wanted).consents.map(({ id, rows, sampleRowids }) => ({ id, rows, sampleRowids }));
}

describe("migration: the data in the rows", () => {
  afterEach(removeScratchDatabases);

  for (const action of ["IGNORE", "REPLACE"]) {
    it(`D1 refuses UNIQUE ON CONFLICT ${action} over duplicates and lists them`, () => {
      const sql = `${table("id INTEGER PRIMARY KEY, path TEXT")} INSERT INTO files VALUES (1, 'a'), (2, 'a'), (3, 'b');`;
      const wanted = table(`id INTEGER PRIMARY KEY, path TEXT UNIQUE ON CONFLICT ${action}`);
      const { connection } = scratchDatabase(sql);
      assertRefused(connection, wanted, /1 values of \(path\) occur more than once/);
      assert.deepEqual(planMigration(connection, wanted).problems[0]?.sampleRowids, ["2"]);
      const control = scratchDatabase(sql).connection;
      migrateNaively(control, "files", wanted);
      assert.equal(hashTable(control, "files").rows, 2, "the naive procedure loses a row without a word");
      connection.exec("DELETE FROM files WHERE id = 2");
      migrate(connection, wanted);
    });
  }

  it("D2 neither drops rows nor invents values where NOT NULL has a conflict clause", () => {
    const sql = `${table("id INTEGER PRIMARY KEY, path TEXT")} INSERT INTO files VALUES (1, NULL), (2, 'b');`;
    const ignoring = table("id INTEGER PRIMARY KEY, path TEXT NOT NULL ON CONFLICT IGNORE");
    const replacing = table("id INTEGER PRIMARY KEY, path TEXT NOT NULL ON CONFLICT REPLACE DEFAULT 'x'");
    const { connection } = scratchDatabase(sql);
    assertRefused(connection, ignoring, /becomes NOT NULL but is NULL in 1 rows/);
    assertRefused(connection, replacing, /--allow backfill:files\.path/);
    migrate(connection, replacing, { allow: ["backfill:files.path"] });
    assert.deepEqual(columnOf(connection, "path"), ["'x'", "'b'"]);
    const control = scratchDatabase(sql).connection;
    migrateNaively(control, "files", ignoring);
    assert.equal(hashTable(control, "files").rows, 1);
    const inventing = scratchDatabase(sql).connection;
    migrateNaively(inventing, "files", replacing);
    assert.deepEqual(columnOf(inventing, "path"), ["'x'", "'b'"], "the control: a value that nobody has allowed");
  });

  it("D3 counts the NULLs that forbid NOT NULL and shows their rowids", () => {
    const { connection } = scratchDatabase(
      `${table("id INTEGER PRIMARY KEY, path TEXT")} INSERT INTO files VALUES (4, NULL), (5, 'b'), (9, NULL);`,
    );
    const wanted = table("id INTEGER PRIMARY KEY, path TEXT NOT NULL");
    assertRefused(connection, wanted, /NULL in 2 rows/);
    assert.deepEqual(planMigration(connection, wanted).problems[0]?.sampleRowids, ["4", "9"]);
    connection.exec("UPDATE files SET path = 'x'");
    assert.deepEqual(kindsOf(migrate(connection, wanted).plan), ["alter-table files"], "and then needs no copy");
  });

  it("D3 leaves them to SQLite where the plan is told to, which finds them under the lock and changes nothing", () => {
    const { connection } = scratchDatabase(
      `${table("id INTEGER PRIMARY KEY, path TEXT")} INSERT INTO files VALUES (4, NULL), (5, 'b');`,
    );
    const isOptimistic = true;
    for (const wanted of ["path TEXT NOT NULL", "path TEXT, CONSTRAINT filled CHECK (path <> 'b')"]) {
      const plan = planMigration(connection, table(`id INTEGER PRIMARY KEY, ${wanted}`), { isOptimistic });
      assert.equal(statusOf(plan), "ready");
      const before = snapshot(connection);
      assert.throws(() => applyMigration(connection, plan), { reason: "CONSTRAINT_CHECK" });
      assert.deepEqual(snapshot(connection), before);
    }
    const rebuilt = table("id INTEGER PRIMARY KEY, path BLOB NOT NULL");
    assert.equal(statusOf(planMigration(connection, rebuilt, { isOptimistic })), "blocked", "a copy would be in vain");
    connection.exec("UPDATE files SET path = 'x'");
    migrate(connection, table("id INTEGER PRIMARY KEY, path TEXT NOT NULL"), { isOptimistic });
  });

  it("D4 replaces NULLs by the default only by consent, and never silently by the time of day", () => {
    const { connection } = scratchDatabase(
      `${table("id INTEGER PRIMARY KEY, n INT, at TEXT")} INSERT INTO files VALUES (1, NULL, NULL), (2, 5, 'x');`,
    );
    const wanted = table(
      "id INTEGER PRIMARY KEY, n INT NOT NULL DEFAULT 7, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP",
    );
    assert.deepEqual(consentsOf(connection, wanted), [
      { id: "backfill:files.n", rows: 1, sampleRowids: ["1"] },
      { id: "backfill:files.at", rows: 1, sampleRowids: ["1"] },
    ]);
    assert.match(
      planMigration(connection, wanted).consents[1]?.message ?? "",
      /current_timestamp, computed during the migration/,
    );
    assertRefused(connection, wanted, /--allow backfill:files\.at/, { allow: ["backfill:files.n"] });
    migrate(connection, wanted, { allow: ["backfill:files.n", "backfill:files.at"] });
    assert.deepEqual(columnOf(connection, "n"), ["7", "5"]);
  });

  it("D4 finds what only the replaced NULLs break: a UNIQUE and a CHECK", () => {
    const rows = "INSERT INTO files VALUES (1, NULL, NULL), (2, NULL, 2), (3, 'c', 3);";
    const { connection } = scratchDatabase(`${table("id INTEGER PRIMARY KEY, a TEXT UNIQUE, n INT")} ${rows}`);
    const wanted = (a: string, n: string) => table(`id INTEGER PRIMARY KEY, a TEXT ${a} UNIQUE, n INT ${n}`);
    const allow = ["backfill:files.a", "backfill:files.n"];
    const unique = wanted("NOT NULL DEFAULT 'x'", "");
    assertRefused(connection, unique, /1 values of \(a\) occur more than once/, { allow });
    const check = wanted("", "NOT NULL DEFAULT 7 CHECK (n < 5)");
    assertRefused(connection, check, /1 rows of files violate CHECK/, { allow });
    assert.throws(
      () => connection.exec("BEGIN; UPDATE files SET a = ifnull(a, 'x')"),
      /UNIQUE constraint failed/,
      "the control",
    );
    connection.exec("ROLLBACK");
    migrate(connection, wanted("", "NOT NULL DEFAULT 7 CHECK (n < 9)"), { allow });
  });

  const TEXTS = ["'007'", "'1e3'", "'9223372036854775808'", "'12abc'", "' 5 '", "'0x10'", "''", "'42'", "NULL"];

  it("D5 counts the texts that change when their column becomes INTEGER", () => {
    const rows = TEXTS.map((text, index) => `(${index + 1}, ${text})`).join();
    const sql = `${table("id INTEGER PRIMARY KEY, lines TEXT")} INSERT INTO files VALUES ${rows};`;
    const { connection } = scratchDatabase(sql);
    const wanted = table("id INTEGER PRIMARY KEY, lines INTEGER");
    const control = scratchDatabase(sql).connection;
    migrateNaively(control, "files", wanted);
    assert.deepEqual(columnOf(control, "lines").slice(0, 2), ["7", "1000"], "the naive procedure does not ask");
    const plan = planMigration(connection, wanted);
    assert.deepEqual(consentsOf(connection, wanted), [
      { id: "lossy:files.lines", rows: 4, sampleRowids: ["1", "2", "3", "5"] },
    ]);
    assert.match(plan.notes.join(), /values of files\.lines do not fit INTEGER and stay as they are/);
    migrate(connection, wanted, { allow: ["lossy:files.lines"] });
    assert.deepEqual(columnOf(connection, "lines"), [
      "7",
      "1000",
      "9.2233720368547758e+18",
      "'12abc'",
      "5",
      "'0x10'",
      "''",
      "42",
      "NULL",
    ]);
  });

  it("D6 lets the affinity convert and never CAST", () => {
    const { connection } = scratchDatabase(`${table("lines TEXT")} INSERT INTO files VALUES ('12abc'), ('abc');`);
    const { plan } = migrate(connection, table("lines INTEGER"));
    assert.deepEqual(columnOf(connection, "lines"), ["'12abc'", "'abc'"]);
    assert.ok(plan.operations.every(({ steps }) => steps.every(({ sql }) => !/\bcast\b/i.test(sql))));
    assert.deepEqual(
      connection.prepare("SELECT CAST(lines AS INTEGER) FROM files").pluck().all(),
      [12, 0],
      "the control",
    );
  });

  it("D7 asks before a number loses precision", () => {
    const cases = [
      ["INTEGER", "REAL", "9007199254740993"],
      ["REAL", "TEXT", "1e20"],
      ["INTEGER", "REAL", "9223372036854775807"],
    ] as const;
    for (const [from, to, value] of cases) {
      const { connection } = scratchDatabase(`${table(`x ${from}`)} INSERT INTO files VALUES (${value});`);
      assertRefused(connection, table(`x ${to}`), /--allow lossy:files\.x/);
      const before = columnOf(connection, "x");
      migrateNaively(connection, "files", table(`x ${to}`));
      assert.notDeepEqual(columnOf(connection, "x"), before, "the naive procedure changes it without a word");
    }
    const { connection } = scratchDatabase(`${table("x INTEGER")} INSERT INTO files VALUES (9007199254740992), (5);`);
    migrate(connection, table("x REAL"));
  });

  it("D8 never moves a row through JavaScript", () => {
    const { connection } = scratchDatabase(
      `${table("id INTEGER PRIMARY KEY, x TEXT, y")} INSERT INTO files VALUES (9223372036854775807, 'a', -9223372036854775808);`,
    );
    migrate(connection, table("id INTEGER PRIMARY KEY, x BLOB, y"));
    assert.deepEqual(columnOf(connection, "id || ' ' || y"), ["'9223372036854775807 -9223372036854775808'"]);
    const through = connection.prepare("SELECT id FROM files").pluck().get();
    assert.notEqual(String(through), "9223372036854775807", "the control: a number of JavaScript cannot hold it");
  });

  it("D9 lists the rows that a STRICT table would refuse", () => {
    const { connection } = scratchDatabase(
      `${table("id INTEGER PRIMARY KEY, n INTEGER, b BLOB")} INSERT INTO files VALUES (1, 'abc', x'00'), (2, 2, x'01'), (3, 1.5, x'02');`,
    );
    const wanted = table("id INTEGER PRIMARY KEY, n INTEGER, b BLOB", " STRICT");
    assertRefused(connection, wanted, /2 values of files\.n are not INTEGER/);
    assert.deepEqual(planMigration(connection, wanted).problems[0]?.sampleRowids, ["1", "3"]);
    const control = scratchDatabase(`${table("n INTEGER")} INSERT INTO files VALUES ('abc');`).connection;
    assert.throws(() => migrateNaively(control, "files", table("n INTEGER", " STRICT")), /cannot store TEXT value/);
    connection.exec("DELETE FROM files WHERE id <> 2");
    migrate(connection, wanted);
  });

  it("D10 looks for duplicates with the wanted collation", () => {
    const { connection } = scratchDatabase(
      `${table("path TEXT UNIQUE")} INSERT INTO files VALUES ('a'), ('A'), (NULL), (NULL);`,
    );
    assertRefused(connection, table("path TEXT COLLATE NOCASE UNIQUE"), /occur more than once/);
    const index = scratchDatabase(`${table("path TEXT")} INSERT INTO files VALUES ('a'), ('A');`).connection;
    assertRefused(
      index,
      `${table("path TEXT")} CREATE UNIQUE INDEX u ON files (path COLLATE NOCASE);`,
      /occur more than once/,
    );
    const control = scratchDatabase(`${table("path TEXT UNIQUE")} INSERT INTO files VALUES ('a'), ('A');`).connection;
    const replacing = table("path TEXT COLLATE NOCASE UNIQUE ON CONFLICT REPLACE");
    assertRefused(control, replacing, /occur more than once/);
    migrateNaively(control, "files", replacing);
    assert.deepEqual(columnOf(control, "path"), ["'A'"], "the control: one of the two is gone");
  });

  for (const [key, wantedKey] of [
    ["n TEXT UNIQUE, k TEXT", "n INTEGER UNIQUE, k TEXT"],
    ["n TEXT PRIMARY KEY, k TEXT", "n INT PRIMARY KEY, k TEXT"],
    ["n TEXT, k TEXT, UNIQUE (k, n)", "n REAL, k TEXT, UNIQUE (k, n)"],
    ["n, k TEXT, UNIQUE (n)", "n TEXT, k TEXT, UNIQUE (n)"],
  ] as const) {
    it(`D5 finds the duplicates that only the conversion makes, (${key}) → (${wantedKey})`, () => {
      const values = key.startsWith("n,") ? "(1, 'k'), ('1', 'k'), (2, 'k')" : "('1', 'k'), ('01', 'k'), ('2', 'k')";
      const { connection } = scratchDatabase(`${table(key)} INSERT INTO files VALUES ${values};`);
      assertRefused(connection, table(wantedKey), /1 values of \((k, )?n\) occur more than once/, {
        allow: ["lossy:files.n"],
      });
      const [problem] = planMigration(connection, table(wantedKey)).problems;
      assert.deepEqual([problem?.rows, problem?.sampleRowids], [1, ["2"]]);
      assert.throws(() => migrateNaively(connection, "files", table(wantedKey)), /UNIQUE constraint failed/);
      connection.exec("DELETE FROM files WHERE rowid = 2");
      migrate(connection, table(wantedKey), { allow: ["lossy:files.n"] });
    });
  }

  it("D5 finds them in a partial unique index that stays as it is", () => {
    const index = "CREATE UNIQUE INDEX u ON files (n) WHERE k > 0;";
    const sql = `${table("n TEXT, k INT")} ${index} INSERT INTO files VALUES ('1', 1), ('01', 0), ('001', 1), ('5', 1);`;
    const { connection } = scratchDatabase(sql);
    const wanted = `${table("n INTEGER, k INT")} ${index}`;
    assertRefused(connection, wanted, /occur more than once/, { allow: ["lossy:files.n"] });
    connection.exec("DELETE FROM files WHERE n = '001'");
    migrate(connection, wanted, { allow: ["lossy:files.n"] });
  });

  it("D11 finds the NULLs in a TEXT PRIMARY KEY that WITHOUT ROWID forbids", () => {
    const { connection } = scratchDatabase(
      `${table("path TEXT PRIMARY KEY")} INSERT INTO files VALUES ('a'), (NULL), (NULL);`,
    );
    assertRefused(connection, table("path TEXT PRIMARY KEY", " WITHOUT ROWID"), /NULL in 2 rows/);
    const control = scratchDatabase(
      `${table("path TEXT PRIMARY KEY")} INSERT INTO files VALUES ('a'), (NULL);`,
    ).connection;
    const wanted = table("path TEXT PRIMARY KEY", " WITHOUT ROWID");
    assert.throws(() => migrateNaively(control, "files", wanted), /NOT NULL constraint failed: files\.path/);
    connection.exec("DELETE FROM files WHERE path IS NULL");
    migrate(connection, wanted);
  });

  it("D12 preserves rowids with gaps where no column holds them", () => {
    const sql = `${table("path TEXT, size TEXT")} INSERT INTO files (rowid, path) VALUES (-5, 'z'), (3, 'a'), (70000000000, 'b');`;
    const { connection } = scratchDatabase(sql);
    migrate(connection, table("path TEXT, size INTEGER"), { chunkRows: 1 });
    assert.deepEqual(columnOf(connection, "rowid"), ["-5", "3", "70000000000"]);
    const control = scratchDatabase(sql).connection;
    migrateNaively(control, "files", table("path TEXT, size INTEGER"));
    assert.deepEqual(columnOf(control, "rowid"), ["1", "2", "3"]);
    const hidden = scratchDatabase(
      `${table("rowid TEXT, size TEXT")} INSERT INTO files (_rowid_, rowid) VALUES (3, 'x');`,
    ).connection;
    migrate(hidden, table("rowid TEXT, size INTEGER"));
    assert.deepEqual(columnOf(hidden, "_rowid_"), ["3"]);
  });

  for (const deletion of ["DELETE FROM files WHERE id > 1", "DELETE FROM files"]) {
    it(`D13 gives out no id twice after ${deletion}`, () => {
      const columns = (type: string) => table(`id INTEGER PRIMARY KEY AUTOINCREMENT, size ${type}`);
      const sql = `${columns("TEXT")} INSERT INTO files (size) VALUES ('1'), ('2'), ('3'); ${deletion};`;
      const { connection } = scratchDatabase(sql);
      migrate(connection, columns("INTEGER"));
      connection.exec("INSERT INTO files (size) VALUES (9)");
      assert.equal(connection.prepare("SELECT max(id) FROM files").pluck().get(), 4);
      const control = scratchDatabase(sql).connection;
      migrateNaively(control, "files", columns("INTEGER"));
      control.exec("INSERT INTO files (size) VALUES (9)");
      assert.ok(Number(control.prepare("SELECT max(id) FROM files").pluck().get()) < 4);
    });
  }

  it("D14 copies no generated column", () => {
    const columns = (type: string) => table(`a ${type}, b AS (a || '!') VIRTUAL, c AS (a || '?') STORED, d INT`);
    const { connection } = scratchDatabase(`${columns("INTEGER")} INSERT INTO files (a, d) VALUES (1, 2);`);
    migrate(connection, columns("TEXT"));
    assert.deepEqual(connection.prepare("SELECT * FROM files").all(), [{ a: "1", b: "1!", c: "1?", d: 2 }]);
    const control = scratchDatabase(`${columns("INTEGER")} INSERT INTO files (a, d) VALUES (1, 2);`).connection;
    assert.throws(() => migrateNaively(control, "files", columns("TEXT"), "a, b, c, d"), /generated column/);
  });

  it("D15 gives a new column its default and never the data of a dropped one", () => {
    const { connection } = scratchDatabase(`${table("a TEXT, k TEXT")} INSERT INTO files VALUES ('old', 'k');`);
    migrate(connection, table("b TEXT DEFAULT 'new', k TEXT"), { allow: ["drop-column:files.a"] });
    assert.deepEqual(connection.prepare("SELECT b, k FROM files").all(), [{ b: "new", k: "k" }]);
    const control = scratchDatabase(`${table("a TEXT, k TEXT")} INSERT INTO files VALUES ('old', 'k');`).connection;
    migrateNaively(control, "files", table("b TEXT DEFAULT 'new', k TEXT"));
    assert.deepEqual(control.prepare("SELECT b, k FROM files").all(), [{ b: "old", k: "k" }]);
  });

  it("D16 renames a column by hint only", () => {
    const sql = `${table("a TEXT, k TEXT")} CREATE VIEW v AS SELECT a FROM files; INSERT INTO files VALUES ('old', 'k');`;
    const view = "CREATE VIEW v AS SELECT b FROM files;";
    const rename = { table: "files", from: "a", to: "b" };
    const { connection } = scratchDatabase(sql);
    const { plan } = migrate(connection, table("b TEXT, k TEXT") + view, { renames: [rename] });
    assert.deepEqual(kindsOf(plan), ["rename-column files.a"]);
    assert.deepEqual(columnOf(connection, "b"), ["'old'"]);
    assert.throws(
      () => planMigration(scratchDatabase(sql).connection, table("a TEXT, b TEXT"), { renames: [rename] }),
      /still has a column a/,
    );
    assert.throws(
      () => planMigration(connection, table("c TEXT, k TEXT"), { renames: [{ ...rename, to: "c" }] }),
      /no column a/,
    );
    const cased = migrate(connection, table("B TEXT, k TEXT") + view, {
      renames: [{ table: "files", from: "b", to: "B" }],
    });
    assert.deepEqual(kindsOf(cased.plan), ["rename-column files.b"]);
    const retyped = migrate(connection, table("n INTEGER, k TEXT") + view.replace("b", "n"), {
      renames: [{ table: "files", from: "B", to: "n" }],
    });
    assert.deepEqual(kindsOf(retyped.plan).slice(0, 1), ["rename-column files.B"]);
    assert.deepEqual(columnOf(connection, "n"), ["'old'"]);
  });

  it("D17 drops a column with values only by consent and says when it holds none", () => {
    const { connection } = scratchDatabase(
      `${table("a TEXT, b TEXT, c TEXT")} INSERT INTO files VALUES ('1', NULL, 'x'), (NULL, NULL, 'y');`,
    );
    assert.deepEqual(consentsOf(connection, table("c TEXT")), [
      { id: "drop-column:files.a", rows: 1, sampleRowids: ["1"] },
    ]);
    assert.match(planMigration(connection, table("c TEXT")).notes.join(), /Dropping files\.b loses nothing/);
    assertRefused(connection, table("c TEXT"), /--allow drop-column:files\.a/);
    const control = scratchDatabase(`${table("a TEXT, c TEXT")} INSERT INTO files VALUES ('1', 'x');`).connection;
    migrateNaively(control, "files", table("c TEXT"), "c");
    assert.deepEqual(control.prepare("SELECT * FROM files").all(), [{ c: "x" }], "the naive procedure does not ask");
    migrate(connection, table("c TEXT"), { allow: ["DROP-COLUMN:files.A"] });
    assert.deepEqual(columnOf(connection, "c"), ["'x'", "'y'"]);
    const view = "CREATE VIEW files AS SELECT 1 AS c;";
    assert.deepEqual(consentsOf(connection, view), [{ id: "drop-table:files", rows: 2, sampleRowids: [] }]);
    assert.equal(
      statusOf(planMigration(connection, "CREATE TABLE other (x);")),
      "ready",
      "an extra table is left alone",
    );
  });

  it("D18 finds rows that break a CHECK that was always there before it copies", () => {
    const columns = (type: string) => table(`id INTEGER PRIMARY KEY, size INT CHECK (files.size > 0), x ${type}`);
    const { connection } = scratchDatabase(
      `${columns("TEXT")} PRAGMA ignore_check_constraints = ON; INSERT INTO files VALUES (1, 1, 'a'), (2, -1, 'b');`,
    );
    connection.pragma("ignore_check_constraints = OFF");
    const begun: string[] = [];
    assertRefused(connection, columns("INTEGER"), /1 rows of files violate CHECK/, {
      onStep: (sql) => begun.push(sql),
    });
    assert.deepEqual(begun, []);
    const control = scratchDatabase(
      `${columns("TEXT")} PRAGMA ignore_check_constraints = ON; INSERT INTO files VALUES (2, -1, 'b'); PRAGMA ignore_check_constraints = OFF;`,
    );
    assert.throws(
      () => migrateNaively(control.connection, "files", columns("INTEGER")),
      /CHECK constraint failed|no such column/,
    );
  });

  for (const [what, live, wanted, holds] of [
    ["in the wanted type", "n TEXT", "n INTEGER CHECK (n < 10)", "'9'"],
    ["in the wanted collation", "n TEXT", "n TEXT COLLATE NOCASE CHECK (n = 'a')", "'A'"],
    ["with a computed column", "n TEXT", "n TEXT, a AS (n || '!'), b AS (a || '?') CHECK (b <> 'x!?')", "'y'"],
    ["with the default of a new column", "n TEXT", "n TEXT, k INT DEFAULT '5' CHECK (k < 9 OR n = 'x')", "'x'"],
  ] as const) {
    it(`D18 tries a CHECK on the rows as they will be: ${what}`, () => {
      const broken = { "'9'": "'10'", "'A'": "'b'", "'y'": "'x'", "'x'": undefined }[holds];
      const { connection } = scratchDatabase(`${table(live)} INSERT INTO files VALUES (${holds});`);
      if (broken !== undefined) {
        connection.exec(`INSERT INTO files VALUES (${broken})`);
        assertRefused(connection, table(wanted), /1 rows of files violate CHECK/);
        assert.doesNotMatch(planMigration(connection, table(wanted)).notes.join(), /cannot be checked in advance/);
        connection.exec("DELETE FROM files WHERE rowid = 2");
      }
      migrate(connection, table(wanted));
    });
  }

  it("D18 says that a CHECK over the rowid cannot be tried in advance, and finds out by copying", () => {
    const { connection } = scratchDatabase(`${table("n TEXT")} INSERT INTO files VALUES ('1'), ('2');`);
    const wanted = table("n INTEGER CHECK (rowid < n)");
    assert.match(planMigration(connection, wanted).notes.join(), /cannot be checked in advance: no such column: rowid/);
    assertRefused(connection, wanted, /CHECK constraint failed/);
  });

  it("D5 makes texts that are whole numbers the INTEGER PRIMARY KEY, and refuses the others", () => {
    const { connection } = scratchDatabase(
      `${table("id TEXT PRIMARY KEY NOT NULL")} INSERT INTO files VALUES ('7'), ('x');`,
    );
    const wanted = table("id INTEGER PRIMARY KEY");
    assertRefused(connection, wanted, /1 values of files\.id are not integers/);
    connection.exec("DELETE FROM files WHERE id = 'x'");
    migrate(connection, wanted);
    assert.deepEqual(columnOf(connection, "id"), ["7"]);
  });

  for (const encoding of ["UTF-8", "UTF-16le"]) {
    it(`D19 keeps every byte of a ${encoding} database`, () => {
      const values =
        "(x'00ff00'), (CAST(x'61eda080' AS TEXT)), ('a' || char(0) || 'b'), (-0.0), (9e999), (-9e999), (''), (x'')";
      const { connection } = scratchDatabase(
        `PRAGMA encoding = '${encoding}'; ${table("v, size TEXT")} INSERT INTO files (v) VALUES ${values};`,
      );
      const before = hashTable(connection, "files", ["v"]);
      migrate(connection, table("v, size INTEGER"));
      assert.deepEqual(hashTable(connection, "files", ["v"]), before);
    });
  }

  it("D20 proves the row counts of the table and of its children inside the transaction", () => {
    const kids = "CREATE TABLE kids (id INTEGER PRIMARY KEY, file INT REFERENCES files ON DELETE CASCADE);";
    const columns = (type: string) => table(`id INTEGER PRIMARY KEY, size ${type}`);
    const { connection } = scratchDatabase(
      `${columns("TEXT")} ${kids} INSERT INTO files VALUES (1, '1'); INSERT INTO kids VALUES (1, 1), (2, 1);`,
    );
    for (const victim of ["kids", "files"]) {
      const onStep = (sql: string) => {
        if (sql === "-- prove") connection.exec(`DELETE FROM ${victim}`);
      };
      assertRefused(connection, columns("INTEGER") + kids, new RegExp(`table ${victim} would have 0 rows instead of`), {
        onStep,
      });
    }
    migrate(connection, columns("INTEGER") + kids);
  });
});
