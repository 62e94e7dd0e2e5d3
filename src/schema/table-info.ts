import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { quoteText } from "../sqlite/identifiers.js";

/** What `ListTables` says about a table, view or virtual table. */
export interface TableSummary {
  readonly name: string;
  readonly kind: "table" | "view" | "virtual";
  /** Columns, hidden ones included. */
  readonly columnCount: number;
  readonly isWithoutRowid: boolean;
  readonly isStrict: boolean;
}

/** A column as SQLite describes it (https://sqlite.org/pragma.html#pragma_table_xinfo). */
export interface ColumnInfo {
  readonly name: string;
  /** Declared type as written; empty when none is declared. */
  readonly type: string;
  readonly isNotNull: boolean;
  /** SQL text of the DEFAULT. */
  readonly defaultSql: string | undefined;
  /** Position in the primary key from 1; 0 for a column outside it. */
  readonly primaryKeyPosition: number;
  /** `hidden` is a column of a virtual table that SELECT * leaves out. */
  readonly kind: "ordinary" | "hidden" | "virtual" | "stored";
}

export interface ForeignKeyInfo {
  readonly columns: readonly string[];
  readonly parentTable: string;
  /** Empty when the key refers to the primary key of the parent without naming it. */
  readonly parentColumns: readonly string[];
  readonly onUpdate: string;
  readonly onDelete: string;
}

export interface IndexInfo {
  readonly name: string;
  readonly isUnique: boolean;
  readonly isPartial: boolean;
  /** Made by CREATE INDEX, by UNIQUE or by PRIMARY KEY. */
  readonly origin: "index" | "unique" | "primary_key";
  /** `name` is undefined for an expression. */
  readonly columns: readonly {
    readonly name: string | undefined;
    readonly isDescending: boolean;
    readonly collation: string;
  }[];
  /** CREATE INDEX text; undefined for the index of a constraint. */
  readonly sql: string | undefined;
}

export interface TriggerInfo {
  readonly name: string;
  readonly sql: string;
}

/** What `GetTableInfo` answers. */
export interface TableInfo extends TableSummary {
  readonly columns: readonly ColumnInfo[];
  readonly foreignKeys: readonly ForeignKeyInfo[];
  readonly indexes: readonly IndexInfo[];
  /** In the order in which they were created. */
  readonly triggers: readonly TriggerInfo[];
  /** The CREATE text that SQLite stores. */
  readonly sql: string;
}

const SUMMARIES = `
  SELECT name, type AS kind, ncol AS columnCount, wr AS isWithoutRowid, strict AS isStrict
  FROM pragma_table_list
  WHERE schema = 'main' AND type IN ('table', 'view', 'virtual') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'`;

interface SummaryRow extends Omit<TableSummary, "isWithoutRowid" | "isStrict"> {
  readonly isWithoutRowid: number;
  readonly isStrict: number;
}

function summarize(row: SummaryRow): TableSummary {
  return { ...row, isWithoutRowid: row.isWithoutRowid === 1, isStrict: row.isStrict === 1 };
}

/** Every table, view and virtual table by name; SQLite's internal tables and shadow tables are left out. */
export function listTables(connection: Connection): TableSummary[] {
  return connection.prepare<[], SummaryRow>(`${SUMMARIES} ORDER BY name`).all().map(summarize);
}

/**
 * Everything about one table, view or virtual table of the main database.
 *
 * @param table in any case.
 * @throws DriverError `TABLE_NOT_FOUND`.
 */
export function readTableInfo(connection: Connection, table: string): TableInfo {
  const row = connection.prepare<[string], SummaryRow>(`${SUMMARIES} AND name = ? COLLATE NOCASE`).get(table);
  if (row === undefined) {
    throw new DriverError("TABLE_NOT_FOUND", `There is no table ${table}.`, {
      hint: "ListTables shows what there is; SyncSchema creates the tables of the built-in schema.",
    });
  }
  const { name } = row;
  return {
    ...summarize(row),
    columns: readColumns(connection, name),
    foreignKeys: readForeignKeys(connection, name),
    indexes: readIndexes(connection, name),
    triggers: connection
      .prepare<[string], TriggerInfo>(
        "SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY rowid",
      )
      .all(name),
    sql:
      connection
        .prepare<[string], string>("SELECT sql FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ?")
        .pluck()
        .get(name) ?? "",
  };
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
  readonly hidden: number;
}

const COLUMN_KINDS = ["ordinary", "hidden", "virtual", "stored"] as const;

function readColumns(connection: Connection, table: string): ColumnInfo[] {
  return pragma<ColumnRow>(connection, "table_xinfo", table).map((row) => ({
    name: row.name,
    type: row.type,
    isNotNull: row.notnull === 1,
    defaultSql: row.dflt_value ?? undefined,
    primaryKeyPosition: row.pk,
    kind: COLUMN_KINDS[row.hidden] ?? "ordinary",
  }));
}

interface ForeignKeyRow {
  readonly id: number;
  readonly table: string;
  readonly from: string;
  readonly to: string | null;
  readonly on_update: string;
  readonly on_delete: string;
}

function readForeignKeys(connection: Connection, table: string): ForeignKeyInfo[] {
  const rows = pragma<ForeignKeyRow>(connection, "foreign_key_list", table);
  const ids = [...new Set(rows.map(({ id }) => id))];
  // SQLite numbers foreign keys from the last declared to the first.
  return ids.reverse().flatMap((id) => {
    const parts = rows.filter((row) => row.id === id);
    const [first] = parts;
    if (first === undefined) return [];
    return {
      columns: parts.map(({ from }) => from),
      parentTable: first.table,
      parentColumns: parts.flatMap(({ to }) => to ?? []),
      onUpdate: first.on_update,
      onDelete: first.on_delete,
    };
  });
}

interface IndexRow {
  readonly name: string;
  readonly unique: number;
  readonly origin: "c" | "u" | "pk";
  readonly partial: number;
}

interface IndexColumnRow {
  readonly name: string | null;
  readonly desc: number;
  readonly coll: string;
  readonly key: number;
}

const INDEX_ORIGINS = { c: "index", u: "unique", pk: "primary_key" } as const;

function readIndexes(connection: Connection, table: string): IndexInfo[] {
  const textOf = connection
    .prepare<[string], string | null>("SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?")
    .pluck();
  return pragma<IndexRow>(connection, "index_list", table)
    .reverse()
    .map((row) => ({
      name: row.name,
      isUnique: row.unique === 1,
      isPartial: row.partial === 1,
      origin: INDEX_ORIGINS[row.origin],
      columns: pragma<IndexColumnRow>(connection, "index_xinfo", row.name)
        .filter(({ key }) => key === 1)
        .map(({ name, desc, coll }) => ({ name: name ?? undefined, isDescending: desc === 1, collation: coll })),
      sql: textOf.get(row.name) ?? undefined,
    }));
}

function pragma<Row>(connection: Connection, name: string, argument: string): Row[] {
  return connection.prepare<[], Row>(`PRAGMA main.${name}(${quoteText(argument)})`).all();
}
