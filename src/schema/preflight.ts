import type { Connection } from "../sqlite/connection.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { inspectConversion } from "./conversion.js";
import { isConstantDefault } from "./default-value.js";
import type { SchemaDiff, TableChange, TableDiff } from "./diff.js";
import { type Column, describeForeignKey, type ForeignKey, findColumn, keyOf, type SchemaModel } from "./model.js";
import { alterTable } from "./native-alter.js";
import type { SourceName } from "./renames.js";
import { attempt, type RowFindings, type RowReport } from "./row-report.js";
import { columnTerm, PROJECTION, ProjectedRows } from "./rows.js";
import { countRows } from "./space.js";
import { inspectIndexes, inspectKeys } from "./unique-keys.js";

type ColumnChange = Extract<TableChange, { kind: "change-column" }>;

/**
 * Counts the rows that the changes in `diff` would drop, change or reject, with sample rowids. Reads only (apart from a
 * temporary table) and takes no lock that a writer would notice.
 *
 * @param isOptimistic see `PlanOptions`.
 */
export function inspectRows(
  connection: Connection,
  diff: SchemaDiff,
  sourceName: SourceName,
  isOptimistic: boolean,
): RowReport {
  const report: RowFindings = { consents: [], problems: [], notes: [], backfilled: new Set() };
  for (const table of diff.changedTables) {
    const rows = new ProjectedRows(connection, table, (column) => sourceName(table.from.name, column));
    const isLeftToSqlite = isOptimistic && alterTable(table) !== undefined;
    for (const change of table.changes) {
      if (!(isLeftToSqlite && isCheckedBySqlite(change))) inspectChange(connection, report, table, rows, change);
    }
    inspectStrictness(connection, report, table, rows);
    inspectKeys(connection, report, table, rows);
    inspectNewForeignKeys(report, table, rows, diff.live);
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

/** True for a constraint for which ALTER TABLE reads every row itself before it adds it. */
function isCheckedBySqlite(change: TableChange): boolean {
  return change.kind === "add-check" || (change.kind === "change-column" && change.aspects.join() === "not null");
}

function inspectChange(
  connection: Connection,
  report: RowFindings,
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
  report: RowFindings,
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

function inspectAddedColumn(report: RowFindings, { to }: TableDiff, rows: ProjectedRows, column: Column): void {
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

function inspectNulls(report: RowFindings, { to }: TableDiff, rows: ProjectedRows, change: ColumnChange): void {
  if (change.from.notNull !== undefined || change.to.notNull === undefined || change.to.generated !== undefined) return;
  const name = `${to.name}.${change.to.name}`;
  const found = rows.findNulls(change.from.name);
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
  report: RowFindings,
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
function inspectStrictness(connection: Connection, report: RowFindings, table: TableDiff, rows: ProjectedRows): void {
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

/** Rows without a parent, where the foreign key is new. */
function inspectNewForeignKeys(
  report: RowFindings,
  { from, to }: TableDiff,
  rows: ProjectedRows,
  live: SchemaModel,
): void {
  const identity = ({ columns, parent, parentColumns }: ForeignKey) => JSON.stringify([columns, parent, parentColumns]);
  const known = new Set(from.foreignKeys.map(identity));
  for (const key of to.foreignKeys.filter((one) => !known.has(identity(one)))) {
    const columns = key.columns.map((column) => `${PROJECTION}.${columnTerm(to, column)}`);
    const isSet = columns.map((column) => `${column} IS NOT NULL`).join(" AND ");
    // The plus takes the child's affinity away: a foreign key compares by affinity and collation of the parent.
    const matches = key.parentColumns.map(
      (column, index) => `p.${quoteIdentifier(column)} = +${columns[index] ?? "NULL"}`,
    );
    const parent = live.tables.has(key.parent)
      ? `SELECT 1 FROM ${inMain(key.parent)} AS p WHERE ${matches.join(" AND ")}`
      : "SELECT 1 WHERE false";
    const found = attempt(report, to.name, () => rows.find(`${isSet} AND NOT EXISTS (${parent})`));
    if (found === undefined || found.rows === 0) continue;
    const message = `${found.rows} rows of ${to.name} have no parent for the new foreign key ${describeForeignKey(to.name, key)}.`;
    report.problems.push({ object: to.name, message, hint: "Correct the rows first.", ...found });
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
  const report: RowFindings = { consents: [], problems: [], notes: [], backfilled: new Set() };
  const added = table.changes.flatMap((change) => (change.kind === "add-check" ? [change.check] : []));
  const rows = new ProjectedRows(connection, table, (column) => sourceName(table.from.name, column));
  for (const check of table.to.checks.filter((one) => !added.includes(one)))
    inspectCheck(report, table, rows, check.expression);
  return report;
}

function inspectCheck(report: RowFindings, { to }: TableDiff, rows: ProjectedRows, expression: string): void {
  const found = attempt(report, to.name, () => rows.find(`NOT (${expression})`));
  if (found === undefined || found.rows === 0) return;
  const message = `${found.rows} rows of ${to.name} violate CHECK (${expression}).`;
  report.problems.push({ object: to.name, message, hint: "Correct the rows first.", ...found });
}
