import { createHash } from "node:crypto";
import { closeSync, fsyncSync, openSync, readSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { codeOf, DriverError, type Reason } from "../errors.js";
import { type Connection, openConnection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inspectSchema } from "./introspection.js";
import { countRows } from "./space.js";

/** How far a copy is; the total grows when the database does. */
export interface BackupProgress {
  readonly donePages: number;
  readonly totalPages: number;
}

export interface CopyOptions {
  /** Quick leaves out whether the indexes fit their tables (https://sqlite.org/pragma.html#pragma_quick_check). Default: quick. */
  readonly check?: "quick_check" | "integrity_check";
  /** Permissions of the copy. Default: those of the database, so that nobody may read the copy who may not read the original. */
  readonly mode?: number;
  /** Told of all pages once: when they are copied and the snapshot is let go, before the copy is checked. */
  readonly onProgress?: (progress: BackupProgress) => void;
}

/** A copy that is proven and on disk. */
export interface DatabaseCopy {
  readonly bytes: number;
  /** In hexadecimal. */
  readonly sha256: string;
  /** Rows of every table, counted in the copy and equal to those of the original. */
  readonly rows: ReadonlyMap<string, number>;
}

export interface Backup extends DatabaseCopy {
  readonly path: string;
}

/** 1,000 pages of 4 KiB: about ten milliseconds between two answers to the event loop. */
const PAGES_PER_ROUND = 1_000;
const HASH_CHUNK_BYTES = 1 << 20;
const OWNER_ONLY = 0o600;

/** `<database>.<time>.backup` in `directory`: where a backup that is made at `time` goes. */
export function backupPath(databasePath: string, directory: string, time: Date = new Date()): string {
  return join(directory, `${basename(databasePath)}.${time.toISOString().replaceAll(":", "-")}.backup`);
}

/** The name that the backup `path` has while it is made, for who may have to remove what a killed process leaves. */
export function partialPathOf(path: string): string {
  return `${path}.partial`;
}

/**
 * Makes the file `path`, which must not exist, a copy of the database: under another name until it is proven and on disk.
 *
 * @throws DriverError what `copyDatabase` and `publishCopy` throw; there is no file then.
 */
export async function createBackup(connection: Connection, path: string, options: CopyOptions = {}): Promise<Backup> {
  const partialPath = partialPathOf(path);
  const copy = await copyDatabase(connection, partialPath, options);
  publishCopy(partialPath, path);
  return { ...copy, path };
}

/**
 * Copies a database into the new file `path` while others use it (https://sqlite.org/backup.html), and verifies the copy: SQLite's
 * own check, and as many rows in every table as in the snapshot that was copied.
 *
 * @throws DriverError when the copy cannot be written (`INVALID_REQUEST`, `DISK_FULL`, `INTERNAL`) or differs
 *   (`DATABASE_CORRUPT`); there is no file then.
 */
export async function copyDatabase(
  connection: Connection,
  path: string,
  { check = "quick_check", mode = statSync(connection.name).mode & 0o777, onProgress }: CopyOptions = {},
): Promise<DatabaseCopy> {
  let isMade = false;
  // Copy and counts come from one snapshot, whatever others write meanwhile.
  connection.exec("BEGIN");
  try {
    const expected = countAllRows(connection);
    closeSync(openSync(path, "wx", mode));
    isMade = true;
    const { totalPages } = await connection.backup(path, {
      progress: ({ totalPages: total, remainingPages }) => {
        onProgress?.({ donePages: total - remainingPages, totalPages: total });
        return PAGES_PER_ROUND;
      },
    });
    // The check may take much longer than the copy, and a snapshot keeps the write-ahead log from shrinking.
    connection.exec("COMMIT");
    onProgress?.({ donePages: totalPages, totalPages });
    const rows = verify(path, check, expected);
    synchronize(path);
    return { bytes: statSync(path).size, sha256: hashFile(path), rows };
  } catch (error) {
    if (isMade) removeCopy(path);
    throw writeError(`A backup in ${dirname(path)}`, error);
  } finally {
    if (connection.inTransaction) connection.exec("COMMIT");
  }
}

/**
 * Gives the copy `partialPath` its name, in the same directory.
 *
 * @throws DriverError `INVALID_REQUEST` when there is such a file, which stays; the copy is removed then.
 */
export function publishCopy(partialPath: string, path: string): void {
  let isMade = false;
  try {
    // Fails when there is one, which a rename would replace.
    closeSync(openSync(path, "wx", OWNER_ONLY));
    isMade = true;
    renameSync(partialPath, path);
    synchronize(dirname(path));
  } catch (error) {
    if (isMade) rmSync(path, { force: true });
    removeCopy(partialPath);
    throw writeError(`The backup ${path}`, error);
  }
}

/** The copy `path` and what SQLite keeps beside it. */
export function filesOfCopy(path: string): string[] {
  return ["", "-journal", "-wal", "-shm"].map((suffix) => path + suffix);
}

/** Removes an unfinished copy with what SQLite keeps beside it. */
export function removeCopy(path: string): void {
  for (const file of filesOfCopy(path)) rmSync(file, { force: true });
}

function countAllRows(connection: Connection): Map<string, number> {
  const tables = [...inspectSchema(connection).tables.values()];
  return new Map(tables.map(({ name }) => [name, countRows(connection, name)]));
}

function verify(
  path: string,
  check: "quick_check" | "integrity_check",
  expected: ReadonlyMap<string, number>,
): Map<string, number> {
  const copy = openConnection(path, { role: "migration" });
  try {
    const verdict: unknown = copy.pragma(check, { simple: true });
    if (verdict !== "ok") throw damaged(path, String(verdict));
    const rows = countAllRows(copy);
    for (const [table, count] of expected) {
      if (rows.get(table) !== count)
        throw damaged(path, `table ${table} has ${rows.get(table) ?? "no"} rows instead of ${count}`);
    }
    return rows;
  } finally {
    copy.close();
  }
}

function damaged(path: string, why: string): DriverError {
  return new DriverError("DATABASE_CORRUPT", `The backup ${path} is not like the original: ${why}.`, {
    hint: "Run `config_cli doctor` on the database; nothing was changed.",
  });
}

function synchronize(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

function hashFile(path: string): string {
  const hash = createHash("sha256");
  const chunk = Buffer.alloc(HASH_CHUNK_BYTES);
  const file = openSync(path, "r");
  try {
    for (let length = readSync(file, chunk); length > 0; length = readSync(file, chunk)) {
      hash.update(chunk.subarray(0, length));
    }
    return hash.digest("hex");
  } finally {
    closeSync(file);
  }
}

/** What the file system says of a place that was named wrong, or of a full one. */
const REASON_OF_SYSTEM_CODE: Readonly<Record<string, Reason>> = {
  EEXIST: "INVALID_REQUEST",
  ENOENT: "INVALID_REQUEST",
  ENOTDIR: "INVALID_REQUEST",
  ENAMETOOLONG: "INVALID_REQUEST",
  EACCES: "INVALID_REQUEST",
  EPERM: "INVALID_REQUEST",
  EROFS: "INVALID_REQUEST",
  ENOSPC: "DISK_FULL",
  EDQUOT: "DISK_FULL",
};

function writeError(what: string, cause: unknown): DriverError {
  if (cause instanceof DriverError) return cause;
  const code = codeOf(cause) ?? "";
  const { message, reason, sqliteCode } = fromSqliteError(cause);
  const isFull = reason === "DISK_FULL" || REASON_OF_SYSTEM_CODE[code] === "DISK_FULL";
  const hint = isFull
    ? "Free space there, or name another place."
    : "Name a new file in a directory that may be written.";
  const why = code === "EEXIST" ? "there is such a file" : message;
  return new DriverError(REASON_OF_SYSTEM_CODE[code] ?? reason, `${what} cannot be written: ${why}.`, {
    hint,
    cause,
    ...(sqliteCode !== undefined && { sqliteCode }),
  });
}
