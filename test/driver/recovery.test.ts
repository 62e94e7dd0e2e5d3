import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { RecoveryActionKind, TableState } from "../../gen/code_analysis/driver/v1/recovery_pb.js";
import { BUILT_IN_SCHEMA } from "../../src/schema/built-in-schema.js";
import type { Connection } from "../../src/sqlite/connection.js";
import { migrateNaively } from "../support/naive-migration.js";
import { useTempFolder } from "../support/temp-folder.js";
import { beside, DATABASE, DriverProcess, killDrivers } from "./driver-process.js";
import { failsWith } from "./failure.js";

const SHAPES = "class Circle:\n    def area(self):\n        return scale(1)\n\n\ndef scale(x):\n    return 2 * x\n";

const BEGINNINGS = ["[index_file] temp_files-related failure", "[indexing_errors] Stored temp_files-related"];

/** Renames `files` as a careless migration does; without `legacy`, SQLite rewrites what refers to it. */
function rename(connection: Connection, { legacy, foreignKeys }: { legacy: boolean; foreignKeys: boolean }): void {
  connection.pragma(`foreign_keys = ${foreignKeys ? "ON" : "OFF"}`);
  connection.pragma(`legacy_alter_table = ${legacy ? "ON" : "OFF"}`);
  connection.exec("ALTER TABLE files RENAME TO temp_files");
}

/** The whole careless migration: what is left refers to `temp_files`, which is gone. */
function migrateCarelessly(connection: Connection): void {
  const sql = connection.prepare("SELECT sql FROM sqlite_schema WHERE name = 'files'").pluck().get() as string;
  migrateNaively(connection, "files", sql);
}

function namesOfTemporaryTables(connection: Connection): unknown[] {
  return connection.prepare("SELECT name FROM sqlite_schema WHERE sql LIKE '%temp\\_files%' ESCAPE '\\'").pluck().all();
}

