import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { quoteText } from "../sqlite/identifiers.js";
import { inSnapshot } from "../sqlite/transaction.js";
import { parseCreateIndex } from "./create-index.js";
import { type CreateTableText, parseCreateTable } from "./create-table.js";
import { normalizeDefault } from "./default-value.js";
import {
  affinityOf,
  type Column,
  type ForeignKey,
  type Index,
  type KeyColumn,
  keyOf,
  type PrimaryKey,
  type SchemaModel,
  type Table,
  type Trigger,
  type UniqueConstraint,
  type View,
  type VirtualTable,
} from "./model.js";
import { isOperator, nameOf, normalizeSql, splitAtCommas, type Token, tokenize } from "./tokens.js";

/** A row of sqlite_schema (https://sqlite.org/schematab.html). */
interface SchemaRow {
  readonly type: "table" | "index" | "view" | "trigger";
  readonly name: string;
  readonly tbl_name: string;
  readonly sql: string | null;
}

interface TableListRow {
  readonly schema: string;
  readonly name: string;
  readonly type: "table" | "view" | "virtual" | "shadow";
  readonly wr: number;
  readonly strict: number;
}

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly notnull: number;
  readonly dflt_value: string | null;
  readonly pk: number;
  /** 0 ordinary, 1 hidden column of a virtual table, 2 generated virtual, 3 generated stored. */
  readonly hidden: number;
}

interface IndexRow {
  readonly name: string;
  readonly unique: number;
  /** c: CREATE INDEX, u: UNIQUE, pk: PRIMARY KEY. */
  readonly origin: "c" | "u" | "pk";
}

interface IndexColumnRow {
  readonly cid: number;
  readonly name: string | null;
  readonly desc: number;
  readonly coll: string;
  readonly key: number;
}

interface ForeignKeyRow {
  readonly id: number;
  readonly seq: number;
  readonly table: string;
  readonly from: string;
  readonly to: string | null;
  readonly on_update: string;
  readonly on_delete: string;
}

/**
 * Reads the schema of the main database. SQLite answers through its PRAGMAs; only what they leave out (CHECK constraints,
 * conflict clauses, collations, deferral, generated expressions) is read from the CREATE texts that SQLite stores.
 * Internal objects (`sqlite_…`) and shadow tables are left out.
 *
 * @throws DriverError `DATABASE_CORRUPT` when the stored schema cannot be read.
 */
export function inspectSchema(connection: Connection): SchemaModel {
  // A schema that changes between two of the statements looks like a damaged one.
  return inSnapshot(connection, () => readModel(connection));
}

function readModel(connection: Connection): SchemaModel {
  // The first statement: it begins the snapshot, and SQLite reads its own copy of the schema again when that is outdated.
  const rows = readSchemaRows(connection);
  const list = connection
    .prepare<[], TableListRow>("SELECT schema, name, type, wr, strict FROM pragma_table_list WHERE schema = 'main'")
    .all();
  const listed = new Map(list.map((row) => [keyOf(row.name), row]));
  const model = {
    tables: new Map<string, Table>(),
    indexes: new Map<string, Index>(),
    views: new Map<string, View>(),
    triggers: new Map<string, Trigger>(),
    virtualTables: new Map<string, VirtualTable>(),
    shadowTables: new Set<string>(list.filter((row) => row.type === "shadow").map((row) => keyOf(row.name))),
  };
  for (const row of rows) {
    const { name, sql } = row;
    const key = keyOf(name);
    // Indexes that SQLite made for a constraint have no text.
    if (sql === null || key.startsWith("sqlite_")) continue;
    const owner = row.tbl_name;
    if (row.type === "view") model.views.set(key, { name, sql, body: bodyOf(sql) });
    else if (row.type === "trigger") model.triggers.set(key, { name, table: owner, sql, body: bodyOf(sql) });
    else if (model.shadowTables.has(keyOf(owner))) continue;
    else if (row.type === "index") model.indexes.set(key, inspectIndex(connection, name, owner, sql));
    else if (isVirtual(sql)) model.virtualTables.set(key, parseVirtualTable(name, sql));
    else model.tables.set(key, inspectTable(connection, name, sql, listed.get(key)));
  }
  return { ...model, tables: withImplicitParentKeys(model.tables) };
}

