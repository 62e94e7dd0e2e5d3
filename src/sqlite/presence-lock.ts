import Database from "better-sqlite3";
import { DriverError, messageOf } from "../errors.js";
import type { Connection } from "./connection.js";
import { fromSqliteError } from "./errors.js";
import { besideDatabase, type PresenceNote, readPresenceNotes } from "./presence-note.js";

/**
 * - `driver`: a driver, for as long as it has the database open; one of them has it, further ones `shared`.
 * - `shared`: whoever changes the schema beside a driver.
 * - `exclusive`: a migration that wants no driver.
 */
export type PresenceMode = "driver" | "shared" | "exclusive";

/** Held until released or until the process ends, however it ends. */
export interface PresenceLock {
  release(): void;
}

/** The lock of a driver. */
export interface DriverPresence extends PresenceLock {
  /** Who has the database open as a driver already, `a driver (pid 7, listening on …)`; null for nobody. */
  readonly otherDriver: string | null;
}

/** How long a driver waits for the one before it to be gone, whose processes end a moment after it was killed. */
const PREDECESSOR_WAIT_MS = 1_000;
const POLL_INTERVAL_MS = 50;

const STATEMENTS: Readonly<Record<PresenceMode, string>> = {
  // RESERVED beside others' SHARED, and only one of it.
  driver: "BEGIN IMMEDIATE",
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
  if (!(await lockWithin(connection, mode, waitMs))) {
    connection.close();
    throw busy(databasePath, mode);
  }
  return { release: () => connection.close() };
}

/** `acquirePresence` of a driver, which tells whether it is the first one. */
export async function acquireDriverPresence(databasePath: string, waitMs: number): Promise<DriverPresence> {
  const connection = openLockFile(databasePath);
  const isFirst = await lockWithin(connection, "driver", Math.min(PREDECESSOR_WAIT_MS, waitMs));
  if (!isFirst && !(await lockWithin(connection, "shared", waitMs))) {
    connection.close();
    throw busy(databasePath, "shared");
  }
  return { release: () => connection.close(), otherDriver: isFirst ? null : nameHolders(databasePath) };
}

/** Polling and not SQLite's busy handler: that would keep a driver from coming back while a migration waits for it to go. */
async function lockWithin(connection: Connection, mode: PresenceMode, waitMs: number): Promise<boolean> {
  const giveUpMs = performance.now() + waitMs;
  while (!tryLock(connection, mode)) {
    const restMs = giveUpMs - performance.now();
    if (restMs <= 0) return false;
    await new Promise((resolve) => setTimeout(resolve, Math.min(POLL_INTERVAL_MS, restMs)));
  }
  return true;
}

/** Without the PRAGMAs of a connection: some of them read the file, which is what has to be tried. */
function openLockFile(databasePath: string): Connection {
  const path = besideDatabase(databasePath, "lock");
  try {
    return new Database(path, { timeout: 0 });
  } catch (error) {
    const message = `The lock file ${path} cannot be opened: ${messageOf(error)}.`;
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
  const holders = nameHolders(databasePath);
  if (mode === "shared") {
    return new DriverError("DATABASE_BUSY", `The database ${databasePath} is being migrated by ${holders}.`, {
      hint: "Try again when it has ended.",
    });
  }
  return new DriverError("DATABASE_BUSY", `The database ${databasePath} is open in ${holders}.`, {
    hint: "Stop it, wait for it with --wait SECONDS, or migrate beside it with --online.",
  });
}

/** The processes that have left a note, as far as they are not this one or its parent. */
function nameHolders(databasePath: string): string {
  const notes = readPresenceNotes(databasePath).filter(({ pid }) => pid !== process.pid && pid !== process.ppid);
  if (notes.length === 0) return "another process";
  return notes.map(nameHolder).join(" and ");
}

function nameHolder({ program, pid, addresses }: PresenceNote): string {
  const listening = addresses.length === 0 ? "" : `, listening on ${addresses.join(", ")}`;
  return `${program === "driver" ? "a driver" : program} (pid ${pid}${listening})`;
}
