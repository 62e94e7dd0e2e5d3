import type { Connection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { inspectConversion, mayMergeValues } from "./conversion.js";
import { isConstantDefault } from "./default-value.js";
import type { SchemaDiff, TableChange, TableDiff } from "./diff.js";
import {
  type Column,
  describeForeignKey,
  type ForeignKey,
  findColumn,
  type Index,
  type KeyColumn,
  keyOf,
  type Table,
} from "./model.js";
import type { Consent, Problem, RowFinding } from "./plan.js";
import type { SourceName } from "./renames.js";
import { columnTerm, PROJECTION, ProjectedRows } from "./rows.js";
import { countRows } from "./space.js";
import { nameOf, tokenize } from "./tokens.js";

/** What the rows of a database say about a diff. */
export interface RowReport {
  readonly consents: readonly Omit<Consent, "isAllowed">[];
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
  /** Folded names of tables that need a rebuild because NULLs are replaced on the way. */
  readonly backfilled: ReadonlySet<string>;
}

type ColumnChange = Extract<TableChange, { kind: "change-column" }>;
type Mutable<T> = {
  -readonly [K in keyof T]: T[K] extends ReadonlySet<infer U> ? Set<U> : T[K] extends readonly (infer U)[] ? U[] : T[K];
};

/**
 * Counts the rows that the changes in `diff` would drop, change or reject, with sample rowids. Reads only (apart from a
 * temporary table) and takes no lock that a writer would notice.
 */
export function inspectRows(connection: Connection, diff: SchemaDiff, sourceName: SourceName): RowReport {
  const report: Mutable<RowReport> = { consents: [], problems: [], notes: [], backfilled: new Set() };
  for (const table of diff.changedTables) {
    const rows = new ProjectedRows(connection, table, (column) => sourceName(table.from.name, column));
    for (const change of table.changes) inspectChange(connection, report, table, rows, change);
    inspectStrictness(connection, report, table, rows);
    inspectKeys(connection, report, table, rows);
    inspectNewForeignKeys(report, table, rows);
  }
  inspectIndexes(connection, report, diff, sourceName);
  for (const { name, live } of diff.kindConflicts) {
    const rows = live === "view" ? 0 : countRows(connection, name);
    const message = `The ${live} ${name} is dropped${live === "view" ? "" : ` with ${rows} rows`}.`;
    report.consents.push({ id: `drop-${live}:${keyOf(name)}`, message, rows, sampleRowids: [] });
  }
  for (const { from } of diff.virtualTables.changed) {
    // What an index over another table holds can be computed again; everything else is gone with the table.
    if (/\bcontent\s*=\s*\S/.test(from.arguments.join(" "))) continue;
    const rows = countRows(connection, from.name);
    const message = `The virtual table ${from.name} is dropped with ${rows} rows and created anew, empty.`;
    report.consents.push({ id: `drop-table:${keyOf(from.name)}`, message, rows, sampleRowids: [] });
  }
  return report;
}

function inspectChange(
  connection: Connection,
  report: Mutable<RowReport>,
  table: TableDiff,
  rows: ProjectedRows,
  change: TableChange,
): void {
  switch (change.kind) {
    case "drop-column":
      inspectDroppedColumn(connection, report, table, rows, change.column);
      return;
    case "add-column":
      inspectAddedColumn(report, table, rows, change.column);
      return;
    case "change-column":
      if (change.aspects.includes("not null")) inspectNulls(report, table, rows, change);
      if (change.aspects.includes("type") && !table.to.isStrict) inspectType(connection, report, table, rows, change);
      if (change.from.generated === undefined && change.to.generated !== undefined) {
        inspectDroppedColumn(connection, report, table, rows, change.from);
      }
      return;
    case "add-check":
      inspectCheck(report, table, rows, change.check.expression);
      return;
    default:
      return;
  }
}

function inspectDroppedColumn(
  connection: Connection,
  report: Mutable<RowReport>,
  { to }: TableDiff,
  rows: ProjectedRows,
  column: Column,
): void {
  const name = `${to.name}.${column.name}`;
  // A computed column holds nothing of its own.
  if (column.generated !== undefined) return;
  const source = rows.sourceColumn(column.name);
  const condition = `FROM ${rows.source} WHERE ${source} IS NOT NULL`;
  const count = connection.prepare<[], number>(`SELECT count(*) ${condition}`).pluck().get() ?? 0;
  if (count === 0) {
    report.notes.push(`Dropping ${name} loses nothing: it holds no value.`);
    return;
  }
  const sampleRowids = connection
    .prepare<[], string>(`SELECT CAST(${rows.key} AS TEXT) ${condition} LIMIT 5`)
    .pluck()
    .all();
  const message = `The column ${name} is dropped with its values in ${count} rows.`;
  report.consents.push({ id: `drop-column:${keyOf(name)}`, message, rows: count, sampleRowids });
}

function inspectAddedColumn(report: Mutable<RowReport>, { to }: TableDiff, rows: ProjectedRows, column: Column): void {
  if (column.notNull === undefined || column.defaultValue !== undefined || column.generated !== undefined) return;
  // A new rowid alias takes the number that the row has.
  if (to.primaryKey?.isRowidAlias && to.primaryKey.columns[0]?.term === keyOf(column.name)) return;
  const found = rows.find("true");
  if (found.rows === 0) return;
  report.problems.push({
    object: `${to.name}.${column.name}`,
    message: `The new column ${to.name}.${column.name} is NOT NULL and has no default for the ${found.rows} existing rows.`,
    hint: "Give it a DEFAULT in the wanted schema.",
    ...found,
  });
}

function inspectNulls(report: Mutable<RowReport>, { to }: TableDiff, rows: ProjectedRows, change: ColumnChange): void {
  if (change.from.notNull !== undefined || change.to.notNull === undefined || change.to.generated !== undefined) return;
  const name = `${to.name}.${change.to.name}`;
  const found = rows.find(`${quoteIdentifier(change.to.name)} IS NULL`);
  if (found.rows === 0) return;
  const { defaultValue } = change.to;
  if (defaultValue === undefined) {
    report.problems.push({
      object: name,
      message: `The column ${name} becomes NOT NULL but is NULL in ${found.rows} rows.`,
      hint: "Fill them, or give the column a DEFAULT and allow the backfill.",
      ...found,
    });
    return;
  }
  const kind = isConstantDefault(defaultValue) ? "" : ", computed during the migration";
  const message = `${found.rows} NULLs in ${name} are replaced by its default ${defaultValue}${kind}.`;
  report.consents.push({ id: `backfill:${keyOf(name)}`, message, ...found });
  report.backfilled.add(keyOf(to.name));
}

function inspectType(
  connection: Connection,
  report: Mutable<RowReport>,
  { to }: TableDiff,
  rows: ProjectedRows,
  change: ColumnChange,
): void {
  if (change.from.generated !== undefined || change.to.generated !== undefined) return;
  const name = `${to.name}.${change.to.name}`;
  const { lossy, unfit } = inspectConversion(connection, rows, change.from, change.to, false);
  const types = `${change.from.type || "no type"} → ${change.to.type || "no type"}`;
  if (lossy.rows > 0) {
    const message = `${lossy.rows} values of ${name} change with its type ${types}.`;
    report.consents.push({ id: `lossy:${keyOf(name)}`, message, ...lossy });
  }
  if (unfit.rows > 0) {
    const rowids = unfit.sampleRowids.join(", ");
    report.notes.push(
      `${unfit.rows} values of ${name} do not fit ${change.to.type} and stay as they are (rowids ${rowids}).`,
    );
  }
}

/** A STRICT table refuses what an ordinary one merely tolerates. */
function inspectStrictness(
  connection: Connection,
  report: Mutable<RowReport>,
  table: TableDiff,
  rows: ProjectedRows,
): void {
  const { from, to } = table;
  if (!to.isStrict) return;
  for (const column of to.columns) {
    const old = findColumn(from, column.name);
    if (old === undefined || column.generated !== undefined || (from.isStrict && old.type === column.type)) continue;
    const name = `${to.name}.${column.name}`;
    const { lossy, unfit } = inspectConversion(connection, rows, old, column, true);
    if (unfit.rows > 0) {
      const message = `${unfit.rows} values of ${name} are not ${column.type}, which a STRICT table requires.`;
      report.problems.push({ object: name, message, hint: "Correct the values first.", ...unfit });
    }
    if (lossy.rows > 0) {
      const message = `${lossy.rows} values of ${name} change when they become ${column.type}.`;
      report.consents.push({ id: `lossy:${keyOf(name)}`, message, ...lossy });
    }
  }
}

/** Looks for rows that a PRIMARY KEY or UNIQUE would not tell apart: because it is new, or because its columns are converted. */
function inspectKeys(connection: Connection, report: Mutable<RowReport>, table: TableDiff, rows: ProjectedRows): void {
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
  const found = rows.find(`typeof(${columnTerm(to, alias)}) NOT IN ('integer', 'null')`);
  if (found.rows === 0) return;
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
  report: Mutable<RowReport>,
  { from, to }: TableDiff,
  rows: ProjectedRows,
  { columns, where, isKnown }: UniqueKey,
): void {
  const terms = columns.map(({ term, isExpression, collation }) => ({
    sql: isExpression ? term : columnTerm(to, term),
    collation,
  }));
  const words = new Set(
    [...terms.map(({ sql }) => sql), where ?? ""].flatMap((sql) => tokenize(sql)).map((token) => keyOf(nameOf(token))),
  );
  const used = to.columns.filter(({ name }) => words.has(keyOf(name)));
  const found = attempt(report, to.name, () => {
    const isMerging = used.some((column) => {
      const old = findColumn(from, column.name);
      return old !== undefined && mayMergeValues(connection, rows, old, column);
    });
    if (isMerging) return rows.findConvertedDuplicates(used, terms, where);
    return isKnown ? undefined : rows.findDuplicates(terms, where);
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

/** Rows without a parent, where the foreign key is new. */
function inspectNewForeignKeys(report: Mutable<RowReport>, { from, to }: TableDiff, rows: ProjectedRows): void {
  const identity = ({ columns, parent, parentColumns }: ForeignKey) => JSON.stringify([columns, parent, parentColumns]);
  const known = new Set(from.foreignKeys.map(identity));
  for (const key of to.foreignKeys.filter((one) => !known.has(identity(one)))) {
    const columns = key.columns.map((column) => `${PROJECTION}.${columnTerm(to, column)}`);
    const isSet = columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
    const matches = key.parentColumns.map(
      (column, index) => `p.${quoteIdentifier(column)} = ${columns[index] ?? "NULL"}`,
    );
    const parent = `SELECT 1 FROM ${inMain(key.parent)} AS p WHERE ${matches.join(" AND ")}`;
    const found = attempt(report, to.name, () => rows.find(`${isSet} AND NOT EXISTS (${parent})`));
    if (found === undefined || found.rows === 0) continue;
    const message = `${found.rows} rows of ${to.name} have no parent for the new foreign key ${describeForeignKey(to.name, key)}.`;
    report.problems.push({ object: to.name, message, hint: "Correct the rows first.", ...found });
  }
}

/** Unique indexes on tables with rows: new ones, and those over columns that are converted. */
function inspectIndexes(
  connection: Connection,
  report: Mutable<RowReport>,
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

/**
 * The rows that the CHECKs of a table refuse: also those that break one that has always been there, because a copy does not
 * pass them on.
 */
export function inspectChecks(
  connection: Connection,
  table: TableDiff,
  sourceName: SourceName,
): Pick<RowReport, "problems" | "notes"> {
  const report: Mutable<RowReport> = { consents: [], problems: [], notes: [], backfilled: new Set() };
  const added = table.changes.flatMap((change) => (change.kind === "add-check" ? [change.check] : []));
  const rows = new ProjectedRows(connection, table, (column) => sourceName(table.from.name, column));
  for (const check of table.to.checks.filter((one) => !added.includes(one)))
    inspectCheck(report, table, rows, check.expression);
  return report;
}

function inspectCheck(report: Mutable<RowReport>, { to }: TableDiff, rows: ProjectedRows, expression: string): void {
  const found = attempt(report, to.name, () => rows.find(`NOT (${expression})`));
  if (found === undefined || found.rows === 0) return;
  const message = `${found.rows} rows of ${to.name} violate CHECK (${expression}).`;
  report.problems.push({ object: to.name, message, hint: "Correct the rows first.", ...found });
}

/** What cannot be asked in advance is found during the copy, which then is rolled back. */
function attempt(report: Mutable<RowReport>, object: string, ask: () => Omit<RowFinding, "message"> | undefined) {
  try {
    return ask();
  } catch (error) {
    report.notes.push(`The rows of ${object} cannot be checked in advance: ${fromSqliteError(error).message}.`);
    return undefined;
  }
}
