import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { type Connection, openConnection } from "../../../src/sqlite/connection.js";
import { acquirePresence } from "../../../src/sqlite/presence-lock.js";
import { fillDatabase, interruptNaiveMigration, ROWS_PER_TABLE } from "../../recovery/full-database.js";
import { runConfigCli } from "../../support/config-cli.js";
import { snapshot } from "../../support/snapshot.js";
import { useTempFolder } from "../../support/temp-folder.js";

describe("config_cli doctor", () => {
  const inFolder = useTempFolder();
  let path: string;

  beforeEach(() => {
    path = inFolder("a.db");
    use(fillDatabase);
  });

  function use<T>(body: (connection: Connection) => T): T {
    const connection = openConnection(path, { role: "migration", mustExist: false });
    try {
      return body(connection);
    } finally {
      connection.close();
    }
  }

  const run = (...args: string[]) => runConfigCli(["doctor", "--db", path, ...args]);

  it("ends with 0 and changes nothing when all is well", async () => {
    const before = use(snapshot);
    for (const args of [[], ["--fix"]]) {
      const { exitCode, stdout, stderr } = await run(...args);
      assert.deepEqual([exitCode, stderr], [0, ""]);
      assert.match(stdout, /a\.db is healthy \(\d+ tables checked\)\.\n$/);
    }
    assert.deepEqual(use(snapshot), before);
  });

  it("heals what the four careless statements did: 2 before, 0 after, every row there", async () => {
    use((connection) => interruptNaiveMigration(connection, 4));
    const damaged = use(snapshot);
    const control = use((connection) => {
      connection.pragma("foreign_keys = ON");
      try {
        connection.exec("INSERT INTO classes (file_id, name, line) VALUES (1, 'n', 1)");
        return "written";
      } catch (error) {
        return String(error);
      }
    });
    assert.match(control, /no such table: main\.temp_files/);

    const found = await run();
    assert.equal(found.exitCode, 2);
    assert.match(found.stdout, /^Found:\n {2}- .*temp_files/);
    assert.deepEqual(use(snapshot), damaged);
    const fixed = await run("--fix", "--json");
    assert.equal(fixed.exitCode, 0, fixed.stdout);
    const document = JSON.parse(fixed.stdout);
    assert.equal(document.isHealthy, true);
    assert.match(document.fixed.join(), /temp_files/);
    assert.equal((await run()).exitCode, 0);
    use((connection) => {
      connection.pragma("foreign_keys = ON");
      connection.exec("INSERT INTO classes (file_id, name, line) VALUES (1, 'n', 1)");
      assert.equal(connection.prepare("SELECT count(*) FROM classes").pluck().get(), ROWS_PER_TABLE + 1);
      assert.deepEqual(connection.pragma("foreign_key_check"), []);
    });
  });

  it("says what only a person can decide, and goes on saying 2", async () => {
    use((connection) => {
      interruptNaiveMigration(connection, 3);
      connection.exec(
        "UPDATE temp_files SET path = 'changed' WHERE id = 1; UPDATE files SET path = 'other' WHERE id = 2",
      );
    });
    const { exitCode, stdout } = await run("--fix");
    assert.equal(exitCode, 2);
    assert.match(stdout, /is not healthy: \d+ needs? a person\.\n$/);
    assert.deepEqual(
      use((connection) => connection.prepare("SELECT count(*) FROM temp_files").pluck().get()),
      ROWS_PER_TABLE,
    );
  });

  it("ends with 1 when it cannot examine: a text, no file, a migration that runs", async () => {
    writeFileSync(inFolder("text.db"), "x".repeat(5_000));
    const text = await runConfigCli(["doctor", "--db", inFolder("text.db")]);
    assert.deepEqual([text.exitCode, text.stdout], [1, ""]);
    assert.match(text.stderr, /^error: .*text\.db is not a SQLite database/);
    assert.equal((await runConfigCli(["doctor", "--db", inFolder("none.db")])).exitCode, 1);
    const lock = await acquirePresence(path, "exclusive", 0);
    const busy = await run("--fix");
    lock.release();
    assert.equal(busy.exitCode, 1);
    assert.match(busy.stderr, /^error: The database .* is being migrated by another process\./);
  });

  it("heals a database that a migration would refuse, which then runs", async () => {
    use((connection) => interruptNaiveMigration(connection, 2));
    copyFileSync(path, inFolder("copy.db"));
    const refused = await runConfigCli(["schema", "--db", path, "--check"]);
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /config_cli doctor --fix/);
    assert.equal((await run("--fix")).exitCode, 0);
    assert.equal((await runConfigCli(["schema", "--db", path, "--check"])).exitCode, 0);
  });
});
