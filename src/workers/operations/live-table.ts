import { DriverError } from "../../errors.js";
import type { Connection } from "../../sqlite/connection.js";
import { fromSqliteError } from "../../sqlite/errors.js";
import { foldName, quoteIdentifier } from "../../sqlite/identifiers.js";
import { isDriverTable } from "../driver-tables.js";

/** How a column gets its value: `hidden` of https://sqlite.org/pragma.html#pragma_table_xinfo, by position. */
const VISIBILITIES = ["normal", "hidden", "generated", "generated"] as const;

export interface LiveColumn {
  readonly name: string;
  readonly visibility: (typeof VISIBILITIES)[number];
}

/** A table or view of the main database as it is now. */
export interface LiveTable {
  /** Spelled as in the schema. */
  readonly name: string;
  readonly kind: "table" | "view" | "virtual" | "shadow";
  readonly hasRowid: boolean;
  readonly columns: readonly LiveColumn[];
}

interface TableListRow {
  readonly name: string;
  readonly type: LiveTable["kind"];
  readonly wr: number;
}

interface ColumnRow {
  readonly name: string;
  readonly hidden: number;
}

interface KnownTable {
  readonly sql: string;
  readonly table: LiveTable;
}

/** Tables described before, by connection and name. Asking SQLite for every column costs more than a small write. */
const known = new WeakMap<Connection, Map<string, KnownTable>>();
const MAX_KNOWN_TABLES = 1_000;

/**
 * The table or view of this name in the main database, or undefined.
 *
 * PRAGMA statements and not their table-valued functions: a client may create a table called `pragma_table_xinfo`, which would
 * stand in front of the function.
 */
export function findTable(connection: Connection, name: string): LiveTable | undefined {
  if (name.includes("\0")) return undefined;
  // The PRAGMA knows the schema table by its old name only and answers it under the new one.
  const asked = foldName(name) === "sqlite_schema" ? "sqlite_master" : name;
  try {
    const rows = connection.pragma(`main.table_list(${quoteIdentifier(asked)})`) as TableListRow[];
    const row = rows.find((candidate) => foldName(candidate.name) === foldName(name));
    return row === undefined ? undefined : describe(connection, row);
  } catch (error) {
    throw fromSqliteError(error);
  }
}

/**
 * The table or view of this name.
 *
 * @throws DriverError `TABLE_NOT_FOUND`, or `TEMP_TABLE_STATE` when only its temporary name is there.
 */
export function requireTable(connection: Connection, name: string): LiveTable {
  const table = findTable(connection, name);
  if (table !== undefined) return table;
  const temporary = findTable(connection, `temp_${name}`);
  if (temporary !== undefined) {
    throw new DriverError(
      "TEMP_TABLE_STATE",
      `The table ${name} is not there, but ${temporary.name} is: a migration was interrupted.`,
      { field: "table", hint: "Call Recover, or run `config_cli doctor`." },
    );
  }
  throw new DriverError("TABLE_NOT_FOUND", `There is no table ${JSON.stringify(name)}.`, {
    field: "table",
    hint: "ListTables answers the names of all tables.",
  });
}

/**
 * The table of this name, for a client that wants to change its rows or drop it.
 *
 * @throws DriverError as `requireTable`, and `STATEMENT_NOT_ALLOWED` for tables that SQLite or the driver keep for themselves.
 */
export function requireWritableTable(connection: Connection, name: string): LiveTable {
  const table = requireTable(connection, name);
  const owner = ownerOf(table);
  if (owner !== undefined) {
    throw new DriverError("STATEMENT_NOT_ALLOWED", `The table ${table.name} belongs to ${owner}.`, { field: "table" });
  }
  return table;
}

/**
 * The column of this name, in any case.
 *
 * @throws DriverError `INVALID_REQUEST` naming `field`.
 */
export function requireColumn(table: LiveTable, name: string, field: string): LiveColumn {
  const column = table.columns.find((candidate) => foldName(candidate.name) === foldName(name));
  if (column !== undefined) return column;
  throw new DriverError("INVALID_REQUEST", `${table.name} has no column ${JSON.stringify(name)}.`, {
    field,
    hint: "GetTableInfo answers the columns of a table.",
  });
}

function describe(connection: Connection, { name, type, wr }: TableListRow): LiveTable {
  const tables = known.get(connection) ?? new Map<string, KnownTable>();
  known.set(connection, tables);
  // The text of an ordinary table says all that is remembered here; that of a view depends on the tables it reads.
  const sql = type === "table" ? storedSql(connection, name) : undefined;
  const earlier = tables.get(name);
  if (sql !== undefined && earlier?.sql === sql) return earlier.table;
  const rows = connection.pragma(`main.table_xinfo(${quoteIdentifier(name)})`) as ColumnRow[];
  const columns = rows.map((row) => ({ name: row.name, visibility: VISIBILITIES[row.hidden] ?? "hidden" }));
  const table: LiveTable = { name, kind: type, hasRowid: type !== "view" && wr === 0, columns };
  if (tables.size >= MAX_KNOWN_TABLES) tables.clear();
  if (sql !== undefined) tables.set(name, { sql, table });
  return table;
}

function storedSql(connection: Connection, name: string): string | undefined {
  const select = "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?";
  const sql: unknown = connection.prepare(select).pluck().get(name);
  return typeof sql === "string" ? sql : undefined;
}

function ownerOf({ name, kind }: LiveTable): string | undefined {
  if (foldName(name).startsWith("sqlite_")) return "SQLite";
  if (kind === "shadow") return "a virtual table";
  if (isDriverTable(name)) return "the driver";
  return undefined;
}
