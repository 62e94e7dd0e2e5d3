import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { backupPath, createBackup } from "../../src/schema/backup.js";
import { applyMigration } from "../../src/schema/migration.js";
import { planMigration } from "../../src/schema/planner.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { assertRefused, assertSettled, migrate } from "../support/migrate.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";
import { snapshot } from "../support/snapshot.js";

const table = (type: string) => `CREATE TABLE files (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT, lines ${type});
  CREATE INDEX by_path ON files (path); CREATE VIEW v AS SELECT path FROM files;
  CREATE TABLE kids (file INT REFERENCES files ON DELETE CASCADE);
  CREATE TRIGGER on_files AFTER DELETE ON files BEGIN DELETE FROM kids WHERE file = OLD.id; END;`;
const OLD = table("TEXT");
const NEW = table("INTEGER");
const rows = (count: number) => `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${count})
  INSERT INTO files (path, lines) SELECT printf('src/%0200d.ts', i), i FROM n; INSERT INTO kids SELECT id FROM files;`;

const NOBODY = 65_534;

/** Permissions do not bind root: what they forbid shows only as somebody else. */
function asNobody<T>(body: () => T): T {
  if (process.getuid?.() !== 0) return body();
  process.seteuid?.(NOBODY);
  try {
    return body();
  } finally {
    process.seteuid?.(0);
  }
}

function canBecomeNobody(): boolean {
  try {
    return asNobody(() => process.geteuid?.() === NOBODY);
  } catch {
    return false;
  }
}

