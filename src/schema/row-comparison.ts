import type { Connection } from "../sqlite/connection.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { affinityOf, keyOf } from "./model.js";

interface ColumnRow {
  readonly name: string;
  readonly type: string;
  readonly defaultSql: string | null;
  readonly isGenerated: 0 | 1;
}

/** How the rows of one table stand to those of another. */
export interface RowComparison {
  /** Rows of the table. */
  readonly rowCount: number;
  /** Rows of the table that the other one lacks, as often as it lacks them. */
  readonly missingCount: number;
  /** Columns that only the table has and that hold more than NULL and their default. */
  readonly lostColumns: readonly string[];
}

/**
 * Whether `table` could be dropped without losing anything that `other` does not hold: every row is there, compared by all
 * common columns, value by value and type by type, equal rows counted. A column that one table declares with another
 * affinity may hold the same number in the form that this affinity gives it, when the original can be told from it.
 */
export function compareRows(connection: Connection, table: string, other: string): RowComparison {
  const own = readColumns(connection, table);
  const others = new Map(readColumns(connection, other).map((column) => [keyOf(column.name), column]));
  const common = own.filter(({ name }) => others.has(keyOf(name)));
  const terms = common.flatMap((column) => {
    const counterpart = others.get(keyOf(column.name));
    const isSame = counterpart !== undefined && affinityOf(counterpart.type) === affinityOf(column.type);
    return isSame ? exactTerms(column.name) : canonicalTerms(column.name);
  });
  const keys = terms.map((_, index) => `k${index}`);
  const select = (name: string) =>
    `SELECT ${[...terms.map((term, index) => `${term} AS k${index}`), "count(*) AS n"].join(", ")}
     FROM ${inMain(name)} GROUP BY ${keys.map((_, index) => index + 1).join(", ")}`;
  const isEqual = keys.map((key) => `b.${key} IS a.${key}`).join(" AND ");
  const rowCount = count(connection, `SELECT count(*) FROM ${inMain(table)}`);
  // Nothing in common: nothing shows that a row is there.
  if (common.length === 0) return { rowCount, missingCount: rowCount, lostColumns: own.map(({ name }) => name) };
  // Materialised, so that SQLite joins through an automatic index instead of grouping again for every row.
  const missingCount = count(
    connection,
    `WITH a AS MATERIALIZED (${select(table)}), b AS MATERIALIZED (${select(other)})
     SELECT coalesce(sum(max(0, a.n - coalesce(b.n, 0))), 0) FROM a LEFT JOIN b ON ${isEqual}`,
  );
  const lostColumns = own
    .filter(({ name, isGenerated }) => !others.has(keyOf(name)) && isGenerated === 0)
    .filter((column) => holdsValues(connection, table, column))
    .map(({ name }) => name);
  return { rowCount, missingCount, lostColumns };
}

/** True when dropping the compared table loses nothing. */
export function isContained({ missingCount, lostColumns }: RowComparison): boolean {
  return missingCount === 0 && lostColumns.length === 0;
}

function readColumns(connection: Connection, table: string): ColumnRow[] {
  return connection
    .prepare<[string], ColumnRow>(
      `SELECT name, type, dflt_value AS defaultSql, hidden IN (2, 3) AS isGenerated
       FROM pragma_table_xinfo(?, 'main') WHERE hidden <> 1`,
    )
    .all(table);
}

/** SQLite finds 1, 1.0 and, under NOCASE, 'a' and 'A' equal to their likes; with its type and in binary order a value is itself. */
function exactTerms(name: string): string[] {
  const column = quoteIdentifier(name);
  return [`typeof(${column})`, `${column} COLLATE BINARY`];
}

/** A number as itself whether it is stored as integer, real or the text that SQLite writes for it; anything else exactly. */
function canonicalTerms(name: string): string[] {
  const column = quoteIdentifier(name);
  const asInteger = `CAST(${column} AS INTEGER)`;
  const asReal = `CAST(${column} AS REAL)`;
  // Beyond 2^53 neighbouring integers are the same real.
  const isWhole = `abs(${asReal}) < 9007199254740992 AND ${asReal} = ${asInteger}`;
  const isIntegerText = `CAST(${asInteger} AS TEXT) = +${column} COLLATE BINARY`;
  const isRealText = `CAST(${asReal} AS TEXT) = +${column} COLLATE BINARY`;
  const canonical = `CASE
    WHEN typeof(${column}) = 'real' AND ${isWhole} THEN ${asInteger}
    WHEN typeof(${column}) = 'text' AND ${isIntegerText} THEN ${asInteger}
    WHEN typeof(${column}) = 'text' AND ${isRealText} THEN iif(${isWhole}, ${asInteger}, ${asReal})
    ELSE ${column} END`;
  return [`typeof(${canonical})`, `(${canonical}) COLLATE BINARY`];
}

function holdsValues(connection: Connection, table: string, { name, defaultSql }: ColumnRow): boolean {
  const column = quoteIdentifier(name);
  const isDefault = defaultSql === null ? "0" : `${column} IS (${defaultSql})`;
  const sql = `SELECT 1 FROM ${inMain(table)} WHERE ${column} IS NOT NULL AND NOT (${isDefault}) LIMIT 1`;
  return connection.prepare(sql).get() !== undefined;
}

function count(connection: Connection, sql: string): number {
  return connection.prepare<[], number>(sql).pluck().get() ?? 0;
}