describe("a driver and an interrupted migration", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  beforeEach(() => {
    mkdirSync(inFolder("source"));
    writeFileSync(inFolder("source", "shapes.py"), SHAPES);
  });

  async function start(...args: string[]): Promise<DriverProcess> {
    const driver = await DriverProcess.start(inFolder(), { args });
    await driver.register(inFolder("source"));
    return driver;
  }

  async function assertWhole(driver: DriverProcess): Promise<void> {
    assert.deepEqual(await driver.values("SELECT count(*) FROM indexing_errors"), [0n]);
    assert.deepEqual(await driver.values("SELECT name FROM methods"), ["area"]);
    beside(driver.databasePath, (connection) => {
      assert.deepEqual(namesOfTemporaryTables(connection), []);
      assert.deepEqual(connection.pragma("foreign_key_check"), []);
      assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
    });
  }

  describe("on connect", () => {
    const VIEW = (table: string) => `CREATE VIEW paths AS SELECT path FROM ${table}`;
    const TRIGGER = (table: string) =>
      `CREATE TRIGGER remember AFTER UPDATE OF comment ON projects
       BEGIN UPDATE ${table} SET original_path = new.comment WHERE project_id = new.id; END`;
    const DEPENDENTS: Record<string, (table: string) => string> = {
      children: () => "",
      "children and a view": VIEW,
      "children and a trigger": TRIGGER,
    };

    for (const [what, dependent] of Object.entries(DEPENDENTS)) {
      for (const mentioned of ["temp_files", "files"]) {
        it(`renames temp_files back when ${what} mention ${mentioned}, and IndexFile works`, async () => {
          beside(inFolder(DATABASE), (connection) => {
            connection.exec(BUILT_IN_SCHEMA);
            connection.exec(`INSERT INTO projects (id, root_path) VALUES ('old', '/old');
              INSERT INTO files (id, project_id, path) VALUES (7, 'old', '/old/a.py');
              INSERT INTO classes (id, file_id, name, line) VALUES (8, 7, 'A', 1);`);
            rename(connection, { legacy: mentioned === "files", foreignKeys: mentioned === "temp_files" });
            connection.exec(dependent(mentioned));
            const child = connection.prepare("SELECT sql FROM sqlite_schema WHERE name = 'classes'").pluck().get();
            assert.match(String(child), new RegExp(`REFERENCES "?${mentioned}"? `));
          });

          const driver = await start();
          const { lastRecovery, unresolvedTables } = await driver.client.getDriverInfo({});
          assert.deepEqual(
            lastRecovery?.actions.map(({ table, state, action }) => ({ table, state, action })),
            [
              {
                table: "files",
                state: TableState.INTERRUPTED_AFTER_RENAME,
                action: RecoveryActionKind.RENAMED_BACK,
              },
            ],
          );
          assert.equal(lastRecovery?.isHealthy, true);
          assert.deepEqual(unresolvedTables, []);
          assert.equal((await driver.logged("[recovery] files is missing and temp_files exists")).level, "warn");

          assert.deepEqual(await driver.values("SELECT id FROM files"), [7n]);
          assert.deepEqual(await driver.values("SELECT id FROM classes WHERE file_id = 7"), [8n]);
          const { counts } = await driver.indexFile("shapes.py");
          assert.deepEqual([counts?.classes, counts?.methods, counts?.functions], [1n, 1n, 1n]);
          if (dependent === VIEW) assert.equal((await driver.values("SELECT path FROM paths")).length, 2);
          if (dependent === TRIGGER) {
            await driver.execute("UPDATE projects SET comment = 'c' WHERE id = 'old'");
            assert.deepEqual(await driver.values("SELECT original_path FROM files WHERE id = 7"), ["c"]);
          }
          await assertWhole(driver);
        });
      }
    }

    it("heals what a whole careless migration left", async () => {
      beside(inFolder(DATABASE), (connection) => {
        connection.exec(BUILT_IN_SCHEMA);
        migrateCarelessly(connection);
        assert.notDeepEqual(namesOfTemporaryTables(connection), []);
      });
      const driver = await start();
      const { lastRecovery } = await driver.client.getDriverInfo({});
      assert.deepEqual(
        lastRecovery?.actions.map(({ table, action }) => ({ table, action })),
        [{ table: "files", action: RecoveryActionKind.HEALED_REFERENCES }],
      );
      await driver.indexFile("shapes.py");
      await assertWhole(driver);
    });
  });

  describe("while it runs", () => {
    async function assertHealed(driver: DriverProcess, caller: string, file = "shapes.py"): Promise<void> {
      for (const beginning of BEGINNINGS) {
        const line = await driver.logged(beginning, `"file":${JSON.stringify(file)}`);
        assert.deepEqual(
          { level: line.level, project: line.project, file: line.file, caller: line.caller },
          { level: "error", project: "p", file, caller },
        );
        assert.match(String(line.requestId), /^\d+-\d+$/);
      }
      await driver.logged("[recovery] ");
      await driver.logged("[index_file] succeeded after recovery");
      await assertWhole(driver);
    }

    it("IndexFile heals a RENAME in every mode", async () => {
      const driver = await start();
      const modes = [true, false].flatMap((foreignKeys) => [true, false].map((legacy) => ({ foreignKeys, legacy })));
      for (const mode of modes) {
        await driver.indexFile("shapes.py", true);
        beside(driver.databasePath, (connection) => rename(connection, mode));
        const { unchanged } = await driver.indexFile("shapes.py", true);
        assert.equal(unchanged, false);
        await assertWhole(driver);
      }
      await assertHealed(driver, "IndexFile");
      const { stderr } = await driver.stop();
      for (const beginning of BEGINNINGS) assert.equal(stderr.split(`"msg":"${beginning}`).length - 1, modes.length);
    });

    it("the first call of IndexFile heals a RENAME", async () => {
      const driver = await start();
      beside(driver.databasePath, (connection) => rename(connection, { legacy: true, foreignKeys: false }));
      await driver.indexFile("shapes.py");
      await assertHealed(driver, "IndexFile");
    });

    it("IndexFile heals what a whole careless migration left", async () => {
      const driver = await start();
      await driver.indexFile("shapes.py");
      beside(driver.databasePath, migrateCarelessly);
      await driver.indexFile(inFolder("source", "shapes.py"), true);
      await assertHealed(driver, "IndexFile", inFolder("source", "shapes.py"));
    });

    it("16 calls of IndexFile at once all succeed", async () => {
      const driver = await start();
      const names = Array.from({ length: 16 }, (_, i) => `module${i}.py`);
      for (const name of names) writeFileSync(inFolder("source", name), `def f_${name.slice(0, -3)}(): pass\n`);
      await driver.indexFile("shapes.py");
      for (const interrupt of [migrateCarelessly, (c: Connection) => rename(c, { legacy: false, foreignKeys: true })]) {
        beside(driver.databasePath, interrupt);
        const answers = await Promise.all(names.map((name) => driver.indexFile(name, true)));
        assert.equal(answers.filter(({ counts }) => counts?.functions === 1n).length, names.length);
      }
      await driver.indexFile("shapes.py", true);
      await assertWhole(driver);
    });

    it("IndexProject heals what it meets when it looks for files and when it stores them", async () => {
      const driver = await start();
      await driver.indexFile("shapes.py");
      for (const interrupt of [(c: Connection) => rename(c, { legacy: true, foreignKeys: false }), migrateCarelessly]) {
        beside(driver.databasePath, interrupt);
        let last: { filesIndexed: bigint; filesFailed: bigint } | undefined;
        for await (const { progress } of driver.client.indexProject({ projectId: "p", force: true })) last = progress;
        assert.deepEqual([last?.filesIndexed, last?.filesFailed], [1n, 0n]);
        await assertWhole(driver);
      }
      await assertHealed(driver, "IndexProject");
    });

    it("answers TEMP_TABLE_STATE and keeps the stored failure where recovery must not guess", async () => {
      const driver = await start();
      await driver.indexFile("shapes.py");
      beside(driver.databasePath, (connection) => {
        const sql = connection.prepare("SELECT sql FROM sqlite_schema WHERE name = 'files'").pluck().get() as string;
        rename(connection, { legacy: false, foreignKeys: false });
        connection.exec(sql);
        connection.exec("INSERT INTO files (id, project_id, path) VALUES (99, 'p', '/elsewhere.py')");
      });
      await failsWith("TEMP_TABLE_STATE", driver.indexFile("./shapes.py", true));
      await driver.logged("[indexing_errors] Stored temp_files-related");
      await driver.logged("[index_file] failed again after recovery");
      const { errors } = await driver.client.listIndexingErrors({ projectId: "p" });
      assert.deepEqual(
        errors.map(({ filePath, errorType }) => ({ filePath, errorType })),
        [{ filePath: inFolder("source", "shapes.py"), errorType: "db_error" }],
      );
      assert.deepEqual(await driver.values("SELECT count(*) FROM files UNION ALL SELECT count(*) FROM temp_files"), [
        1n,
        1n,
      ]);
    });

    it("Execute, Query and Insert say TEMP_TABLE_STATE, and Recover makes them work", async () => {
      const driver = await start();
      await driver.indexFile("shapes.py");
      // The driver has these statements compiled when their tables go away.
      const sql = "INSERT INTO issues (file_id, issue_type) VALUES ((SELECT min(id) FROM files), 'i')";
      await driver.execute(sql);
      assert.equal((await driver.values("SELECT path FROM files")).length, 1);

      beside(driver.databasePath, (connection) => rename(connection, { legacy: true, foreignKeys: false }));
      await failsWith("TEMP_TABLE_STATE", driver.execute("SELECT path FROM files"));
      await failsWith("TEMP_TABLE_STATE", driver.client.query({ sql: "SELECT path FROM files" }));
      await failsWith("TEMP_TABLE_STATE", driver.execute(sql));
      await driver.client.recover({});
      await driver.execute(sql);

      beside(driver.databasePath, migrateCarelessly);
      await failsWith("TEMP_TABLE_STATE", driver.execute("INSERT INTO issues (file_id, issue_type) VALUES (1, 'i')"));
      await failsWith(
        "TEMP_TABLE_STATE",
        driver.client.insert({
          table: "issues",
          columns: ["issue_type"],
          rows: [{ values: [{ kind: { case: "textValue", value: "i" } }] }],
        }),
      );
      const { report } = await driver.client.recover({});
      assert.equal(report?.isHealthy, true);
      assert.equal((await driver.execute("INSERT INTO issues (issue_type) VALUES ('i')")).affectedRows, 1n);
      // The client's own mistake.
      await failsWith("SQL_ERROR", driver.execute("SELECT * FROM temp_files"));
    });
  });

  describe("and failures that no migration is behind", () => {
    it("a failure of the database is stored as db_error and answered, and the old rows stay", async () => {
      const driver = await start();
      await driver.indexFile("shapes.py");
      await driver.execute(
        "CREATE TRIGGER refuse BEFORE INSERT ON functions BEGIN SELECT RAISE(ABORT, 'no functions today'); END",
      );
      writeFileSync(inFolder("source", "shapes.py"), "def other(): pass\n");
      const before = await driver.values("SELECT name FROM functions");
      for (const path of ["shapes.py", inFolder("source", "shapes.py"), "../source/shapes.py"]) {
        const error = await failsWith("CONSTRAINT_TRIGGER", driver.indexFile(path));
        assert.match(error.message, /no functions today/);
      }
      let failed: { filesFailed: bigint; filesDone: bigint; filesTotal: bigint } | undefined;
      for await (const { progress } of driver.client.indexProject({ projectId: "p" })) failed = progress;
      assert.deepEqual([failed?.filesFailed, failed?.filesDone, failed?.filesTotal], [1n, 1n, 1n]);
      assert.deepEqual(await driver.values("SELECT name FROM functions"), before);
      const { errors } = await driver.client.listIndexingErrors({});
      assert.deepEqual(
        errors.map(({ filePath, errorType, errorMessage }) => ({ filePath, errorType, errorMessage })),
        [{ filePath: inFolder("source", "shapes.py"), errorType: "db_error", errorMessage: "no functions today" }],
      );
      await driver.execute("DROP TRIGGER refuse");
      await driver.indexFile("shapes.py");
      assert.deepEqual(await driver.values("SELECT name FROM functions"), ["other"]);
      assert.deepEqual(await driver.values("SELECT count(*) FROM indexing_errors"), [0n]);
      const { stderr } = await driver.stop();
      assert.doesNotMatch(stderr, /temp_files-related/);
    });

    it("a deadline, a cancelled call and a full queue are not stored", async () => {
      const driver = await start("--max-queue-length", "2");
      const { transactionId } = await driver.client.beginTransaction({});
      const request = { projectId: "p", filePath: "shapes.py" };
      const waiting = new AbortController();
      const files = [1, 2].map(() => driver.client.indexFile(request, { signal: waiting.signal }));
      await failsWith("OVERLOADED", driver.indexFile("shapes.py"));
      waiting.abort();
      for (const file of files) await failsWith("CANCELLED", file);

      const cancelled = new AbortController();
      const call = failsWith("CANCELLED", driver.client.indexFile(request, { signal: cancelled.signal }));
      await failsWith("DEADLINE_EXCEEDED", driver.client.indexFile(request, { timeoutMs: 1_000 }));
      cancelled.abort();
      await call;
      await driver.client.rollbackTransaction({ transactionId });
      assert.deepEqual(await driver.values("SELECT count(*) FROM indexing_errors"), [0n]);
      await driver.indexFile("shapes.py");
      await assertWhole(driver);
    });
  });
});
