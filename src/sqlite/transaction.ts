import { DriverError } from "../errors.js";
import type { Connection } from "./connection.js";
import { fromSqliteError } from "./errors.js";

/**
 * COMMIT failed with an I/O error, or could not be undone: the transaction may be on disk or not, and what the connection has in its
 * caches after a failed fsync may not be what is on the disk. The connection must be closed.
 */
export class CommitFailedError extends DriverError {
  override readonly cause: DriverError;

  constructor(cause: DriverError) {
    super("COMMIT_OUTCOME_UNKNOWN", `The commit failed: ${cause.message}.`, {
      hint: "Look whether the change is there before you repeat it; a call with a request_id can be repeated as it is.",
      ...(cause.sqliteCode !== undefined && { sqliteCode: cause.sqliteCode }),
      cause,
    });
    this.cause = cause;
  }
}

/**
 * Runs `body` between BEGIN IMMEDIATE and COMMIT and returns its result; anything thrown rolls back and is thrown on.
 * IMMEDIATE takes the write lock at once: a deferred transaction that reads first can fail later with SQLITE_BUSY without
 * the busy timeout applying (https://sqlite.org/lang_transaction.html). Must not be called inside a transaction.
 *
 * @throws CommitFailedError when the outcome is unknown.
 */
export function inTransaction<T>(connection: Connection, body: () => T): T {
  connection.exec("BEGIN IMMEDIATE");
  let result: T;
  try {
    result = body();
  } catch (error) {
    // SQLite may have rolled back by itself (full disk, I/O error, RAISE(ROLLBACK)); a second ROLLBACK would be an error.
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
  commitOpen(connection, () => connection.exec("COMMIT"));
  return result;
}

/**
 * Runs `body`, which only reads, so that all its statements see the database at one moment, whatever others commit meanwhile
 * (https://sqlite.org/isolation.html); inside a transaction they do so anyway.
 */
export function inSnapshot<T>(connection: Connection, body: () => T): T {
  if (connection.inTransaction) return body();
  connection.exec("BEGIN");
  try {
    return body();
  } finally {
    if (connection.inTransaction) connection.exec("COMMIT");
  }
}

/**
 * Writes to the database in the open transaction and changes nothing: `user_version` gets the value it has. (An UPDATE to the same
 * value writes no page.)
 */
export function rewriteHeader(connection: Connection): void {
  connection.exec(`PRAGMA main.user_version = ${Number(connection.pragma("main.user_version", { simple: true }))}`);
}

/**
 * Commits the open transaction by `commit`; what SQLite refuses (a deferred foreign key, a full disk, a lock) is rolled back and
 * thrown on.
 *
 * @throws CommitFailedError when the outcome is unknown.
 */
export function commitOpen(connection: Connection, commit: () => void): void {
  try {
    commit();
  } catch (thrown) {
    const error = fromSqliteError(thrown);
    const hasRolledBack = rollsBack(connection);
    if (hasRolledBack && !error.sqliteCode?.startsWith("SQLITE_IOERR")) throw thrown;
    throw new CommitFailedError(error);
  }
}

function rollsBack(connection: Connection): boolean {
  try {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    return true;
  } catch {
    // The refusal, which is reported, matters more; without a rollback the connection is no longer to be trusted.
    return false;
  }
}
