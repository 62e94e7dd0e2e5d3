import Database from "better-sqlite3";
import { DriverError } from "../errors.js";
import type { Connection } from "./connection.js";
import { fromSqliteError } from "./errors.js";
import { besideDatabase, readPresenceNote } from "./presence-note.js";

/**
 * - `shared`: a driver, for as long as it has the database open; and whoever changes the schema beside one.
 * - `exclusive`: a migration that wants no driver.
 */
export type PresenceMode = "shared" | "exclusive";

/** Held until released or until the process ends, however it ends. */
export interface PresenceLock {
  release(): void;
}

const POLL_INTERVAL_MS = 50;

const STATEMENTS: Readonly<Record<PresenceMode, string>> = {
  // The open read transaction is what holds SHARED (https://sqlite.org/lockingv3.html).
  shared: "BEGIN; SELECT count(*) FROM sqlite_schema",
  // The journal in memory, because nothing is ever written that could have to be undone.
  exclusive: "PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE",
};

/**
 * Takes the lock that tells who has the database at `databasePath` open. It is SQLite's own lock on an empty database
 * `<database>.lock` in rollback-journal mode, because the kernel gives it back when its holder dies: no file has to be cleaned
 * up after a crash, and no pid can be mistaken for another's. The lock of the database itself tells nothing in WAL mode, where
 * a driver that is idle holds none that a writer would notice.
 *
 * Locks of this kind belong to the process: nothing else in it may open and close the lock file.
 *
 * @param waitMs how long to wait for others.
 * @throws DriverError `DATABASE_BUSY` naming the process that has the database, or why the lock file cannot be used.
 */
export async function acquirePresence(databasePath: string, mode: PresenceMode, waitMs: number): Promise<PresenceLock> {
  const connection = openLockFile(databasePath);
  const giveUpMs = performance.now() + waitMs;
  while (!tryLock(connection, mode)) {
    const restMs = giveUpMs - performance.now();
    if (restMs <= 0) {
      connection.close();
      throw busy(databasePath, mode);
    }
    // Polling and not SQLite's busy handler: that would keep a driver from coming back while a migration waits for it to go.
    await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_INTERVAL_MS, restMs)));
  }
  return { release: () => connection.close() };
}

/** Without the PRAGMAs of a connection: some of them read the file, which is what has to be tried. */
function openLockFile(databasePath: string): Connection {
  const path = besideDatabase(databasePath, "lock");
  try {
    return new Database(path, { timeout: 0 });
  } catch (error) {
    const message = `The lock file ${path} cannot be opened: ${error instanceof Error ? error.message : String(error)}.`;
    throw new DriverError("INTERNAL", message, {
      hint: "Check that its folder exists and may be written.",
      cause: error,
    });
  }
}

function tryLock(connection: Connection, mode: PresenceMode): boolean {
  try {
    connection.exec(STATEMENTS[mode]);
    return true;
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    const known = fromSqliteError(error);
    if (known.reason === "DATABASE_BUSY") return false;
    connection.close();
    throw new DriverError(known.reason, `The lock file ${connection.name} cannot be used: ${known.message}.`, {
      hint: "If no driver runs, remove it.",
      cause: error,
    });
  }
}

function busy(databasePath: string, mode: PresenceMode): DriverError {
  const note = readPresenceNote(databasePath);
  const process =
    note === undefined
      ? "another process"
      : `${note.program === "driver" ? "a driver" : note.program} (pid ${note.pid}${listening(note.addresses)})`;
  if (mode === "shared") {
    return new DriverError("DATABASE_BUSY", `The database ${databasePath} is being migrated by ${process}.`, {
      hint: "Try again when it has ended.",
    });
  }
  return new DriverError("DATABASE_BUSY", `The database ${databasePath} is open in ${process}.`, {
    hint: "Stop it, wait for it with --wait SECONDS, or migrate beside it with --online.",
  });
}

function listening(addresses: readonly string[]): string {
  return addresses.length === 0 ? "" : `, listening on ${addresses.join(", ")}`;
}
