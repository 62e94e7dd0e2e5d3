import Database from "better-sqlite3";
import { DriverError } from "../errors.js";
import { fromSqliteError } from "./errors.js";

/** An open SQLite connection. Owned by whoever opened it, used from one thread, closed with `.close()`. */
export type Connection = Database.Database;

/** A compiled statement of a `Connection`. */
export type Statement<Row = unknown, Parameters extends unknown[] | object = unknown[]> = Database.Statement<
  Parameters extends unknown[] ? Parameters : [Parameters],
  Row
>;

/**
 * What a connection is for; decides its PRAGMAs.
 *
 * - `writer`: the one connection of the driver that writes.
 * - `reader`: read-only, for queries and look-ups.
 * - `migration`: opened by `config_cli`; changes neither journal mode nor durability of a database that it only visits.
 */
export type ConnectionRole = "writer" | "reader" | "migration";

interface Pragma {
  readonly name: string;
  readonly value: string | number;
  /** What reading the PRAGMA back must answer, when that differs from `value`. */
  readonly readsBack?: string | number;
  readonly roles: readonly ConnectionRole[];
}

const ALL_ROLES: readonly ConnectionRole[] = ["writer", "reader", "migration"];

/** Every PRAGMA that a connection sets, in this order; each is read back (https://sqlite.org/pragma.html). */
const PRAGMAS: readonly Pragma[] = [
  // Before journal_mode, which takes a lock. Another process may be checkpointing or, for a moment, migrating.
  { name: "busy_timeout", value: 5_000, roles: ALL_ROLES },
  // Readers and the writer do not block each other.
  { name: "journal_mode", value: "wal", roles: ["writer"] },
  // In WAL mode NORMAL does not sync on commit and loses acknowledged writes on power loss; FULL does (2 = FULL).
  { name: "synchronous", value: "FULL", readsBack: 2, roles: ["writer", "migration"] },
  // The writer decides when to checkpoint: two connections doing it can starve each other.
  { name: "wal_autocheckpoint", value: 0, roles: ["writer"] },
  { name: "foreign_keys", value: "ON", readsBack: 1, roles: ["writer"] },
  // better-sqlite3 switches foreign keys on by default; a migration must never see a cascade.
  { name: "foreign_keys", value: "OFF", readsBack: 0, roles: ["migration"] },
  // A crafted schema must not call functions with side effects from a view, trigger or index.
  { name: "trusted_schema", value: "OFF", readsBack: 0, roles: ALL_ROLES },
  // Finds a damaged page when it is read instead of answering from it.
  { name: "cell_size_check", value: "ON", readsBack: 1, roles: ALL_ROLES },
  { name: "query_only", value: "ON", readsBack: 1, roles: ["reader"] },
  // Sorters and transient indexes in memory: a query leaves no file behind when its process is killed (2 = MEMORY).
  { name: "temp_store", value: "MEMORY", readsBack: 2, roles: ALL_ROLES },
  // Negative is KiB: 32 MiB keeps the inner pages of every index of a large project in the cache.
  { name: "cache_size", value: -32_768, roles: ["writer"] },
  { name: "cache_size", value: -8_192, roles: ["reader"] },
];

/** How a connection is opened. */
export interface OpenOptions {
  readonly role: ConnectionRole;
  /** Fail when the file does not exist instead of creating it. Default: false for `writer`, true for the others. */
  readonly mustExist?: boolean;
}

/**
 * Opens the database at `path` (a file, or `:memory:`), sets every PRAGMA of its role and reads each back.
 *
 * @throws DriverError `DATABASE_BUSY` when another process holds a lock, `DATABASE_CORRUPT` when the file is not a
 *   database, `DATABASE_READ_ONLY`, or `INTERNAL` when it cannot be opened.
 */
export function openConnection(path: string, { role, mustExist = role !== "writer" }: OpenOptions): Connection {
  let connection: Connection;
  try {
    connection = new Database(path, { readonly: role === "reader", fileMustExist: mustExist && path !== ":memory:" });
  } catch (error) {
    throw openError(path, error);
  }
  try {
    for (const pragma of PRAGMAS) {
      if (pragma.roles.includes(role)) setPragma(connection, pragma);
    }
    return connection;
  } catch (error) {
    connection.close();
    throw openError(path, error);
  }
}

/**
 * Sets one PRAGMA and reads it back, because SQLite ignores silently what it cannot do.
 *
 * @throws DriverError `INTERNAL` when the value did not take.
 */
export function setPragma(connection: Connection, { name, value, readsBack = value }: Omit<Pragma, "roles">): void {
  connection.pragma(`${name} = ${value}`);
  const actual: unknown = connection.pragma(name, { simple: true });
  // An in-memory database has no WAL; it is only used for scratch work.
  if (name === "journal_mode" && actual === "memory") return;
  if (actual !== readsBack && String(actual) !== String(readsBack)) {
    throw new DriverError("INTERNAL", `PRAGMA ${name} is ${String(actual)} after it was set to ${value}.`);
  }
}

/** SQLite says the same of a directory, of a file that may not be opened, and of one whose directory does not exist. */
const CANNOT_OPEN_HINT = "Name a file that this process may read and write, in a directory that exists.";

function openError(path: string, error: unknown): DriverError {
  const cause = fromSqliteError(error);
  const hint = cause.hint ?? (cause.sqliteCode?.startsWith("SQLITE_CANTOPEN") ? CANNOT_OPEN_HINT : undefined);
  return new DriverError(cause.reason, `The database ${path} cannot be opened: ${cause.message}.`, {
    cause: error,
    ...(cause.sqliteCode !== undefined && { sqliteCode: cause.sqliteCode }),
    ...(hint !== undefined && { hint }),
  });
}
