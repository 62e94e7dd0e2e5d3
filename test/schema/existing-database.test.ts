import assert from "node:assert/strict";
import type { Connection } from "../../src/sqlite/connection.js";
import { fillTables } from "../recovery/full-database.js";
import { migrate } from "../support/migrate.js";
import { migrateNaively } from "../support/naive-migration.js";
import { readSchemaFacts, schemaOfFacts } from "../support/schema-facts.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";
import { hashTable, snapshot } from "../support/snapshot.js";

const FACTS = readSchemaFacts();
const CURRENT = schemaOfFacts(FACTS);
/** Those that keep the full-text index in step, and one on the table that changes. */
const TRIGGERS = `
  CREATE TRIGGER code_content_ai AFTER INSERT ON code_content BEGIN
    INSERT INTO code_content_fts (rowid, entity_type, entity_name, content, docstring)
    VALUES (new.id, new.entity_type, new.entity_name, new.content, new.docstring); END;
  CREATE TRIGGER code_content_ad AFTER DELETE ON code_content BEGIN
    INSERT INTO code_content_fts (code_content_fts, rowid, entity_type, entity_name, content, docstring)
    VALUES ('delete', old.id, old.entity_type, old.entity_name, old.content, old.docstring); END;
  CREATE TRIGGER files_touch AFTER UPDATE OF path ON files BEGIN UPDATE files SET updated_at = 2 WHERE id = new.id; END;
  CREATE TRIGGER classes_touch AFTER INSERT ON classes BEGIN UPDATE files SET updated_at = 1 WHERE id = new.file_id; END;`;
const OLD = CURRENT.replace("  lines INTEGER", "  lines TEXT") + TRIGGERS;
const NEW = CURRENT.replace("  last_modified REAL", "  last_modified INTEGER") + TRIGGERS;
const TABLES = FACTS.tables.map(({ name }) => name);

/** The order matters among the triggers of one table. */
function readTriggers(connection: Connection): unknown[] {
  return connection
    .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY tbl_name, rowid")
    .all();
}

function existingDatabase(): Connection {
  const { connection } = scratchDatabase(OLD);
  fillTables(connection, TABLES);
  connection.exec("UPDATE files SET last_modified = id + 1700000000, lines = id * 100");
  connection.exec("INSERT INTO code_content_fts (code_content_fts) VALUES ('rebuild')");
  assert.deepEqual(connection.prepare("SELECT DISTINCT typeof(last_modified), typeof(lines) FROM files").raw().all(), [
    ["real", "text"],
  ]);
  return connection;
}

describe("an existing code-analysis database", () => {
  afterEach(removeScratchDatabases);

  it("gets files.last_modified and files.lines as INTEGER with every row of all 25 tables", () => {
    assert.equal(TABLES.length + 1, 25);
    const connection = existingDatabase();
    const before = snapshot(connection);
    for (const table of TABLES) assert.equal(before.tables[table]?.rows, 3, table);
    const triggers = readTriggers(connection);
    const kept = connection
      .prepare<[], string>("SELECT name FROM pragma_table_info('files') WHERE name NOT IN ('lines', 'last_modified')")
      .pluck()
      .all();
    const files = hashTable(connection, "files", kept);
    const sequences = connection.prepare("SELECT name, seq FROM sqlite_sequence ORDER BY name").all();

    migrate(connection, NEW);

    const after = snapshot(connection);
    assert.deepEqual({ ...after.tables, files: null }, { ...before.tables, files: null });
    assert.deepEqual(hashTable(connection, "files", kept), files);
    assert.deepEqual(
      connection.prepare("SELECT typeof(last_modified), typeof(lines), last_modified, lines FROM files").raw().all(),
      [1, 2, 3].map((id) => ["integer", "integer", id + 1_700_000_000, id * 100]),
    );
    assert.deepEqual(readTriggers(connection), triggers);
    assert.deepEqual(connection.prepare("SELECT name, seq FROM sqlite_sequence ORDER BY name").all(), sequences);
    assert.deepEqual(connection.pragma("foreign_key_check"), []);
    const found = "SELECT rowid FROM code_content_fts WHERE code_content_fts MATCH 'content'";
    assert.equal(connection.prepare(found).all().length, 3);
    // The triggers work: the index follows.
    connection.exec("DELETE FROM code_content WHERE id = 1");
    connection.exec("INSERT INTO code_content_fts (code_content_fts, rank) VALUES ('integrity-check', 1)");
    assert.equal(connection.prepare(found).all().length, 2);
  });

  it("loses the rows of the tables that refer to files by the four statements (control)", () => {
    const connection = existingDatabase();
    const [createFiles = ""] = /CREATE TABLE files \([\s\S]*?\n\)/.exec(NEW) ?? [];
    assert.throws(() => {
      migrateNaively(connection, "files", createFiles);
      assert.equal(connection.prepare("SELECT count(*) FROM classes").pluck().get(), 3, "classes");
    }, /classes|temp_files/);
  });
});
