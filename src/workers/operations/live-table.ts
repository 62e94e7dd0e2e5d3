import { DriverError } from "../../errors.js";
import type { Connection, Statement } from "../../sqlite/connection.js";
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

interface StoredTable {
  readonly name: string;
  readonly sql: string;
}

/** What is remembered of one connection: asking SQLite for every column costs more than a small write. */
interface Memory {
  /** The CREATE text of a table; looks at nothing but the schema table. */
  readonly stored: Statement;
  /** Ordinary tables by name. The text says all that is remembered; that of a view depends on the tables it reads. */
  readonly tables: Map<string, { readonly sql: string; readonly table: LiveTable }>;
}

const memories = new WeakMap<Connection, Memory>();
const MAX_REMEMBERED_TABLES = 1_000;

/**
 * The table or view of this name in the main database, or undefined.
 *
 * PRAGMA statements and not their table-valued functions: a client may create a table called `pragma_table_xinfo`, which would
 * stand in front of the function.
 */
export function findTable(connection: Connection, name: string): LiveTable | undefined {
  if (name.includes("\0")) return undefined;
  try {
    const memory = memoryOf(connection);
    const stored = memory.stored.get(name) as StoredTable | undefined;
    const remembered = stored && memory.tables.get(stored.name);
    if (remembered !== undefined && remembered.sql === stored?.sql) return remembered.table;
    const table = describe(connection, name);
    if (stored !== undefined && table?.kind === "table") {
      if (memory.tables.size >= MAX_REMEMBERED_TABLES) memory.tables.clear();
      memory.tables.set(stored.name, { sql: stored.sql, table });
    }
    return table;
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

function describe(connection: Connection, requested: string): LiveTable | undefined {
  // The PRAGMA knows the schema table by its old name only and answers it under the new one.
  const asked = foldName(requested) === "sqlite_schema" ? "sqlite_master" : requested;
  const tables = connection.pragma(`main.table_list(${quoteIdentifier(asked)})`) as TableListRow[];
  const row = tables.find((candidate) => foldName(candidate.name) === foldName(requested));
  if (row === undefined) return undefined;
  const { name, type, wr } = row;
  const rows = connection.pragma(`main.table_xinfo(${quoteIdentifier(name)})`) as ColumnRow[];
  const columns = rows.map((column) => ({ name: column.name, visibility: VISIBILITIES[column.hidden] ?? "hidden" }));
  return { name, kind: type, hasRowid: type !== "view" && wr === 0, columns };
}

function memoryOf(connection: Connection): Memory {
  const known = memories.get(connection);
  if (known !== undefined) return known;
  const select = "SELECT name, sql FROM main.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE";
  const memory: Memory = { stored: connection.prepare(select), tables: new Map() };
  memories.set(connection, memory);
  return memory;
}

function ownerOf({ name, kind }: LiveTable): string | undefined {
  if (foldName(name).startsWith("sqlite_")) return "SQLite";
  if (kind === "shadow") return "a virtual table";
  if (isDriverTable(name)) return "the driver";
  return undefined;
}
