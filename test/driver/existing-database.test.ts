import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { useTempFolder } from "../support/temp-folder.js";
import { beside, DATABASE, DriverProcess, killDrivers } from "./driver-process.js";
import { existingSchema } from "./existing-schema.js";

/** Name → SQL of everything in the schema that is not the driver's own. */
function schemaOf(databasePath: string): Record<string, string> {
  return beside(databasePath, (connection) => {
    const rows = connection
      .prepare<[], { name: string; sql: string }>("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
      .all();
    return Object.fromEntries(rows.map(({ name, sql }) => [name, sql]));
  });
}

describe("a database of an existing installation", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  it("is opened as it is, and IndexFile, IndexProject and Execute work on it without a migration", async () => {
    mkdirSync(inFolder("source"));
    writeFileSync(
      inFolder("source", "a.py"),
      "import os\n\n\nclass A(Base):\n    def m(self):\n        return f(os)\n",
    );
    writeFileSync(inFolder("source", "b.py"), "def f(x):\n    return x\n");
    beside(inFolder(DATABASE), (connection) => {
      connection.exec(existingSchema());
      connection.exec(`INSERT INTO projects (id, root_path) VALUES ('q', '/q');
        INSERT INTO files (id, project_id, path, lines) VALUES (5, 'q', '/q/old.py', 3);
        INSERT INTO classes (id, file_id, name, line) VALUES (6, 5, 'Old', 1);
        INSERT INTO code_content (id, file_id, entity_type, entity_id, entity_name, content)
          VALUES (7, 5, 'class', 6, 'Old', 'class Old: pass');
        INSERT INTO code_content_fts (code_content_fts) VALUES ('rebuild');`);
    });
    const before = schemaOf(inFolder(DATABASE));

    const driver = await DriverProcess.start(inFolder());
    const { lastRecovery } = await driver.client.getDriverInfo({});
    assert.deepEqual(lastRecovery?.actions, []);
    const after = schemaOf(inFolder(DATABASE));
    for (const [name, sql] of Object.entries(before)) assert.equal(after[name], sql, `${name} was changed`);

    await driver.register(inFolder("source"));
    const { counts } = await driver.indexFile("a.py");
    assert.deepEqual([counts?.classes, counts?.methods, counts?.imports], [1n, 1n, 1n]);
    assert.equal((await driver.indexFile("a.py")).unchanged, true);
    const phases: bigint[] = [];
    for await (const { summary, progress } of driver.client.indexProject({ projectId: "p" })) {
      if (summary !== undefined) phases.push(progress?.filesIndexed ?? -1n, progress?.filesUnchanged ?? -1n);
    }
    assert.deepEqual(phases, [1n, 1n]);
    const names = `SELECT name FROM classes UNION ALL SELECT name FROM methods UNION ALL SELECT name FROM functions ORDER BY 1`;
    assert.deepEqual(await driver.values(names), ["A", "Old", "f", "m"]);
    assert.deepEqual(await driver.values("SELECT lines FROM files WHERE id = 5"), [3n]);
    const found = "SELECT entity_name FROM code_content_fts WHERE code_content_fts MATCH 'pass'";
    assert.deepEqual(await driver.values(found), ["Old"]);
    assert.equal((await driver.execute("DELETE FROM files WHERE id = 5")).affectedRows, 1n);
    const end = schemaOf(inFolder(DATABASE));
    assert.deepEqual(end, after);
    assert.equal((await driver.stop()).exitCode, 0);
  });
});