/** All rows of sqlite_schema in creation order. */
export function readSchemaRows(connection: Connection): SchemaRow[] {
  return connection
    .prepare<[], SchemaRow>("SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid")
    .all();
}

function inspectTable(connection: Connection, name: string, sql: string, listed: TableListRow | undefined): Table {
  const text = parseCreateTable(sql, name);
  const columnRows = pragma<ColumnRow>(connection, "table_xinfo", name);
  const isWithoutRowid = listed?.wr === 1;
  const isStrict = listed?.strict === 1;
  const primaryKey = inspectPrimaryKey(connection, name, columnRows, text, isWithoutRowid);
  const rowidAlias = primaryKey?.isRowidAlias ? primaryKey.columns[0]?.term : undefined;
  return {
    name,
    sql,
    columns: columnRows.map((row) => readColumn(row, text, isStrict, keyOf(row.name) === rowidAlias)),
    primaryKey,
    uniques: inspectUniques(connection, name, text),
    checks: text.checks,
    foreignKeys: inspectForeignKeys(connection, name, text),
    isStrict,
    isWithoutRowid,
  };
}

function readColumn(row: ColumnRow, text: CreateTableText, isStrict: boolean, isRowidAlias: boolean): Column {
  const written = text.columns.get(keyOf(row.name));
  if (written === undefined) {
    throw new DriverError("DATABASE_CORRUPT", `The column ${row.name} does not stand in its CREATE TABLE text.`);
  }
  const type = row.type.toUpperCase().replace(/\s+/g, " ").trim();
  return {
    name: row.name,
    type,
    affinity: affinityOf(type, isStrict),
    // The rowid is never NULL, declared or not.
    notNull: isRowidAlias ? "ABORT" : row.notnull === 1 ? (written.notNull ?? "ABORT") : undefined,
    defaultValue: row.dflt_value === null || row.hidden > 1 ? undefined : normalizeDefault(row.dflt_value),
    collation: written.collation ?? "binary",
    generated:
      row.hidden > 1 && written.generated !== undefined
        ? { expression: written.generated, isStored: row.hidden === 3 }
        : undefined,
    definition: written.definition,
  };
}

function inspectPrimaryKey(
  connection: Connection,
  table: string,
  columns: readonly ColumnRow[],
  text: CreateTableText,
  isWithoutRowid: boolean,
): PrimaryKey | undefined {
  const keyed = columns.filter((column) => column.pk > 0).sort((a, b) => a.pk - b.pk);
  if (keyed.length === 0) return undefined;
  const declared = text.keys.find((key) => key.kind === "primary");
  const index = listIndexes(connection, table).find((row) => row.origin === "pk");
  return {
    columns:
      index === undefined
        ? keyed.map(({ name }) => ({
            term: keyOf(name),
            isExpression: false,
            collation: "binary",
            isDescending: false,
          }))
        : readKeyColumns(connection, index.name, undefined).slice(0, keyed.length),
    onConflict: declared?.onConflict ?? "ABORT",
    // Only the alias of the rowid needs no index of its own.
    isRowidAlias: index === undefined && !isWithoutRowid,
    isAutoincrement: declared?.isAutoincrement ?? false,
  };
}

function inspectUniques(connection: Connection, table: string, text: CreateTableText): UniqueConstraint[] {
  return listIndexes(connection, table)
    .filter((row) => row.origin === "u")
    .map((row) => {
      const columns = readKeyColumns(connection, row.name, undefined);
      const names = columns.map((column) => column.term).join();
      const declared = text.keys.find((key) => key.onConflict !== undefined && key.columns.join() === names);
      return { columns, onConflict: declared?.onConflict ?? "ABORT" };
    });
}

