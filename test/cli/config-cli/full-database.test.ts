import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { openConnection } from "../../../src/sqlite/connection.js";
import { runConfigCli } from "../../support/config-cli.js";
import { hashTable, snapshot } from "../../support/snapshot.js";
import { useTempFolder } from "../../support/temp-folder.js";
import { factsSchema, factsTables, fillFactsDatabase } from "./facts-database.js";

describe("config_cli schema on a database with rows in all 25 tables", () => {
  const inFolder = useTempFolder();

  for (const journalMode of ["wal", "delete"]) {
    it(`changes types in files and keeps every row, trigger and the full text (${journalMode})`, async () => {
      const path = inFolder("code.db");
      const wanted = inFolder("wanted.sql");
      writeFileSync(wanted, factsSchema({ lines: "INTEGER", lastModified: "INTEGER" }));
      const seeded = openConnection(path, { role: "migration", mustExist: false });
      seeded.pragma(`journal_mode = ${journalMode}`);
      fillFactsDatabase(seeded);
      const before = snapshot(seeded);
      const others = otherColumns(seeded);
      const filesBefore = hashTable(seeded, "files", others);
      seeded.close();
      const tables = [...factsTables(), "code_content_fts"];
      assert.equal(tables.length, 25);
      for (const table of factsTables()) assert.equal(before.tables[table]?.rows, 3, table);

      const run = (...args: string[]) => runConfigCli(["schema", "--db", path, "--schema", wanted, ...args]);
      const refused = await run();
      assert.equal(refused.exitCode, 3, refused.stdout + refused.stderr);
      const consents = [...refused.stdout.matchAll(/^To allow all of it: (.*)$/gm)].map(([, flags]) => flags);
      assert.deepEqual(consents, ["--allow lossy:files.lines"]);
      const unchanged = openConnection(path, { role: "migration" });
      assert.deepEqual(snapshot(unchanged), before);
      unchanged.close();

      const migrated = await run(...String(consents[0]).split(" "));
      assert.equal(migrated.exitCode, 0, migrated.stderr);
      const again = await run();
      assert.deepEqual([again.exitCode, again.stdout], [0, "The schema is as wanted.\n"]);
      assert.equal((await run("--check")).exitCode, 0);

      const connection = openConnection(path, { role: "migration" });
      const after = snapshot(connection);
      for (const [table, content] of Object.entries(before.tables)) {
        if (table !== "files") assert.deepEqual(after.tables[table], content, table);
      }
      assert.deepEqual(hashTable(connection, "files", others), filesBefore);
      assert.deepEqual(
        connection
          .prepare("SELECT id, lines, typeof(lines), last_modified, typeof(last_modified) FROM files ORDER BY id")
          .raw()
          .all(),
        [
          [1, 120, "integer", 1_700_000_001, "integer"],
          [2, 7, "integer", 1_700_000_002, "integer"],
          [3, null, "null", 1_700_000_000.25, "real"],
        ],
      );
      assert.deepEqual(after.sequences, before.sequences);
      assert.deepEqual(after.pragmas, before.pragmas);
      const names = (rows: readonly unknown[], type: string) =>
        rows.flatMap((row) => ((row as { type: string }).type === type ? [(row as { name: string }).name] : []));
      assert.deepEqual(names(after.schema, "trigger"), names(before.schema, "trigger"), "with their order");
      assert.deepEqual(names(after.schema, "index").sort(), names(before.schema, "index").sort());

      assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
      assert.deepEqual(connection.pragma("foreign_key_check"), []);
      connection.exec("INSERT INTO code_content_fts (code_content_fts, rank) VALUES ('integrity-check', 1)");
      connection.exec("INSERT INTO code_content (file_id, entity_type, content) VALUES (1, 'class', 'quokka')");
      const hits = connection.prepare("SELECT rowid FROM code_content_fts WHERE code_content_fts MATCH 'quokka'").all();
      assert.equal(hits.length, 1);
      connection.pragma("foreign_keys = ON");
      connection.exec("DELETE FROM files WHERE id = 1");
      assert.equal(connection.prepare("SELECT count(*) FROM classes WHERE file_id = 1").pluck().get(), 0);
      connection.close();
    });
  }

  it("brings it to the built-in schema without --schema", async () => {
    const path = inFolder("code.db");
    const connection = openConnection(path, { role: "migration", mustExist: false });
    fillFactsDatabase(connection);
    connection.close();
    const checked = await runConfigCli(["schema", "--db", path, "--check", "--allow", "lossy:files.lines"]);
    assert.equal(checked.exitCode, 2, checked.stdout + checked.stderr);
    const migrated = await runConfigCli(["schema", "--db", path, "--allow", "lossy:files.lines"]);
    assert.equal(migrated.exitCode, 0, migrated.stderr);
    assert.equal((await runConfigCli(["schema", "--db", path, "--check"])).exitCode, 0);
    assert.equal((await runConfigCli(["doctor", "--db", path])).exitCode, 0);
  });
});

/** The columns of files whose values no type change concerns. */
function otherColumns(connection: ReturnType<typeof openConnection>): string[] {
  return connection
    .prepare<[], string>("SELECT name FROM pragma_table_xinfo('files') WHERE name NOT IN ('lines', 'last_modified')")
    .pluck()
    .all();
}
