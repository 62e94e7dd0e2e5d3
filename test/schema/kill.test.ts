import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openConnection } from "../../src/sqlite/connection.js";
import { KilledProgram } from "../support/kill-points.js";
import { assertSettled, migrate } from "../support/migrate.js";
import { migrateNaively } from "../support/naive-migration.js";
import { scratchDirectory } from "../support/scratch.js";
import { snapshot } from "../support/snapshot.js";

const files = (type: string) => `CREATE TABLE files (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT, lines ${type});`;
const REST = `CREATE INDEX by_path ON files (path); CREATE VIEW v AS SELECT path FROM files;
  CREATE TABLE kids (file INT REFERENCES files ON DELETE CASCADE);
  CREATE TRIGGER on_files AFTER DELETE ON files BEGIN DELETE FROM kids WHERE file = OLD.id; END;`;
const ROWS = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 350)
  INSERT INTO files (path, lines) SELECT printf('src/%0200d.ts', i), i FROM n; INSERT INTO kids SELECT id FROM files;`;
const WANTED = files("INTEGER") + REST;
const SAMPLE = 6;

describe("a rebuild that is killed", function () {
  this.timeout(3_600_000);
  const directory = scratchDirectory();
  const wantedFile = join(directory, "wanted.sql");
  before(() => writeFileSync(wantedFile, WANTED));

  for (const mode of ["wal", "delete"]) {
    it(`F1 leaves the old or the new state at any statement and any system call (${mode})`, () => {
      const [template, path] = [join(directory, `${mode}.db`), join(directory, `${mode}-killed.db`)];
      const original = openConnection(template, { role: "migration", mustExist: false });
      original.exec(`PRAGMA journal_mode = ${mode}; ${files("TEXT")} ${REST} ${ROWS}`);
      const old = snapshot(original);
      original.pragma("wal_checkpoint(TRUNCATE)");
      original.close();
      copyFileSync(template, path);
      const undisturbed = openConnection(path, { role: "migration" });
      migrate(undisturbed, WANTED, { chunkRows: 100 });
      const migrated = snapshot(undisturbed);
      undisturbed.close();
      assert.notDeepEqual(migrated.schema, old.schema);
      assert.equal(migrated.tables.kids?.hash, old.tables.kids?.hash);

      const program = new KilledProgram(template, path, new URL("./migrate-child.js", import.meta.url), [
        path,
        wantedFile,
      ]);
      program.killAtEach(SAMPLE, (at) => {
        const connection = openConnection(path, { role: "migration" });
        try {
          assert.equal(connection.pragma("quick_check", { simple: true }), "ok", at);
          const found = snapshot(connection);
          const isOld = JSON.stringify(found.schema) === JSON.stringify(old.schema);
          assert.deepEqual(found, isOld ? old : migrated, at);
          if (isOld) migrate(connection, WANTED, { chunkRows: 100 });
          else assertSettled(connection, WANTED);
          assert.deepEqual(snapshot(connection), migrated, at);
        } finally {
          connection.close();
        }
      });
    });
  }

  it("F1 is not what the four statements do, each in a transaction of its own (control)", () => {
    const connection = openConnection(join(directory, "naive.db"), { role: "migration", mustExist: false });
    connection.exec(files("TEXT") + REST + ROWS);
    const old = snapshot(connection);
    // Killed after the first of them.
    connection.exec("PRAGMA foreign_keys = ON; ALTER TABLE files RENAME TO temp_files");
    assert.equal(snapshot(connection).tables.files, undefined);
    connection.exec("PRAGMA foreign_keys = ON; ALTER TABLE temp_files RENAME TO files");
    migrateNaively(connection, "files", files("INTEGER"));
    assert.notEqual(snapshot(connection).tables.kids?.hash, old.tables.kids?.hash);
    connection.close();
  });
});