describe("applyMigration()", () => {
  afterEach(removeScratchDatabases);

  it("F2 stops when another process changed the schema after the plan was made", () => {
    const scratch = scratchDatabase(OLD + rows(3));
    const plan = planMigration(scratch.connection, NEW);
    scratch.connect().exec("CREATE TABLE intruder (x)");
    const before = snapshot(scratch.connection);
    assert.throws(() => applyMigration(scratch.connection, plan), /schema changed after the plan/);
    assert.deepEqual(snapshot(scratch.connection), before);
  });

  it("F2 stops when rows written after the plan was made would be changed without consent", () => {
    const scratch = scratchDatabase(OLD + rows(3));
    const plan = planMigration(scratch.connection, NEW);
    scratch.connect().exec("INSERT INTO files (path, lines) VALUES ('new', '007')");
    const before = snapshot(scratch.connection);
    assert.throws(
      () => applyMigration(scratch.connection, plan),
      /written after the plan was made: 1 values of files\.lines change/,
    );
    assert.deepEqual(snapshot(scratch.connection), before);
    scratch.connect().exec("UPDATE files SET lines = '7' WHERE lines = '007'");
    applyMigration(scratch.connection, plan);
    assertSettled(scratch.connection, NEW);
  });

  it("F3 takes the write lock with its first statement", () => {
    const { connection } = scratchDatabase(OLD + rows(3));
    const steps: string[] = [];
    migrate(connection, NEW, { onStep: (sql) => steps.push(sql) });
    assert.equal(steps[0], "BEGIN IMMEDIATE");
    assert.deepEqual(steps.slice(-2), ["-- prove", "COMMIT"]);
    const control = scratchDatabase(`PRAGMA journal_mode = wal; ${OLD} ${rows(3)}`);
    control.connection.exec("BEGIN");
    control.connection.prepare("SELECT count(*) FROM files").get();
    control.connect().exec("DELETE FROM kids");
    assert.throws(
      () => control.connection.exec("ALTER TABLE files RENAME TO temp_files"),
      /database is locked/,
      "the control: a transaction that read first can never write once another has written",
    );
  });

  it("F4 says that the database is busy while another process writes", () => {
    const scratch = scratchDatabase(`PRAGMA journal_mode = wal; ${OLD} ${rows(3)}`);
    const before = snapshot(scratch.connection);
    const plan = planMigration(scratch.connection, NEW);
    scratch.connection.pragma("busy_timeout = 20");
    const other = scratch.connect();
    other.exec("BEGIN IMMEDIATE");
    assert.throws(() => applyMigration(scratch.connection, plan), { reason: "DATABASE_BUSY" });
    other.exec("COMMIT");
    assert.deepEqual(snapshot(scratch.connection), before);
    applyMigration(scratch.connection, plan);
  });

  it("F5 warns about readers outside WAL mode, and leaves the old state when they block the COMMIT", () => {
    const scratch = scratchDatabase(`PRAGMA journal_mode = delete; ${OLD} ${rows(3)}`);
    const plan = planMigration(scratch.connection, NEW);
    assert.match(plan.notes.join(), /journal mode is delete: other processes cannot read/);
    const reader = scratch.connect();
    reader.exec("BEGIN; SELECT count(*) FROM files;");
    reader.prepare("SELECT count(*) FROM files").get();
    scratch.connection.pragma("busy_timeout = 20");
    assert.throws(() => applyMigration(scratch.connection, plan), { reason: "DATABASE_BUSY" });
    reader.exec("COMMIT");
    assert.equal(scratch.connection.inTransaction, false);
    applyMigration(scratch.connection, plan);
    assertSettled(scratch.connection, NEW);
  });

  it("F6 runs beside a reader of a WAL database, which goes on in its snapshot", () => {
    const scratch = scratchDatabase(`PRAGMA journal_mode = wal; ${OLD} ${rows(500)}`);
    const reader = scratch.connect();
    reader.exec("BEGIN");
    const old = reader.prepare("SELECT typeof(lines), count(*) FROM files").raw().get();
    migrate(scratch.connection, NEW);
    assert.deepEqual(reader.prepare("SELECT typeof(lines), count(*) FROM files").raw().get(), old);
    const pages = Number(scratch.connection.pragma("page_count", { simple: true }));
    assert.ok(
      statSync(`${scratch.path}-wal`).size > (pages / 2) * 4096 * 0.5,
      "the WAL holds the copy until the reader ends",
    );
    reader.exec("COMMIT");
    assert.deepEqual(reader.prepare("SELECT typeof(lines), count(*) FROM files").raw().get(), ["integer", 500]);

    const control = scratchDatabase(`PRAGMA journal_mode = wal; ${OLD} ${rows(500)}`);
    control.connection.exec("ALTER TABLE files RENAME TO temp_files");
    assert.throws(
      () => control.connect().prepare("SELECT count(*) FROM files"),
      /no such table: files/,
      "the control: between the four statements a reader finds no table",
    );
  });

  it("F7 refuses before it begins when the database may not grow", () => {
    const { connection } = scratchDatabase(OLD.replace(/CREATE INDEX.*?;/, "") + rows(2_000));
    const wanted = NEW.replace(/CREATE INDEX.*?;/, "");
    const pages = Number(connection.pragma("page_count", { simple: true }));
    connection.pragma(`max_page_count = ${pages + 5}`);
    assertRefused(connection, wanted, /may grow by .* bytes \(max_page_count\)/);
    connection.pragma("max_page_count = 1000000");
    const plan = planMigration(connection, wanted);
    connection.pragma(`max_page_count = ${pages + 5}`);
    const before = snapshot(connection);
    assert.throws(() => applyMigration(connection, plan), { reason: "DISK_FULL" });
    assert.deepEqual(snapshot(connection), before);
    assert.equal(connection.pragma("foreign_keys", { simple: true }), 0);
  });

  it("F8 refuses while a cursor of the connection is open", () => {
    const { connection } = scratchDatabase(OLD + rows(3));
    const plan = planMigration(connection, NEW);
    const before = snapshot(connection);
    const cursor = connection.prepare("SELECT * FROM files").iterate();
    cursor.next();
    try {
      assert.throws(() => applyMigration(connection, plan), { reason: "INVALID_REQUEST" });
    } finally {
      cursor.return?.();
    }
    assert.deepEqual(snapshot(connection), before);
    applyMigration(connection, plan);
  });

  it("F9 shows a new column to the prepared SELECT * of another connection", () => {
    const scratch = scratchDatabase(
      "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT); INSERT INTO files VALUES (1, 'a');",
    );
    const other = scratch.connect();
    const select = other.prepare("SELECT * FROM files");
    const insert = other.prepare("INSERT INTO files VALUES (?, ?)");
    assert.deepEqual(select.get(), { id: 1, path: "a" });
    migrate(scratch.connection, "CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, lines INT DEFAULT 5);");
    assert.deepEqual(select.get(), { id: 1, path: "a", lines: 5 });
    assert.throws(() => insert.run(2, "b"), /has 3 columns but 2 values/);
  });

  it("F10 tells a read-only database, a missing file and a file that is no database apart", () => {
    const scratch = scratchDatabase(OLD + rows(3));
    const plan = planMigration(scratch.connection, NEW);
    const reader = openConnection(scratch.path, { role: "reader" });
    assert.throws(() => applyMigration(reader, plan), { reason: "DATABASE_READ_ONLY" });
    reader.close();
    assert.throws(
      () => openConnection(join(scratch.directory, "none.db"), { role: "migration" }),
      /none\.db cannot be opened/,
    );
    const text = join(scratch.directory, "text.db");
    writeFileSync(text, "this is no database, however long the text may be ".repeat(50));
    assert.throws(() => openConnection(text, { role: "migration" }), { reason: "DATABASE_CORRUPT" });
  });

  /** What one attempt says: opening, planning and applying. */
  function errorOfMigration(path: string): { reason?: string; message: string; hint?: string } {
    let error: { reason?: string; message: string; hint?: string } | undefined;
    let connection: Connection | undefined;
    try {
      connection = openConnection(path, { role: "migration" });
      connection.pragma("busy_timeout = 20");
      applyMigration(connection, planMigration(connection, NEW));
    } catch (caught) {
      error = caught as Error;
    } finally {
      connection?.close();
    }
    assert.ok(error, "the migration succeeded");
    return error;
  }

  it("F10 names what a read-only file or directory forbids, before any work", function () {
    if (process.getuid?.() === 0 && !canBecomeNobody()) this.skip();
    for (const [mode, target] of [
      ["wal", "file"],
      ["delete", "file"],
      ["delete", "directory"],
    ] as const) {
      const scratch = scratchDatabase(`PRAGMA journal_mode = ${mode}; ${OLD} ${rows(3)}`);
      const before = snapshot(scratch.connection);
      scratch.connection.close();
      const forbidden = target === "file" ? scratch.path : scratch.directory;
      chmodSync(scratch.directory, 0o777);
      chmodSync(scratch.path, 0o666);
      chmodSync(forbidden, target === "file" ? 0o444 : 0o555);
      const error = asNobody(() => errorOfMigration(scratch.path));
      chmodSync(scratch.path, 0o666);
      chmodSync(scratch.directory, 0o777);
      assert.equal(error.reason, "DATABASE_READ_ONLY", `${mode} ${target}: ${error.message}`);
      assert.match(error.message, /^The database .*test\.db cannot be written: /);
      assert.equal(error.hint, "Check the permissions of the database file and of its directory.");
      assert.deepEqual(snapshot(scratch.connect()), before);
    }
  });

  it("F10 rolls a hot journal back before it looks", () => {
    const scratch = scratchDatabase(`PRAGMA journal_mode = delete; ${OLD} ${rows(350)}`);
    const before = snapshot(scratch.connection);
    // Half a transaction has reached the file, as when a process was killed; its journal is hot once nobody holds a lock.
    scratch.connection.exec("PRAGMA cache_size = 5; BEGIN; UPDATE files SET path = 'lost'");
    const half = join(scratch.directory, "half.db");
    copyFileSync(scratch.path, half);
    copyFileSync(`${scratch.path}-journal`, `${half}-journal`);
    scratch.connection.exec("ROLLBACK");
    assert.notDeepEqual(readFileSync(half), readFileSync(scratch.path), "the control: the file alone is half new");
    const connection = openConnection(half, { role: "migration" });
    migrate(connection, NEW);
    assert.equal(existsSync(`${half}-journal`), false);
    assert.equal(snapshot(connection).tables.files?.rows, before.tables.files?.rows);
    assert.equal(connection.prepare("SELECT count(*) FROM files WHERE path = 'lost'").pluck().get(), 0);
    connection.close();
  });

  it("F10 says busy while another program holds the lock of the file", () => {
    const scratch = scratchDatabase(`PRAGMA journal_mode = delete; ${OLD} ${rows(3)}`);
    const before = snapshot(scratch.connection);
    const other = scratch.connect();
    other.exec("BEGIN EXCLUSIVE");
    const { reason, hint } = errorOfMigration(scratch.path);
    assert.deepEqual([reason, hint], ["DATABASE_BUSY", "Another process holds the database; try again."]);
    other.exec("COMMIT");
    assert.deepEqual(snapshot(scratch.connection), before);
  });

  it("F11 rolls back when it is asked to stop during a copy", () => {
    const { connection } = scratchDatabase(OLD + rows(1_000));
    connection.pragma("foreign_keys = ON");
    const before = snapshot(connection);
    const plan = planMigration(connection, NEW);
    let copied = 0;
    assert.throws(
      () =>
        applyMigration(connection, plan, {
          chunkRows: 100,
          onProgress: ({ rows: progress }) => {
            copied = progress?.done ?? 0;
          },
          shouldStop: () => copied >= 300,
        }),
      { reason: "CANCELLED" },
    );
    assert.equal(copied, 300);
    assert.deepEqual(snapshot(connection), before);
    assert.equal(connection.pragma("foreign_keys", { simple: true }), 1);
    assert.equal(connection.pragma("cache_size", { simple: true }), -16_000);
  });

  it("F12 reports the space that it leaves unused and does not VACUUM", () => {
    const { connection } = scratchDatabase(OLD.replace(/CREATE INDEX.*?;/, "") + rows(2_000));
    const { result } = migrate(connection, NEW.replace(/CREATE INDEX.*?;/, ""));
    assert.ok(result.freeBytes.after - result.freeBytes.before > 400_000, JSON.stringify(result.freeBytes));
    assert.equal(result.copiedRows.get("files"), 2_000);
  });

  it("F13 leaves the settings of the file as they are", () => {
    const { connection } =
      scratchDatabase(`PRAGMA page_size = 1024; PRAGMA auto_vacuum = 1; PRAGMA encoding = 'UTF-16le'; ${OLD} ${rows(3)}
      PRAGMA user_version = 42; PRAGMA application_id = 77;`);
    const { pragmas } = snapshot(connection);
    assert.equal(pragmas.user_version, 42);
    migrate(connection, NEW);
    assert.deepEqual(snapshot(connection).pragmas, pragmas);
  });

  it("F14 never writes to sqlite_schema by hand", () => {
    const { connection } = scratchDatabase(OLD + rows(3));
    const steps: string[] = [];
    migrate(connection, NEW, { onStep: (sql) => steps.push(sql) });
    assert.ok(steps.every((sql) => !/writable_schema|sqlite_schema|sqlite_master/.test(sql)));
  });
});

