import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdirSync, writeFileSync } from "node:fs";
import { createClient, type DriverClient } from "../../../src/client/client.js";
import { fromValue } from "../../../src/client/values.js";
import { BUILT_IN_SCHEMA } from "../../../src/schema/built-in-schema.js";
import { openConnection } from "../../../src/sqlite/connection.js";
import { acquirePresence } from "../../../src/sqlite/presence-lock.js";
import { readPresenceNotes } from "../../../src/sqlite/presence-note.js";
import { runConfigCli, startConfigCli } from "../../support/config-cli.js";
import { type RunningProgram, startProgram } from "../../support/program.js";
import { useTempFolder } from "../../support/temp-folder.js";

const DRIVER = "src/bin/code-analysis-driver.js";
const ROWS = 100_000;

describe("the presence of a driver", function () {
  this.timeout(120_000);
  const inFolder = useTempFolder();
  let path: string;
  let wanted: string;
  let drivers: RunningProgram[];
  let clients: DriverClient[];

  beforeEach(() => {
    path = inFolder("a.db");
    wanted = inFolder("wanted.sql");
    writeFileSync(wanted, BUILT_IN_SCHEMA.replace("last_modified REAL", "last_modified INTEGER"));
    drivers = [];
    clients = [];
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    for (const { child, ended } of drivers) {
      child.kill("SIGKILL");
      await ended;
    }
  });

  async function serve(): Promise<RunningProgram> {
    const driver = startProgram(DRIVER, ["serve", "--db", path]);
    drivers.push(driver);
    await driver.waitFor("stdout", /^listening .*\n/m);
    return driver;
  }

  function connect(): DriverClient {
    const client = createClient({ address: `unix:${path}.sock` });
    clients.push(client);
    return client;
  }

  const migrate = (...args: string[]) => ["schema", "--db", path, "--schema", wanted, ...args];

  /** The processes of a driver give up their database a moment after its main process was killed. */
  async function assertReleased(): Promise<void> {
    (await acquirePresence(path, "exclusive", 10_000)).release();
  }

  it("makes config_cli refuse with 4 and name it, until it has ended in whatever way", async () => {
    for (const signal of ["SIGTERM", "SIGKILL"] as const) {
      const driver = await serve();
      await assert.rejects(acquirePresence(path, "exclusive", 0), { reason: "DATABASE_BUSY" });
      const refused = await runConfigCli(migrate());
      assert.equal(refused.exitCode, 4, refused.stderr);
      const name = `open in a driver (pid ${driver.child.pid}, listening on unix:${path}.sock). Stop it, `;
      assert.ok(refused.stderr.includes(name), refused.stderr);
      assert.equal(refused.stdout, "");
      // What only reads does not disturb anybody.
      assert.equal((await runConfigCli(migrate("--check"))).exitCode, 2);

      driver.child.kill(signal);
      await driver.ended;
      await assertReleased();
      assert.deepEqual(readPresenceNotes(path), []);
    }
    assert.equal((await runConfigCli(migrate())).exitCode, 0);
  });

  it("is waited for with --wait", async () => {
    const driver = await serve();
    const waiting = startConfigCli(migrate("--wait", "60"));
    assert.equal((await runConfigCli(migrate("--wait", "0.1"))).exitCode, 4);
    driver.child.kill("SIGTERM");
    assert.equal((await waiting.ended).exitCode, 0);
  });

  it("is refused while a migration has the database, in one sentence", async () => {
    const lock = await acquirePresence(path, "exclusive", 0);
    const driver = startProgram(DRIVER, ["serve", "--db", path]);
    const { exitCode, stderr } = await driver.ended;
    lock.release();
    assert.equal(exitCode, 1);
    assert.match(
      stderr,
      /error: The database .*a\.db is being migrated by another process\. Try again when it has ended\./,
    );
    await serve();
  });

  it("is not needed after config_cli was killed: the driver starts, heals nothing and has the old schema", async () => {
    fill();
    const { child, waitFor, ended } = startConfigCli(migrate("--no-backup"));
    await waitFor("stdout", /rebuild table files/);
    await untilLocked();
    child.kill("SIGKILL");
    await ended;
    await serve();
    const { rows } = await connect().execute({
      sql: "SELECT count(*), sum(typeof(last_modified) = 'real') FROM files",
    });
    assert.deepEqual(rows[0]?.values.map(fromValue), [ROWS, ROWS]);
  });

  it("with --online goes on: reads from their snapshot, writes when the migration has ended, then with the new schema", async () => {
    fill();
    await serve();
    const client = connect();
    const select = "SELECT * FROM files WHERE id = 1";
    const columnsBefore = (await client.execute({ sql: select })).columns.map(({ name }) => name);
    writeFileSync(
      wanted,
      BUILT_IN_SCHEMA.replace("last_modified REAL,", "last_modified INTEGER,\n  reviewed_by TEXT DEFAULT 'nobody',"),
    );

    const migration = startConfigCli(migrate("--online", "--no-backup"));
    await migration.waitFor("stdout", /rebuild table files/);
    await untilLocked();
    let isMigrated = false;
    const ended = migration.ended.finally(() => {
      isMigrated = true;
    });
    const write = client.execute({ sql: "UPDATE files SET needs_chunking = 7 WHERE id = 1" }, { timeoutMs: 60_000 });
    let reads = 0;
    while (!isMigrated) {
      const { rows } = await client.execute({ sql: "SELECT count(*) FROM files" }, { timeoutMs: 2_000 });
      assert.deepEqual(rows[0]?.values.map(fromValue), [ROWS]);
      reads++;
    }
    assert.ok(reads > 0);
    assert.equal((await ended).exitCode, 0, (await ended).stderr);
    assert.equal((await write).affectedRows, 1n);

    const after = await client.execute({ sql: select });
    const names = after.columns.map(({ name }) => name);
    assert.deepEqual(
      names.filter((name) => !columnsBefore.includes(name)),
      ["reviewed_by"],
    );
    assert.equal(after.rows[0]?.values.length, names.length);
    const byName = Object.fromEntries(
      after.rows[0]?.values.map((value, index) => [names[index], fromValue(value)]) ?? [],
    );
    assert.deepEqual([byName.reviewed_by, byName.needs_chunking, byName.last_modified], ["nobody", 7, 1]);

    mkdirSync(inFolder("source"));
    writeFileSync(inFolder("source", "one.py"), "class One:\n    pass\n");
    const { project } = await client.registerProject({ rootPath: inFolder("source") });
    const indexed = await client.indexFile({ projectId: project?.id ?? "", filePath: "one.py" });
    assert.equal(indexed.unchanged, false);
    const { rows } = await client.execute({ sql: "SELECT reviewed_by FROM files WHERE path LIKE '%one.py'" });
    assert.deepEqual(rows[0]?.values.map(fromValue), ["nobody"]);
  });

  it("lets writes wait for a foreign lock longer than the busy timeout, until their deadline, and reads not at all", async () => {
    await serve();
    const client = connect();
    const other = openConnection(path, { role: "migration" });
    other.exec("BEGIN IMMEDIATE");
    const sql = "INSERT INTO db_settings (key, value) VALUES (?1, 'x')";
    const insert = (key: string, timeoutMs: number) =>
      client.execute({ sql: sql.replace("?1", `'${key}'`) }, { timeoutMs });
    const patient = insert("patient", 60_000);
    const begun = client.beginTransaction({}, { timeoutMs: 60_000 });
    await assert.rejects(insert("hasty", 300), { reason: "DEADLINE_EXCEEDED" });
    await client.execute({ sql: "SELECT 1" }, { timeoutMs: 2_000 });
    // Longer than the busy timeout of the writer's connection.
    await new Promise((resolve) => setTimeout(resolve, 6_000));
    other.exec("COMMIT");
    assert.equal((await patient).affectedRows, 1n);
    await client.rollbackTransaction({ transactionId: (await begun).transactionId });
    const keys = other.prepare("SELECT key FROM db_settings WHERE value = 'x'").pluck().all();
    other.close();
    assert.deepEqual(keys, ["patient"]);
  });

  /** A database in WAL mode whose migration takes long enough to be looked at. */
  function fill(): void {
    const connection = openConnection(path, { role: "writer" });
    connection.exec(`${BUILT_IN_SCHEMA}
      INSERT INTO projects (id, root_path) VALUES ('p', '/p');
      WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${ROWS})
      INSERT INTO files (project_id, path, last_modified) SELECT 'p', printf('src/%0200d.ts', i), i FROM n`);
    connection.pragma("wal_checkpoint(TRUNCATE)");
    connection.close();
  }

  /** Resolves when another process holds the write lock of the database. */
  async function untilLocked(): Promise<void> {
    const connection = openConnection(path, { role: "migration" });
    connection.pragma("busy_timeout = 0");
    try {
      for (;;) {
        try {
          connection.exec("BEGIN IMMEDIATE");
        } catch {
          return;
        }
        connection.exec("ROLLBACK");
        await once(AbortSignal.timeout(2), "abort");
      }
    } finally {
      connection.close();
    }
  }
});
