import assert from "node:assert/strict";
import { compareSchemas } from "../../src/schema/comparator.js";
import { isEmptyDiff } from "../../src/schema/diff.js";
import { applyMigration } from "../../src/schema/migration.js";
import { planMigration } from "../../src/schema/planner.js";
import { readWantedSchema } from "../../src/schema/wanted-schema.js";
import { assertRefused, assertSettled, migrate } from "../support/migrate.js";
import { migrateNaively } from "../support/naive-migration.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";
import { hashTable, snapshot } from "../support/snapshot.js";

const OLD_FILES = "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, lines TEXT);";
const NEW_FILES = "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, lines INTEGER);";
const FILE_ROWS = "INSERT INTO files VALUES (1, 'a.ts', '10'), (2, 'b.ts', '20');";

function child(action: string, extra = ""): string {
  return `CREATE TABLE classes (id INTEGER PRIMARY KEY, file_id INT ${extra} REFERENCES files (id) ON DELETE ${action});`;
}

const CHILD_ROWS = "INSERT INTO classes (id, file_id) VALUES (1, 1), (2, 1), (3, 2);";

describe("migration: foreign keys", () => {
  afterEach(removeScratchDatabases);

  it("A1 keeps the rows of a child with ON DELETE CASCADE", () => {
    const sql = OLD_FILES + child("CASCADE") + FILE_ROWS + CHILD_ROWS;
    const { connection } = scratchDatabase(sql);
    connection.pragma("foreign_keys = ON");
    const before = hashTable(connection, "classes");
    migrate(connection, NEW_FILES + child("CASCADE"));
    assert.deepEqual(hashTable(connection, "classes"), before);
    const control = scratchDatabase(sql).connection;
    migrateNaively(control, "files", NEW_FILES);
    assert.equal(hashTable(control, "classes").rows, 0, "the naive procedure deletes the children");
  });

  for (const action of ["SET NULL", "SET DEFAULT"]) {
    it(`A2 keeps the foreign key values of a child with ON DELETE ${action}`, () => {
      const declaration = child(action, "DEFAULT NULL");
      const sql = OLD_FILES + declaration + FILE_ROWS + CHILD_ROWS;
      const { connection } = scratchDatabase(sql);
      connection.pragma("foreign_keys = ON");
      const before = hashTable(connection, "classes");
      migrate(connection, NEW_FILES + declaration);
      assert.deepEqual(hashTable(connection, "classes"), before);
      const control = scratchDatabase(sql).connection;
      migrateNaively(control, "files", NEW_FILES);
      assert.notDeepEqual(hashTable(control, "classes"), before, "the naive procedure clears the references");
    });
  }

  for (const action of ["NO ACTION", "RESTRICT"]) {
    it(`A3 rebuilds the parent of a child with ON DELETE ${action}`, () => {
      const sql = OLD_FILES + child(action) + FILE_ROWS + CHILD_ROWS;
      const { connection } = scratchDatabase(sql);
      connection.pragma("foreign_keys = ON");
      migrate(connection, NEW_FILES + child(action));
      assert.equal(hashTable(connection, "classes").rows, 3);
      const control = scratchDatabase(sql).connection;
      assert.throws(() => migrateNaively(control, "files", NEW_FILES), /FOREIGN KEY constraint failed/);
    });
  }

  it("A4 refuses inside a transaction, where foreign_keys cannot be switched", () => {
    const { connection } = scratchDatabase(OLD_FILES + child("CASCADE") + FILE_ROWS + CHILD_ROWS);
    const plan = planMigration(connection, NEW_FILES + child("CASCADE"));
    const before = snapshot(connection);
    connection.pragma("foreign_keys = ON");
    connection.exec("BEGIN");
    connection.pragma("foreign_keys = OFF");
    assert.equal(connection.pragma("foreign_keys", { simple: true }), 1, "the control: the PRAGMA is a no-op");
    assert.throws(() => applyMigration(connection, plan), /inside a transaction/);
    connection.exec("ROLLBACK");
    assert.deepEqual(snapshot(connection), before);
  });

  it("A5 switches foreign keys off although legacy_alter_table is on", () => {
    const { connection } = scratchDatabase(OLD_FILES + child("CASCADE") + FILE_ROWS + CHILD_ROWS);
    connection.pragma("foreign_keys = ON");
    connection.pragma("legacy_alter_table = ON");
    const seen: unknown[] = [];
    migrate(connection, NEW_FILES + child("CASCADE"), {
      onStep: () => seen.push(connection.pragma("foreign_keys", { simple: true })),
    });
    assert.deepEqual([...new Set(seen)], [0]);
    assert.equal(hashTable(connection, "classes").rows, 3);
    assert.equal(connection.pragma("legacy_alter_table", { simple: true }), 1);
    const control = scratchDatabase(OLD_FILES + child("CASCADE") + FILE_ROWS + CHILD_ROWS).connection;
    control.pragma("legacy_alter_table = ON");
    migrateNaively(control, "files", NEW_FILES);
    assert.equal(hashTable(control, "classes").rows, 0, "legacy_alter_table alone does not save the children");
  });

  it("A6 rebuilds a table that references itself", () => {
    const table = (type: string) =>
      `CREATE TABLE files (id INTEGER PRIMARY KEY, parent INT REFERENCES files ON DELETE CASCADE, lines ${type});`;
    const sql = `${table("TEXT")} INSERT INTO files VALUES (1, NULL, '1'), (2, 1, '2'), (3, 2, '3');`;
    const { connection } = scratchDatabase(sql);
    migrate(connection, table("INTEGER"));
    assert.equal(hashTable(connection, "files").rows, 3);
    const [key] = connection.pragma("foreign_key_list(files)") as { table: string }[];
    assert.equal(key?.table, "files");
    connection.pragma("foreign_keys = ON");
    connection.exec("DELETE FROM files WHERE id = 1");
    assert.equal(hashTable(connection, "files").rows, 0, "the cascade works after the rebuild");
    const control = scratchDatabase(sql).connection;
    control.pragma("foreign_keys = ON");
    control.exec(`${table("INTEGER").replace("files", "new_files")} INSERT INTO new_files SELECT * FROM files;
      DROP TABLE files; ALTER TABLE new_files RENAME TO files;`);
    assert.equal(
      hashTable(control, "files").rows,
      1,
      "the control: a copy that still refers to the old table goes with it",
    );
  });

  it("A7 rebuilds two tables that reference each other", () => {
    const tables = (type: string) =>
      `CREATE TABLE a (id INTEGER PRIMARY KEY, b INT REFERENCES b ON DELETE CASCADE, x ${type});
       CREATE TABLE b (id INTEGER PRIMARY KEY, a INT REFERENCES a ON DELETE CASCADE, x ${type});`;
    const sql = `${tables("TEXT")} INSERT INTO a VALUES (1, NULL, '5'); INSERT INTO b VALUES (1, 1, '6');
      UPDATE a SET b = 1;`;
    const { connection } = scratchDatabase(sql);
    const { plan } = migrate(connection, tables("INTEGER"));
    assert.equal(plan.operations.length, 2);
    assert.deepEqual(connection.prepare("SELECT a.x, b.x AS y FROM a JOIN b ON b.a = a.id").all(), [{ x: 5, y: 6 }]);
    const control = scratchDatabase(sql).connection;
    const newA = tables("INTEGER").split(";")[0] ?? "";
    migrateNaively(control, "a", newA);
    assert.equal(hashTable(control, "b").rows, 0, "the naive procedure empties the other table");
  });

  it("A8 refuses to drop the unique index that is a child's parent key", () => {
    const sql = `CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT, x TEXT); CREATE UNIQUE INDEX p_code ON p (code);
      CREATE TABLE c (code TEXT REFERENCES p (code)); INSERT INTO p VALUES (1, 'a', '1'); INSERT INTO c VALUES ('a');`;
    const wanted =
      "CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT, x INTEGER); CREATE TABLE c (code TEXT REFERENCES p (code));";
    const { connection } = scratchDatabase(sql);
    assertRefused(connection, wanted, /c would lose its parent key in p/, { allow: ["drop-index:p_code"] });
    const control = scratchDatabase(sql).connection;
    control.pragma("foreign_keys = ON");
    control.exec("DROP INDEX p_code");
    assert.throws(() => control.exec("INSERT INTO c VALUES ('a')"), /foreign key mismatch/);
    migrate(connection, wanted);
    connection.pragma("foreign_keys = ON");
    connection.exec("INSERT INTO c VALUES ('a')");
  });

  it("A9 reports an orphan that was there before and goes on", () => {
    const sql = `${OLD_FILES + child("CASCADE") + FILE_ROWS + CHILD_ROWS} INSERT INTO classes VALUES (9, 99);`;
    const { connection } = scratchDatabase(sql);
    const { plan, result } = migrate(connection, NEW_FILES + child("CASCADE"));
    assert.match(result.knownViolations.join(), /classes\(file_id\) → files\(id\) in 1 rows/);
    assert.match(plan.notes.join(), /1 rows violate classes.* already \(rowid 9/);
  });

  it("A10 rolls back when the new table would orphan a row, and names it", () => {
    const child = "CREATE TABLE c (code TEXT REFERENCES p (code));";
    const { connection } = scratchDatabase(`CREATE TABLE p (code TEXT COLLATE NOCASE PRIMARY KEY); ${child}
      INSERT INTO p VALUES ('A'); INSERT INTO c (rowid, code) VALUES (41, 'A'), (42, 'a');`);
    assert.deepEqual(connection.pragma("foreign_key_check"), []);
    const wanted = `CREATE TABLE p (code TEXT PRIMARY KEY); ${child}`;
    assertRefused(connection, wanted, /leave 1 rows without their parent: c\(code\) → p\(code\), rowid 42/);
    connection.exec(`PRAGMA foreign_keys = OFF; PRAGMA legacy_alter_table = ON; ALTER TABLE p RENAME TO temp_p;
      CREATE TABLE p (code TEXT PRIMARY KEY); INSERT INTO p SELECT * FROM temp_p; DROP TABLE temp_p;`);
    assert.deepEqual(
      connection.pragma("foreign_key_check"),
      [{ table: "c", rowid: 42, parent: "p", fkid: 0 }],
      "the control: the four statements orphan it without a word",
    );
  });

  it("A10 counts beforehand the rows that a new foreign key would orphan, also when its parent is a new table", () => {
    const { connection } = scratchDatabase(
      "CREATE TABLE c (p, q TEXT); INSERT INTO c VALUES (1, '1.0'), (NULL, NULL);",
    );
    const toNewTable = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p, q TEXT);";
    assertRefused(connection, toNewTable, /1 rows of c have no parent/);
    connection.exec("CREATE TABLE n (id TEXT PRIMARY KEY); INSERT INTO n VALUES ('1')");
    const byText = "CREATE TABLE n (id TEXT PRIMARY KEY); CREATE TABLE c (p, q REAL REFERENCES n);";
    // As a real number it is 1.0, which is '1.0' to a parent of type TEXT.
    assertRefused(connection, byText, /1 rows of c have no parent/, { allow: ["lossy:c.q"] });
    connection.exec("INSERT INTO n VALUES ('1.0')");
    migrate(connection, byText, { allow: ["lossy:c.q"] });
  });

  it("A11 refuses to drop the parent of an empty child", () => {
    const sql = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INT REFERENCES p (id));";
    const { connection } = scratchDatabase(sql);
    const wanted = "CREATE TABLE c (id INT REFERENCES p (id)); CREATE VIEW p AS SELECT 1 AS id;";
    assertRefused(connection, wanted, /parent table p does not exist/, { allow: ["drop-table:p"] });
    connection.exec("DROP TABLE p");
    assert.deepEqual(connection.pragma("foreign_key_check"), [], "the control: SQLite's own check sees nothing");
  });

  it("A12 compares implicit, composite, deferred and MATCH foreign keys as what they mean", () => {
    const parents = "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE q (a, b, PRIMARY KEY (a, b));";
    const forms = [
      ["x INT REFERENCES p", "x INT REFERENCES p (id)", true],
      ["x INT, y INT, FOREIGN KEY (x, y) REFERENCES q", 'x INT, y INT, FOREIGN KEY (x, "y") REFERENCES Q (a, b)', true],
      ["x INT REFERENCES p DEFERRABLE", "x INT REFERENCES p NOT DEFERRABLE", true],
      ["x INT REFERENCES p", "x INT REFERENCES p DEFERRABLE INITIALLY DEFERRED", false],
      ["x INT REFERENCES p MATCH SIMPLE", "x INT, FOREIGN KEY (x) REFERENCES p", true],
      ["x INT REFERENCES p ON DELETE CASCADE", "x INT REFERENCES p ON UPDATE CASCADE", false],
    ] as const;
    for (const [left, right, isSame] of forms) {
      const [a, b] = [left, right].map((body) => `${parents} CREATE TABLE c (note, ${body});`);
      assert.ok(a && b);
      assert.equal(isEmptyDiff(compareSchemas(readWantedSchema(a), readWantedSchema(b))), isSame, `${left} | ${right}`);
      const { connection } = scratchDatabase(`${a} INSERT INTO c (x) VALUES (NULL);`);
      if (isSame) assertSettled(connection, b);
      else migrate(connection, b);
    }
    const control = scratchDatabase(`${parents} CREATE TABLE c (x INT REFERENCES p); INSERT INTO p VALUES (1);
      INSERT INTO c VALUES (1);`).connection;
    control.exec("PRAGMA foreign_keys = ON; ALTER TABLE p RENAME TO temp_p");
    const sql = control.prepare("SELECT sql FROM sqlite_schema WHERE name = 'c'").pluck().get();
    assert.match(String(sql), /REFERENCES "temp_p"/, "the control: the implicit key follows the wrong table");
  });

  it("A13 leaves foreign_keys as it was", () => {
    for (const value of [0, 1]) {
      const { connection } = scratchDatabase(OLD_FILES + child("CASCADE") + FILE_ROWS + CHILD_ROWS);
      connection.pragma(`foreign_keys = ${value}`);
      migrate(connection, NEW_FILES + child("CASCADE"));
      assert.equal(connection.pragma("foreign_keys", { simple: true }), value);
    }
    const control = scratchDatabase(OLD_FILES + child("CASCADE") + FILE_ROWS + CHILD_ROWS).connection;
    control.pragma("foreign_keys = OFF");
    migrateNaively(control, "files", NEW_FILES);
    assert.equal(control.pragma("foreign_keys", { simple: true }), 1, "the control leaves them on");
  });
});