describe("createBackup()", () => {
  afterEach(removeScratchDatabases);

  it("copies a database that is being written to and proves the copy", async () => {
    const scratch = scratchDatabase(`PRAGMA journal_mode = wal; ${OLD} ${rows(5_000)}`);
    const writer = scratch.connect();
    const directory = join(scratch.directory, "backups");
    const progress: number[] = [];
    mkdirSync(directory);
    const path = backupPath(scratch.path, directory, new Date(0));
    const backup = await createBackup(scratch.connection, path, {
      onProgress: ({ donePages }) => {
        progress.push(donePages);
        writer.exec("INSERT INTO files (path) VALUES ('meanwhile')");
      },
    });
    assert.equal(backup.path, join(directory, "test.db.1970-01-01T00-00-00.000Z.backup"));
    assert.equal(backup.rows.get("files"), 5_000);
    assert.ok(progress.length > 1);
    assert.equal(statSync(path).mode, statSync(scratch.path).mode);
    assert.equal(backup.sha256, createHash("sha256").update(readFileSync(path)).digest("hex"));
    assert.deepEqual(readdirSync(directory), ["test.db.1970-01-01T00-00-00.000Z.backup"]);
    assert.equal(scratch.connection.inTransaction, false);
  });

  it("makes a copy that nobody may read who may not read the original, at no moment", async () => {
    const scratch = scratchDatabase(`${OLD} ${rows(1_000)}`);
    for (const mode of [0o600, 0o640]) {
      chmodSync(scratch.connection.name, mode);
      const seen = new Set<number>();
      const directory = join(scratch.directory, mode.toString(8));
      mkdirSync(directory);
      const path = backupPath(scratch.path, directory);
      await createBackup(scratch.connection, path, {
        onProgress: () => {
          for (const name of readdirSync(directory)) seen.add(statSync(join(directory, name)).mode & 0o777);
        },
      });
      assert.deepEqual([...seen, statSync(path).mode & 0o777], [mode, mode]);
    }
  });

  it("leaves nothing behind when the copy cannot be written", async () => {
    const scratch = scratchDatabase(OLD);
    const directory = join(scratch.directory, "backups");
    writeFileSync(directory, "a file in the way");
    await assert.rejects(createBackup(scratch.connection, join(directory, "a.backup")), { reason: "INVALID_REQUEST" });
    assert.equal(scratch.connection.inTransaction, false);
  });

  it("overwrites nothing, and leaves no copy of its own when there is such a file", async () => {
    const scratch = scratchDatabase(OLD);
    const path = join(scratch.directory, "a.backup");
    const before = readdirSync(scratch.directory);
    await assert.rejects(
      createBackup(scratch.connection, path, { onProgress: () => writeFileSync(path, "somebody's") }),
      /a\.backup cannot be written: there is such a file/,
    );
    assert.equal(readFileSync(path, "utf8"), "somebody's");
    assert.deepEqual(readdirSync(scratch.directory).sort(), [...before, "a.backup"].sort());
  });
});
