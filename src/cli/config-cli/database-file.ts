import { accessSync, closeSync, constants, openSync, readSync, type Stats, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DEFAULT_DATABASE_PATH } from "../../config/config.js";
import { readConfigFile } from "../../config/config-file.js";
import { DriverError } from "../../errors.js";
import { fromSqliteError, isSqliteError } from "../../sqlite/errors.js";
import { CommitFailedError } from "../../sqlite/transaction.js";

/** The flags by which a command is told its database. */
export interface DatabaseFlags {
  readonly db?: string;
  readonly config?: string;
}

/**
 * The absolute path of the database: `--db`, else the config file, else where the driver would create it.
 *
 * @throws DriverError `INVALID_REQUEST` when the config file cannot be used.
 */
export function resolveDatabasePath({ db, config }: DatabaseFlags): string {
  if (db !== undefined) return resolve(db);
  return readConfigFile(config)?.databasePath ?? DEFAULT_DATABASE_PATH;
}

/** The first bytes of every database that is not empty (https://sqlite.org/fileformat2.html#magic_header_string). */
const MAGIC = "SQLite format 3\0";

/**
 * Says in advance and in plain words what SQLite would say late and briefly.
 *
 * @throws DriverError `FILE_NOT_FOUND`, `FILE_NOT_READABLE`, `DATABASE_READ_ONLY`, or `DATABASE_CORRUPT` when it is no database.
 */
export function assertDatabaseFile(path: string, { isWritten }: { readonly isWritten: boolean }): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) {
    throw new DriverError("FILE_NOT_FOUND", `The database ${path} does not exist.`, {
      hint: "Name another with --db; the driver creates one when it starts.",
    });
  }
  if (!stats.isFile()) throw notADatabase(path, `is ${kindOf(stats)}`);
  if (!isAccessible(path, constants.R_OK)) {
    throw new DriverError("FILE_NOT_READABLE", `The database ${path} may not be read.`, {
      hint: "Check the permissions of the file.",
    });
  }
  if (isWritten) assertWritable(path);
  if (!hasMagic(path)) throw notADatabase(path, "is not a SQLite database");
}

function assertWritable(path: string): void {
  const readOnly = [path, dirname(path)].find((one) => !isAccessible(one, constants.W_OK));
  if (readOnly === undefined) return;
  const message =
    readOnly === path
      ? `The database ${path} is read-only.`
      : `The folder ${readOnly} is read-only, where SQLite must write a journal beside the database.`;
  throw new DriverError("DATABASE_READ_ONLY", message, { hint: "Change the permissions, or run as the owner." });
}

function isAccessible(path: string, mode: number): boolean {
  try {
    accessSync(path, mode);
    return true;
  } catch {
    return false;
  }
}

function hasMagic(path: string): boolean {
  const file = openSync(path, "r");
  try {
    const header = Buffer.alloc(MAGIC.length);
    const length = readSync(file, header, 0, header.length, 0);
    return length === 0 || header.toString("latin1") === MAGIC;
  } finally {
    closeSync(file);
  }
}

function kindOf(stats: Stats): string {
  return stats.isDirectory() ? "a folder" : "not a regular file";
}

function notADatabase(path: string, what: string): DriverError {
  return new DriverError("DATABASE_CORRUPT", `${path} ${what}.`, { hint: "Name a database with --db." });
}

/** What a command on the database at `path` failed with; where SQLite's own words name no file, the sentence does. */
export function aboutDatabase(path: string, error: unknown): DriverError {
  if (error instanceof CommitFailedError) return aboutCommit(path, error);
  const failure = fromSqliteError(error);
  if (!isSqliteError(failure.cause) || failure.cause.message !== failure.message) return failure;
  return new DriverError(failure.reason, `The database ${path} cannot be worked on: ${failure.message}.`, {
    cause: error,
    ...(failure.sqliteCode !== undefined && { sqliteCode: failure.sqliteCode }),
    ...(failure.hint !== undefined && { hint: failure.hint }),
  });
}

function aboutCommit(path: string, error: CommitFailedError): DriverError {
  return new DriverError(
    error.reason,
    `The database ${path} may be changed or not, because its COMMIT failed: ${error.cause.message}.`,
    { hint: "See to the disk and run the command again: it tells what is there.", cause: error },
  );
}
