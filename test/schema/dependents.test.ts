import assert from "node:assert/strict";
import { statusOf } from "../../src/schema/plan.js";
import { planMigration } from "../../src/schema/planner.js";
import { assertRefused, kindsOf, migrate } from "../support/migrate.js";
import { migrateNaively } from "../support/naive-migration.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";
import { hashTable } from "../support/snapshot.js";

const OLD = "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, size TEXT);";
const NEW = "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, size INTEGER);";
const ROWS = "INSERT INTO files VALUES (1, 'a', '10'), (2, 'b', '20');";
const AUDIT = "CREATE TABLE audit (what TEXT);";

function names(connection: ReturnType<typeof scratchDatabase>["connection"], type: string): unknown[] {
  return connection.prepare("SELECT name FROM main.sqlite_schema WHERE type = ? ORDER BY rowid").pluck().all(type);
}

describe("migration: what hangs on a rebuilt table", () => {
  afterEach(removeScratchDatabases);

  const triggers = `CREATE TRIGGER z_first BEFORE INSERT ON files BEGIN INSERT INTO audit VALUES ('z'); END;
    CREATE TRIGGER a_second AFTER UPDATE OF size ON files WHEN NEW.size > 5 BEGIN INSERT INTO audit VALUES ('a'); END;
    CREATE TRIGGER m_third BEFORE INSERT ON files BEGIN INSERT INTO audit VALUES ('m'); END;`;

  it("C1 restores triggers with their text and in their order of creation", () => {
    const { connection } = scratchDatabase(AUDIT + OLD + triggers + ROWS);
    const order = names(connection, "trigger");
    const texts = connection
      .prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
      .pluck()
      .all();
    migrate(connection, AUDIT + NEW + triggers);
    assert.deepEqual(names(connection, "trigger"), order);
    const after = connection
      .prepare("SELECT sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
      .pluck()
      .all();
    assert.deepEqual(after, texts);
    const control = scratchDatabase(AUDIT + OLD + triggers + ROWS).connection;
    migrateNaively(control, "files", NEW);
    assert.deepEqual(names(control, "trigger"), [], "the naive procedure loses them");
  });

  it("C1 keeps the order when the text of one trigger changes", () => {
    const { connection } = scratchDatabase(AUDIT + OLD + triggers);
    migrate(connection, AUDIT + OLD + triggers.replace("VALUES ('z')", "VALUES ('zz')"));
    assert.deepEqual(names(connection, "trigger"), ["z_first", "a_second", "m_third"]);
  });

  it("C2 fires no trigger while it copies", () => {
    const { connection } = scratchDatabase(AUDIT + OLD + triggers + ROWS);
    connection.exec("DELETE FROM audit");
    migrate(connection, AUDIT + NEW + triggers);
    assert.equal(hashTable(connection, "audit").rows, 0);
    const control = scratchDatabase(AUDIT + OLD + ROWS).connection;
    control.exec(
      `ALTER TABLE files RENAME TO temp_files; ${NEW} ${triggers} INSERT INTO files SELECT * FROM temp_files`,
    );
    assert.equal(hashTable(control, "audit").rows, 4, "triggers that are there before the copy fire");
  });

  it("C3 restores every kind of index as it was", () => {
    const table = (type: string) =>
      `CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT COLLATE NOCASE, size ${type}, code TEXT UNIQUE);`;
    const indexes = `CREATE UNIQUE INDEX i_unique ON files (path, size); CREATE INDEX i_partial ON files (size) WHERE size > 3;
      CREATE INDEX i_expression ON files (lower(path), size DESC); CREATE INDEX i_collate ON files (path COLLATE BINARY DESC);`;
    const { connection } = scratchDatabase(`${table("TEXT")} ${indexes} INSERT INTO files VALUES (1, 'a', '1', 'x');`);
    const inspect = () =>
      connection
        .prepare(
          "SELECT l.name, l.\"unique\", l.partial, x.* FROM pragma_index_list('files') AS l, pragma_index_xinfo(l.name) AS x ORDER BY l.name, x.seqno",
        )
        .all();
    const before = inspect();
    migrate(connection, table("INTEGER") + indexes);
    assert.deepEqual(inspect(), before);
    const control = scratchDatabase(`${table("TEXT")} ${indexes}`).connection;
    control.exec(`ALTER TABLE files RENAME TO temp_files; ${table("INTEGER")}`);
    assert.throws(() => control.exec(indexes), /index i_unique already exists/);
  });

  it("C4 refuses when a trigger of another table uses a dropped column", () => {
    const trigger =
      "CREATE TRIGGER note AFTER INSERT ON audit BEGIN UPDATE files SET size = 1 WHERE path = NEW.what; END;";
    const { connection } = scratchDatabase(AUDIT + OLD + trigger + ROWS);
    const wanted = `${AUDIT} CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT); ${trigger}`;
    assertRefused(
      connection,
      wanted,
      /trigger note would not work: no such column: size\. Correct it in the wanted schema/,
      {
        allow: ["drop-column:files.size"],
      },
    );
    const control = scratchDatabase(AUDIT + OLD + trigger + ROWS).connection;
    migrateNaively(control, "files", "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT)", "id, path");
    assert.throws(() => control.exec("INSERT INTO audit VALUES ('a')"), /no such/, "silent until it fires");
  });

  it("C4 drops an extra trigger that uses a dropped column by consent, and leaves those that fire with it", () => {
    const trigger = (name: string, column: string) =>
      `CREATE TRIGGER ${name} AFTER INSERT ON files BEGIN INSERT INTO audit VALUES (NEW.${column}); END;`;
    const { connection } = scratchDatabase(
      AUDIT + OLD + trigger("on_path", "path") + trigger("on_size", "size") + ROWS,
    );
    const wanted = `${AUDIT} CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT);`;
    const allow = ["drop-column:files.size", "drop-trigger:on_size"];
    assert.deepEqual(
      planMigration(connection, wanted)
        .consents.map(({ id }) => id)
        .sort(),
      allow,
    );
    migrate(connection, wanted, { allow });
    assert.deepEqual(names(connection, "trigger"), ["on_path"]);
  });

  it("C5 drops a view that uses a dropped column only by consent, also one over a view", () => {
    const views =
      "CREATE VIEW sizes AS SELECT size FROM files; CREATE VIEW total AS SELECT sum(size) AS total FROM sizes;";
    const wanted = "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT);";
    const { connection } = scratchDatabase(OLD + views + ROWS);
    const control = scratchDatabase(OLD + views + ROWS).connection;
    migrateNaively(control, "files", wanted, "id, path");
    assert.throws(() => control.exec("SELECT * FROM total"), /no such table/, "the naive procedure breaks it");
    assertRefused(connection, wanted, /drop-view:sizes/, { allow: ["drop-column:files.size"] });
    assertRefused(connection, wanted + views, /view sizes would not work/, {
      allow: ["drop-column:files.size"],
    });
    const plan = planMigration(connection, wanted, { allow: ["drop-column:files.size"] });
    assert.deepEqual(plan.consents.map(({ id }) => id).sort(), [
      "drop-column:files.size",
      "drop-view:sizes",
      "drop-view:total",
    ]);
    migrate(connection, wanted, { allow: plan.consents.map(({ id }) => id) });
    assert.deepEqual(names(connection, "view"), []);
  });

  it("C6 restores the INSTEAD OF triggers of a view that changes", () => {
    const view = (columns: string) => `CREATE VIEW v AS SELECT ${columns} FROM files;`;
    const trigger =
      "CREATE TRIGGER into_v INSTEAD OF INSERT ON v BEGIN INSERT INTO files (path) VALUES (NEW.path); END;";
    const { connection } = scratchDatabase(OLD + view("path") + trigger + ROWS);
    migrate(connection, OLD + view("path, size") + trigger);
    connection.exec("INSERT INTO v (path) VALUES ('new')");
    assert.equal(hashTable(connection, "files").rows, 3);
    const control = scratchDatabase(OLD + view("path") + trigger).connection;
    control.exec(`DROP VIEW v; ${view("path, size")}`);
    assert.deepEqual(names(control, "trigger"), [], "DROP VIEW takes them along");
  });

  it("C7 reports that the result of a SELECT * view changes", () => {
    const view = "CREATE VIEW everything AS SELECT * FROM files;";
    const { connection } = scratchDatabase(OLD + view + ROWS);
    const { plan } = migrate(
      connection,
      `CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, size TEXT, lines INT); ${view}`,
    );
    assert.match(plan.notes.join(), /view everything changes from \(id, path, size\) to \(id, path, size, lines\)/);

    const control = scratchDatabase(OLD + view + ROWS).connection;
    control.exec(`PRAGMA legacy_alter_table = ON; ALTER TABLE files RENAME TO temp_files;
      CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, size TEXT, lines INT);
      INSERT INTO files (id, path, size) SELECT id, path, size FROM temp_files; DROP TABLE temp_files;`);
    assert.equal(
      control.prepare("SELECT * FROM everything").columns().length,
      4,
      "the control: the four statements change the result without a word",
    );
  });

  const fts = (content: string) => `CREATE VIRTUAL TABLE words USING fts5(path, content='${content}');
    CREATE TRIGGER words_insert AFTER INSERT ON files BEGIN INSERT INTO words (rowid, path) VALUES (NEW.rowid, NEW.path); END;`;
  const plain = (type: string) => `CREATE TABLE files (path TEXT, size ${type});`;
  const gaps = "INSERT INTO files (rowid, path, size) VALUES (3, 'alpha', '1'), (7, 'beta', '2'), (11, 'gamma', '3');";

  it("C8 keeps a full-text index in step with a table whose rowids have gaps", () => {
    const { connection } = scratchDatabase(plain("TEXT") + fts("files") + gaps);
    const { plan } = migrate(connection, plain("INTEGER") + fts("files"));
    assert.deepEqual(
      kindsOf(plan).filter((kind) => kind.startsWith("rebuild")),
      ["rebuild-table files"],
      "rowids are kept",
    );
    assert.deepEqual(connection.prepare("SELECT rowid FROM words('beta')").pluck().all(), [7]);
    connection.exec("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
    const control = scratchDatabase(plain("TEXT") + fts("files") + gaps).connection;
    migrateNaively(control, "files", plain("INTEGER"));
    assert.throws(() => control.exec("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)"), /malformed/);
  });

  it("C8 rebuilds the full-text index when rowids change", () => {
    const { connection } = scratchDatabase(`CREATE TABLE files (id INT UNIQUE, path TEXT); ${fts("files")}
      INSERT INTO files (rowid, id, path) VALUES (3, 30, 'alpha'), (7, 70, 'beta');`);
    const { plan } = migrate(connection, `CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT); ${fts("files")}`);
    assert.ok(kindsOf(plan).includes("rebuild-full-text words"));
    assert.deepEqual(connection.prepare("SELECT rowid FROM words('beta')").pluck().all(), [70]);
    connection.exec("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
  });

  for (const [what, view, content] of [
    ["that the wanted schema does not name", "", "files"],
    ["over a view", "CREATE VIEW paths AS SELECT rowid AS number, path FROM files;", "paths', content_rowid='number"],
  ] as const) {
    it(`C8 rebuilds a full-text index ${what} when the rowids or values of its content change`, () => {
      const table = (id: string, type: string) => `CREATE TABLE files (id ${id}, path ${type});`;
      const index = `CREATE VIRTUAL TABLE words USING fts5(path, content='${content}');`;
      const { connection } = scratchDatabase(`${table("INT UNIQUE", "TEXT") + view + index}
        INSERT INTO files (rowid, id, path) VALUES (3, 30, '007'); INSERT INTO words (words) VALUES ('rebuild');`);
      for (const wanted of [table("INT UNIQUE", "INTEGER"), table("INTEGER PRIMARY KEY", "INTEGER")]) {
        migrate(connection, wanted + view + (view === "" ? "" : index), { allow: ["lossy:files.path"] });
        connection.exec("INSERT INTO words (words, rank) VALUES ('integrity-check', 1)");
      }
      assert.deepEqual(connection.prepare("SELECT rowid FROM words('7')").pluck().all(), [30]);
    });
  }

  it("C8 refuses to take a column from a full-text index that reads it", () => {
    const table = "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, size INT);";
    const index = (column: string) =>
      `CREATE VIRTUAL TABLE words USING fts5(${column}, content='files', content_rowid='id');`;
    const fill = "INSERT INTO files VALUES (1, 'alpha', 5); INSERT INTO words (words) VALUES ('rebuild');";
    const { connection } = scratchDatabase(table + index("path") + fill);
    const dropped = "CREATE TABLE files (id INTEGER PRIMARY KEY, size INT);";
    const allow = ["drop-column:files.path"];
    assertRefused(connection, dropped, /full-text table words reads the column path of files, which would be gone/, {
      allow,
    });
    assertRefused(connection, dropped + index("path"), /full-text table words reads the column path/, { allow });
    const renames = [{ table: "files", from: "path", to: "name" }];
    const renamed = table.replace("path", "name");
    assertRefused(connection, renamed + index("path"), /full-text table words reads the column path/, { renames });
    migrate(connection, renamed + index("name"), { renames });
    assert.deepEqual(connection.prepare("SELECT name FROM words('alpha')").pluck().all(), ["alpha"]);
    const control = scratchDatabase(table + index("path") + fill).connection;
    control.exec("ALTER TABLE files DROP COLUMN path");
    assert.throws(
      () => control.prepare("SELECT * FROM words('alpha')").all(),
      /no such column/,
      "silent until it is read",
    );
  });

  it("C9 refuses to change the rowids under a contentless full-text table", () => {
    const { connection } = scratchDatabase(`CREATE TABLE files (id INT UNIQUE, path TEXT); ${fts("")}
      INSERT INTO files (rowid, id, path) VALUES (3, 30, 'alpha');`);
    assertRefused(
      connection,
      `CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT); ${fts("")}`,
      /contentless full-text table words cannot follow/,
    );
    assert.throws(
      () => connection.exec("INSERT INTO words (words) VALUES ('rebuild')"),
      /may not be used with a contentless/,
    );
  });

  it("C10 never plans for the tables that a virtual table keeps for itself", () => {
    const table = "CREATE VIRTUAL TABLE notes USING fts5(body);";
    const { connection } = scratchDatabase(`${table} INSERT INTO notes VALUES ('one two');`);
    assert.equal(statusOf(planMigration(connection, table)), "empty");
    assert.equal(statusOf(planMigration(connection, 'CREATE VIRTUAL TABLE "NOTES" using FTS5 ( body ) ;')), "empty");
    const plan = planMigration(connection, "CREATE VIRTUAL TABLE notes USING fts5(body, title);");
    assert.deepEqual(
      plan.consents.map(({ id, rows }) => ({ id, rows })),
      [{ id: "drop-table:notes", rows: 1 }],
    );
    assert.ok(kindsOf(plan).every((kind) => !kind.startsWith("rebuild-table")));
    assert.equal(
      statusOf(planMigration(connection, "CREATE TABLE other (x);")),
      "ready",
      "an extra virtual table is left alone",
    );
  });

  it("C11 keeps the statistics of ANALYZE", () => {
    const index = "CREATE INDEX by_path ON files (path); CREATE INDEX by_size ON files (size);";
    const { connection } = scratchDatabase(`${OLD + index + ROWS} ANALYZE;`);
    const read = () => connection.prepare("SELECT * FROM sqlite_stat1 ORDER BY tbl, idx").all();
    const before = read();
    assert.equal(before.length, 2);
    migrate(connection, NEW + index);
    assert.deepEqual(read(), before);
    connection.exec("DROP INDEX by_path");
    assert.equal(read().length, 1, "the control: DROP INDEX, which a rebuild needs, deletes them");
  });

  it("C12 refuses before BEGIN when an index needs a function that is not here", () => {
    const scratch = scratchDatabase(OLD);
    scratch.connection.function("myf", { deterministic: true }, (value: unknown) => String(value));
    scratch.connection.pragma("trusted_schema = ON");
    scratch.connection.exec(`CREATE INDEX special ON files (myf(path)); ${ROWS}`);
    scratch.connection.close();
    assertRefused(scratch.connect(), NEW, /index special cannot be made again by this program: .*myf/);
    const control = scratch.connect();
    migrateNaively(control, "files", NEW);
    assert.throws(
      () => control.exec("CREATE INDEX special ON files (myf(path))"),
      /no such function: myf/,
      "the control: it shows only after the copy, when the old index is gone",
    );
  });
});
