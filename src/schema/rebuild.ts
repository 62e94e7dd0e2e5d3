import { inMain, quoteIdentifier, quoteText } from "../sqlite/identifiers.js";
import { createStatement, withoutQualifier } from "./create-statement.js";
import type { TableDiff } from "./diff.js";
import { type Column, findColumn, keyOf, type Table, temporaryName } from "./model.js";
import type { RebuildMethod, Step } from "./plan.js";

/** The statements that replace `diff.from` by `diff.to` and keep its rows. Its indexes and triggers are not their business. */
export function rebuildTable(diff: TableDiff, method: RebuildMethod): Step[] {
  const { from, to } = diff;
  const temporary = temporaryName(to.name);
  if (method === "new-first") {
    return [
      { sql: createStatement(withoutQualifier(to.sql, to.name), temporary) },
      copyStep(diff, from.name, temporary),
      ...sequenceSteps(from, to, from.name, temporary),
      { sql: `DROP TABLE ${inMain(from.name)}` },
      ...renameSteps(temporary, to.name),
    ];
  }
  const checks = method === "drop-checks-first" ? from.checks : [];
  return [
    ...checks.flatMap(({ name }) =>
      name === undefined ? [] : [{ sql: `ALTER TABLE ${inMain(from.name)} DROP CONSTRAINT ${quoteIdentifier(name)}` }],
    ),
    ...renameSteps(from.name, temporary),
    { sql: createStatement(to.sql, to.name) },
    copyStep(diff, temporary, to.name),
    ...sequenceSteps(from, to, temporary, to.name),
    { sql: `DROP TABLE ${inMain(temporary)}` },
  ];
}

/** Without legacy_alter_table a rename would rewrite every foreign key, view and trigger that mentions the table. */
function renameSteps(from: string, to: string): Step[] {
  return [
    { sql: "PRAGMA legacy_alter_table=ON" },
    { sql: `ALTER TABLE ${inMain(from)} RENAME TO ${quoteIdentifier(to)}` },
    { sql: "PRAGMA legacy_alter_table=OFF" },
  ];
}

/** Ids once given are not given again, even when the rows that had them are gone (https://sqlite.org/autoinc.html). */
function sequenceSteps(from: Table, to: Table, source: string, target: string): Step[] {
  if (!from.primaryKey?.isAutoincrement || !to.primaryKey?.isAutoincrement) return [];
  const sequence = "main.sqlite_sequence";
  const old = `(SELECT seq FROM ${sequence} WHERE name = ${quoteText(source)})`;
  return [
    { sql: `DELETE FROM ${sequence} WHERE name = ${quoteText(target)} AND ${old} IS NOT NULL` },
    {
      sql: `INSERT INTO ${sequence} (name, seq) SELECT ${quoteText(target)}, seq FROM ${sequence} WHERE name = ${quoteText(source)}`,
    },
  ];
}

/** A column of the new table and the expression over the old one that fills it. */
interface CopiedColumn {
  readonly target: Column;
  readonly source: Column;
  readonly expression: string;
}

/** The columns that a rebuild copies: those that both tables have and that the new one does not compute. */
function copiedColumns({ from, to }: TableDiff): CopiedColumn[] {
  return to.columns.flatMap((target) => {
    const source = findColumn(from, target.name);
    if (source === undefined || target.generated !== undefined) return [];
    const name = quoteIdentifier(source.name);
    const expression = isBackfilled(source, target) ? `ifnull(${name}, (${target.defaultValue}))` : name;
    return [{ target, source, expression }];
  });
}

/** True when a rebuild replaces the NULLs of `source` by the default of `target`. */
export function isBackfilled(source: Column, target: Column): boolean {
  return source.notNull === undefined && target.notNull !== undefined && target.defaultValue !== undefined;
}

function copyStep(diff: TableDiff, source: string, target: string): Step {
  const rowid = rowidName(diff.from);
  if (isBulkCopy(diff)) {
    const sql = `INSERT OR ABORT INTO ${inMain(target)} SELECT * FROM ${inMain(source)}`;
    return { sql, copy: { source, target, rowid: undefined } };
  }
  const columns = copiedColumns(diff);
  const keepsRowid = rowid !== undefined && keepsRowids(diff) && !diff.to.primaryKey?.isRowidAlias;
  const targetRowid = keepsRowid ? rowidName(diff.to) : undefined;
  const extra = keepsRowid && targetRowid !== undefined ? { target: targetRowid, source: rowid } : undefined;
  const into = [...(extra ? [extra.target] : []), ...columns.map((column) => quoteIdentifier(column.target.name))];
  const values = [...(extra ? [extra.source] : []), ...columns.map((column) => column.expression)];
  const sql =
    columns.length === 0 && extra === undefined
      ? // Nothing to copy but the rows themselves.
        `INSERT OR ABORT INTO ${inMain(target)} (${rowidName(diff.to) ?? "rowid"}) SELECT ${rowid ?? "NULL"} FROM ${inMain(source)}`
      : `INSERT OR ABORT INTO ${inMain(target)} (${into.join(", ")}) SELECT ${values.join(", ")} FROM ${inMain(source)}`;
  return { sql, copy: { source, target, rowid } };
}

/** True when every row has the same rowid after the rebuild as before. */
export function keepsRowids({ from, to }: TableDiff): boolean {
  if (from.isWithoutRowid || to.isWithoutRowid) return from.isWithoutRowid === to.isWithoutRowid;
  if (!to.primaryKey?.isRowidAlias) return rowidName(from) !== undefined && rowidName(to) !== undefined;
  return from.primaryKey?.isRowidAlias === true && from.primaryKey.columns[0]?.term === to.primaryKey.columns[0]?.term;
}

/** Names of the rowid, each unless a column has it (https://sqlite.org/rowidtable.html). */
export const ROWID_NAMES: readonly string[] = ["rowid", "_rowid_", "oid"];

/** A name of the rowid that no column of the table hides; undefined when there is none (https://sqlite.org/rowidtable.html). */
export function rowidName(table: Table): string | undefined {
  if (table.isWithoutRowid) return undefined;
  return ROWID_NAMES.find((name) => findColumn(table, name) === undefined);
}

/**
 * True when `INSERT … SELECT *` can move whole records (SQLite's transfer optimisation): equal columns in equal order, so
 * that only foreign keys or CHECKs differ. It numbers rows anew unless the rowid is a column.
 */
function isBulkCopy({ from, to }: TableDiff): boolean {
  const shape = (table: Table) =>
    JSON.stringify([
      table.columns.map(({ name, affinity, notNull, defaultValue, collation, generated }) => [
        keyOf(name),
        affinity,
        notNull,
        defaultValue,
        collation,
        generated,
      ]),
      table.primaryKey,
      table.uniques,
      table.isStrict,
      table.isWithoutRowid,
    ]);
  const hasRowNumbers = !to.isWithoutRowid && !to.primaryKey?.isRowidAlias;
  const hasGenerated = to.columns.some((column) => column.generated !== undefined);
  return !hasRowNumbers && !hasGenerated && shape(from) === shape(to);
}
