import type { Connection } from "./connection.js";

/**
 * Runs `body` between BEGIN IMMEDIATE and COMMIT and returns its result; anything thrown rolls back and is thrown on.
 * IMMEDIATE takes the write lock at once: a deferred transaction that reads first can fail later with SQLITE_BUSY without
 * the busy timeout applying (https://sqlite.org/lang_transaction.html). Must not be called inside a transaction.
 */
export function inTransaction<T>(connection: Connection, body: () => T): T {
  connection.exec("BEGIN IMMEDIATE");
  try {
    const result = body();
    connection.exec("COMMIT");
    return result;
  } catch (error) {
    // SQLite may have rolled back by itself (full disk, I/O error, RAISE(ROLLBACK)); a second ROLLBACK would be an error.
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}
