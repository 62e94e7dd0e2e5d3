import type { Connection } from "../sqlite/connection.js";
import { mayMergeValues } from "./conversion.js";
import type { SchemaDiff, TableDiff } from "./diff.js";
import { findColumn, type Index, type KeyColumn, keyOf, type Table } from "./model.js";
import type { SourceName } from "./renames.js";
import { attempt, type RowFindings } from "./row-report.js";
import { columnTerm, ProjectedRows } from "./rows.js";

/** Looks for rows that a PRIMARY KEY or UNIQUE would not tell apart: because it is new, or because its columns are converted. */
export function inspectKeys(connection: Connection, report: RowFindings, table: TableDiff, rows: ProjectedRows): void {
  const { from, to } = table;
  const keysOf = ({ primaryKey, uniques }: Table) => [
    ...(primaryKey === undefined ? [] : [primaryKey.columns]),
    ...uniques.map(({ columns }) => columns),
  ];
  const known = new Set(keysOf(from).map(identityOfKey));
  for (const columns of keysOf(to)) {
    addDuplicates(connection, report, table, rows, { columns, isKnown: known.has(identityOfKey(columns)) });
  }
  const alias =
    to.primaryKey?.isRowidAlias && !from.primaryKey?.isRowidAlias ? to.primaryKey.columns[0]?.term : undefined;
  if (alias === undefined || findColumn(from, alias) === undefined) return;
  const found = attempt(report, to.name, () =>
    rows.find(`typeof(${columnTerm(to, alias)}) NOT IN ('integer', 'null')`),
  );
  if (found === undefined || found.rows === 0) return;
  const message = `${found.rows} values of ${to.name}.${alias} are not integers and cannot become the INTEGER PRIMARY KEY.`;
  report.problems.push({ object: `${to.name}.${alias}`, message, ...found });
}

function identityOfKey(columns: readonly KeyColumn[]): string {
  return columns
    .map(({ term, collation }) => `${term} ${collation}`)
    .sort()
    .join();
}

interface UniqueKey {
  readonly columns: readonly KeyColumn[];
  readonly where?: string | undefined;
  /** The live table has it too: only a conversion can make rows equal. */
  readonly isKnown: boolean;
}

function addDuplicates(
  connection: Connection,
  report: RowFindings,
  { from, to }: TableDiff,
  rows: ProjectedRows,
  { columns, where, isKnown }: UniqueKey,
): void {
  const terms = columns.map(({ term, isExpression, collation }) => ({
    sql: isExpression ? term : columnTerm(to, term),
    collation,
  }));
  const texts = [...terms.map(({ sql }) => sql), where ?? ""];
  const found = attempt(report, to.name, () => {
    const isPlain = where === undefined && columns.every(({ isExpression }) => !isExpression);
    const mayMerge = rows.rewrittenColumns(texts).some((column) => {
      const old = findColumn(from, column.name);
      return (
        !isPlain || old === undefined || column.generated !== undefined || mayMergeValues(connection, rows, old, column)
      );
    });
    return isKnown && !mayMerge ? undefined : rows.findDuplicates(terms, where);
  });
  if (found === undefined || found.rows === 0) return;
  const key = columns.map(({ term }) => term).join(", ");
  report.problems.push({
    object: to.name,
    message: `${found.rows} values of (${key}) occur more than once in ${to.name}, where they must be unique.`,
    hint: "Remove the duplicates first.",
    ...found,
  });
}

/** Unique indexes on tables with rows: new ones, and those over columns that are converted. */
export function inspectIndexes(
  connection: Connection,
  report: RowFindings,
  diff: SchemaDiff,
  sourceName: SourceName,
): void {
  const changedTables = new Map(diff.changedTables.map((table) => [keyOf(table.to.name), table]));
  const added = new Set<Index>([...diff.indexes.created, ...diff.indexes.changed.map(({ to }) => to)]);
  const all = new Map([...diff.live.indexes, ...diff.wanted.indexes]);
  for (const index of [...all.values()].filter(({ isUnique }) => isUnique)) {
    const to = diff.wanted.tables.get(keyOf(index.table));
    const from = diff.live.tables.get(keyOf(index.table));
    const isKnown = !added.has(index);
    if (to === undefined || from === undefined || (isKnown && !changedTables.has(keyOf(index.table)))) continue;
    const table = { from, to, changes: [] };
    const rows = new ProjectedRows(connection, table, (column) => sourceName(from.name, column));
    addDuplicates(connection, report, table, rows, { columns: index.columns, where: index.where, isKnown });
  }
}
