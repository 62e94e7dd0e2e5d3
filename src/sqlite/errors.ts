import Database from "better-sqlite3";
import { DriverError, type Reason } from "../errors.js";

/**
 * SQLite's result codes (https://sqlite.org/rescode.html) and the reason each becomes. An extended code is looked up first,
 * then its primary code; anything else is the caller's SQL.
 */
const REASON_OF_CODE: Readonly<Record<string, Reason>> = {
  SQLITE_CONSTRAINT_UNIQUE: "CONSTRAINT_UNIQUE",
  SQLITE_CONSTRAINT_PRIMARYKEY: "CONSTRAINT_UNIQUE",
  SQLITE_CONSTRAINT_ROWID: "CONSTRAINT_UNIQUE",
  SQLITE_CONSTRAINT_FOREIGNKEY: "CONSTRAINT_FOREIGN_KEY",
  SQLITE_CONSTRAINT_CHECK: "CONSTRAINT_CHECK",
  SQLITE_CONSTRAINT_NOTNULL: "CONSTRAINT_NOT_NULL",
  SQLITE_CONSTRAINT_TRIGGER: "CONSTRAINT_TRIGGER",
  SQLITE_CONSTRAINT_DATATYPE: "CONSTRAINT_DATATYPE",
  SQLITE_CONSTRAINT: "CONSTRAINT_CHECK",
  SQLITE_MISMATCH: "CONSTRAINT_DATATYPE",
  SQLITE_TOOBIG: "LIMIT_EXCEEDED",
  SQLITE_FULL: "DISK_FULL",
  SQLITE_BUSY: "DATABASE_BUSY",
  SQLITE_LOCKED: "DATABASE_BUSY",
  SQLITE_CORRUPT: "DATABASE_CORRUPT",
  // What a virtual table keeps in its own tables does not fit. Rows of the content that were changed without those of a full-text
  // index do that, and SQLite finds the file itself in order.
  SQLITE_CORRUPT_VTAB: "SQL_ERROR",
  SQLITE_NOTADB: "DATABASE_CORRUPT",
  SQLITE_READONLY: "DATABASE_READ_ONLY",
  SQLITE_IOERR: "INTERNAL",
  SQLITE_CANTOPEN: "INTERNAL",
  SQLITE_NOMEM: "LIMIT_EXCEEDED",
  SQLITE_INTERRUPT: "CANCELLED",
};

const HINT_OF_CODE: Readonly<Record<string, string>> = {
  SQLITE_CORRUPT_VTAB:
    "A full-text index does not fit the rows that it was made from; `config_cli doctor --fix` makes it anew, also beside a running driver.",
};

const HINT_OF_REASON: Partial<Record<Reason, string>> = {
  DATABASE_BUSY: "Another process holds the database; try again.",
  DATABASE_CORRUPT: "Run `config_cli doctor` and restore a backup if it confirms the damage.",
  CONSTRAINT_FOREIGN_KEY: "Write the row that is referred to first; delete the rows that refer to one before it.",
  CONSTRAINT_DATATYPE:
    "An INTEGER PRIMARY KEY, a LIMIT and an OFFSET take integers only, and a column of a STRICT table values of its type.",
  DISK_FULL: "Free space on the disk that holds the database and try again.",
  DATABASE_READ_ONLY: "Check the permissions of the database file and of its directory.",
};

const BUSY_RETRY_MS = 100;

/** True for errors that better-sqlite3 raises for a SQLite result code. */
export function isSqliteError(error: unknown): error is InstanceType<typeof Database.SqliteError> {
  return error instanceof Database.SqliteError;
}

/** `SQLITE_CONSTRAINT_UNIQUE` → `SQLITE_CONSTRAINT`, the primary result code. */
function primaryCode(code: string): string {
  return code.split("_").slice(0, 2).join("_");
}

/** What better-sqlite3 says of it (src/util/binder.cpp); SQLite itself takes missing values for NULL. */
const PARAMETER_MISMATCH = /^(Too few|Too many|Missing named) parameter/;

/**
 * Converts whatever a call to SQLite threw. A SQLite code becomes the reason of the table above; a `TypeError` or
 * `RangeError` of better-sqlite3 (several statements, an unbindable value) is the caller's request, where the values do not fit
 * the statement's parameters it is the statement; a `DriverError` passes through.
 */
export function fromSqliteError(error: unknown): DriverError {
  if (isSqliteError(error)) {
    const reason = REASON_OF_CODE[error.code] ?? REASON_OF_CODE[primaryCode(error.code)] ?? "SQL_ERROR";
    const hint = HINT_OF_CODE[error.code] ?? HINT_OF_REASON[reason];
    return new DriverError(reason, error.message, {
      sqliteCode: error.code,
      cause: error,
      ...(hint !== undefined && { hint }),
      ...(reason === "DATABASE_BUSY" && { retryAfterMs: BUSY_RETRY_MS }),
    });
  }
  if (!(error instanceof DriverError) && (error instanceof TypeError || error instanceof RangeError)) {
    if (!PARAMETER_MISMATCH.test(error.message))
      return new DriverError("INVALID_REQUEST", error.message, { cause: error });
    return new DriverError("SQL_ERROR", error.message, {
      hint: "Give a value for each parameter of the statement.",
      cause: error,
    });
  }
  return DriverError.from(error);
}