function inspectForeignKeys(connection: Connection, table: string, text: CreateTableText): ForeignKey[] {
  const rows = pragma<ForeignKeyRow>(connection, "foreign_key_list", table);
  const ids = [...new Set(rows.map((row) => row.id))].sort((a, b) => a - b);
  if (ids.length !== text.foreignKeys.length) {
    throw new DriverError("DATABASE_CORRUPT", `The foreign keys of table ${table} do not match its CREATE TABLE text.`);
  }
  return text.foreignKeys.flatMap((declared, index) => {
    // SQLite numbers foreign keys from the last declared to the first.
    const parts = rows.filter((row) => row.id === ids.length - 1 - index).sort((a, b) => a.seq - b.seq);
    const [first] = parts;
    if (first === undefined) return [];
    return [
      {
        columns: parts.map((part) => keyOf(part.from)),
        parent: keyOf(first.table),
        parentColumns: parts.flatMap((part) => (part.to === null ? [] : [keyOf(part.to)])),
        onDelete: first.on_delete,
        onUpdate: first.on_update,
        ...declared,
      },
    ];
  });
}

/** `REFERENCES p` means the primary key of p: written out, so that both spellings compare equal. */
function withImplicitParentKeys(tables: ReadonlyMap<string, Table>): ReadonlyMap<string, Table> {
  const resolve = (key: ForeignKey): ForeignKey => {
    const parent = tables.get(key.parent)?.primaryKey;
    if (key.parentColumns.length > 0 || parent === undefined) return key;
    return { ...key, parentColumns: parent.columns.map((column) => column.term) };
  };
  return new Map([...tables].map(([key, table]) => [key, { ...table, foreignKeys: table.foreignKeys.map(resolve) }]));
}

function inspectIndex(connection: Connection, name: string, table: string, sql: string): Index {
  const text = parseCreateIndex(sql, table);
  const isUnique = listIndexes(connection, table).some((row) => keyOf(row.name) === keyOf(name) && row.unique === 1);
  return { name, table, sql, isUnique, columns: readKeyColumns(connection, name, text.terms), where: text.where };
}

function listIndexes(connection: Connection, table: string): IndexRow[] {
  return pragma<IndexRow>(connection, "index_list", table).reverse();
}

function readKeyColumns(connection: Connection, index: string, terms: readonly string[] | undefined): KeyColumn[] {
  return pragma<IndexColumnRow>(connection, "index_xinfo", index)
    .filter((row) => row.key === 1)
    .map((row, position) => {
      const isExpression = row.name === null && row.cid === -2;
      const term = isExpression ? (terms?.[position] ?? "") : keyOf(row.name ?? "rowid");
      return { term, isExpression, collation: keyOf(row.coll), isDescending: row.desc === 1 };
    });
}

function isVirtual(sql: string): boolean {
  return tokenize(sql)[1]?.value === "virtual";
}

function parseVirtualTable(name: string, sql: string): VirtualTable {
  const tokens = tokenize(sql);
  // CREATE VIRTUAL TABLE name USING module ( arguments )
  const using = tokens.findIndex((token, index) => index > 2 && token.kind === "word" && token.value === "using");
  const module = tokens[using + 1];
  const open = isOperator(tokens[using + 2], "(") ? using + 3 : tokens.length;
  return {
    name,
    sql,
    module: module === undefined ? "" : keyOf(nameOf(module)),
    arguments: splitAtCommas(tokens.slice(open, -1)).map((item) => sourceOf(sql, item)),
    body: normalizeSql(tokens.slice(using)),
  };
}

/** The normal form of everything behind the name in `CREATE VIEW name …` or `CREATE TRIGGER name …`, as SQLite stores it. */
function bodyOf(sql: string): string {
  return normalizeSql(tokenize(sql).slice(3));
}

function sourceOf(sql: string, tokens: readonly Token[]): string {
  return sql.slice(tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0);
}

function pragma<Row>(connection: Connection, name: string, argument: string): Row[] {
  return connection.prepare<[], Row>(`PRAGMA main.${name}(${quoteText(argument)})`).all();
}
