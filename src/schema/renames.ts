import { DriverError } from "../errors.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { inspectSchema } from "./introspection.js";
import { findColumn, keyOf, type SchemaModel } from "./model.js";
import type { ColumnRename, Operation } from "./plan.js";
import { rehearse, withClone } from "./rehearsal.js";

/**
 * False when the hint was followed in an earlier run.
 *
 * @throws DriverError `INVALID_REQUEST` when the hint fits neither schema.
 */
export function isRenameNeeded({ table, from, to }: ColumnRename, live: SchemaModel, wanted: SchemaModel): boolean {
  const liveTable = live.tables.get(keyOf(table));
  const wantedTable = wanted.tables.get(keyOf(table));
  const refuse = (why: string) =>
    new DriverError("INVALID_REQUEST", `The column ${table}.${from} cannot be renamed to ${to}: ${why}.`);
  if (liveTable === undefined || wantedTable === undefined) throw refuse(`there is no managed table ${table}`);
  const source = findColumn(liveTable, from);
  const target = findColumn(liveTable, to);
  if (findColumn(wantedTable, to) === undefined) throw refuse(`the wanted schema has no column ${to}`);
  // Only the case differs, or the hint was followed in an earlier run.
  if (keyOf(from) === keyOf(to)) return source !== undefined && source.name !== to;
  if (source === undefined && target !== undefined) return false;
  if (source === undefined) throw refuse(`the table has no column ${from}`);
  if (target !== undefined) throw refuse(`the table already has a column ${to}`);
  if (findColumn(wantedTable, from) !== undefined) throw refuse(`the wanted schema still has a column ${from}`);
  return true;
}

/** The operation that follows a hint. */
export function renameColumn({ table, from, to }: ColumnRename): Operation {
  return {
    kind: "rename-column",
    object: `${table}.${from}`,
    table: keyOf(table),
    reason: `a hint says that ${from} becomes ${to}`,
    cost: "constant",
    steps: [{ sql: `ALTER TABLE ${inMain(table)} RENAME COLUMN ${quoteIdentifier(from)} TO ${quoteIdentifier(to)}` }],
  };
}

/** The model after the renames, which SQLite carries into every view, trigger and foreign key by itself. */
export function renamed(model: SchemaModel, renames: readonly Operation[]): SchemaModel {
  if (renames.length === 0) return model;
  return withClone(model, ({ connection }) => {
    const failure = rehearse(connection, renames);
    if (failure !== undefined) {
      throw new DriverError(
        "SQL_ERROR",
        `The column ${failure.operation.object} cannot be renamed: ${failure.message}.`,
      );
    }
    return inspectSchema(connection);
  });
}

/** Looks up the live name of a wanted column, which a rename hint may change. */
export type SourceName = (table: string, column: string) => string;

/** The live names under `renames`. */
export function sourceNames(renames: readonly ColumnRename[]): SourceName {
  return (table, column) =>
    renames.find((rename) => keyOf(rename.table) === keyOf(table) && keyOf(rename.to) === keyOf(column))?.from ??
    column;
}
