import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { managedTables, wantedModel } from "../../src/schema/built-in-schema.js";
import { examine, fix } from "../../src/schema/doctor.js";
import { recover } from "../../src/schema/recovery.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { scratchDirectory } from "../support/scratch.js";
import { snapshot } from "../support/snapshot.js";

const FIXTURE = new URL("../../../test/fixtures/databases/damaged-by-naive-migration.db", import.meta.url);
const MANAGED = managedTables(wantedModel());

/** One write for each table that refers to `files`. */
const WRITES = `
  INSERT INTO classes (file_id, name, line) VALUES (1, 'New', 99);
  INSERT INTO imports (file_id, name, import_type, line) VALUES (1, 'new', 'import', 99);
  INSERT INTO code_chunks (file_id, project_id, chunk_uuid, chunk_type, chunk_text) VALUES (1, 'key 1', 'new', 'x', 'x');
`;

describe("a database that the naive migration damaged", () => {
  const directory = scratchDirectory();
  let copies = 0;

  function open(): Connection {
    const path = join(directory, `${copies++}.db`);
    copyFileSync(FIXTURE, path);
    return openConnection(path, { role: "writer" });
  }

  it("fails on every write to a table that refers to files (control)", () => {
    const connection = open();
    for (const statement of WRITES.trim().split("\n")) {
      assert.throws(() => connection.exec(statement), /no such table: main\.temp_files/);
    }
    assert.equal(examine(connection, wantedModel()).isHealthy, false);
    connection.close();
  });

  /** The full-text index is not rows: the damage left it with entries of deleted rows, and the doctor makes it anew. */
  function readTables(connection: Connection): unknown[] {
    return Object.entries(snapshot(connection).tables).filter(([name]) => !name.startsWith("code_content_fts"));
  }

  const cures = {
    "recovery on connect": (connection: Connection) =>
      recover(connection, MANAGED).tables.map(({ message }) => message),
    "doctor --fix": (connection: Connection) => fix(connection, wantedModel()).fixed,
  };
  for (const [name, cure] of Object.entries(cures)) {
    it(`is healed by ${name} without a row touched`, () => {
      const connection = open();
      const tables = readTables(connection);
      assert.match(cure(connection).join("\n"), /table classes, .* refer to temp_files.*they refer to files again/);
      assert.deepEqual(readTables(connection), tables);
      assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
      assert.deepEqual(connection.pragma("foreign_key_check"), []);
      assert.deepEqual(connection.prepare("SELECT name FROM sqlite_schema WHERE sql LIKE '%temp%'").all(), []);
      connection.exec(WRITES);
      assert.deepEqual(connection.pragma("foreign_key_check"), []);
      connection.close();
    });
  }
});
