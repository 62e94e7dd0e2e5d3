import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { chooseOperations, keptObjects } from "./choice.js";
import { compareSchemas } from "./comparator.js";
import { findForeignKeyViolations, fingerprintSchema, readDataVersion, tablesAtRisk } from "./dependents.js";
import { findLostColumns } from "./full-text.js";
import { inspectSchema } from "./introspection.js";
import { keyOf, type SchemaModel, temporaryName } from "./model.js";
import { type ColumnRename, type Consent, type MigrationPlan, type Problem, schemaProblem } from "./plan.js";
import { inspectChecks, inspectRows } from "./preflight.js";
import { isRenameNeeded, renameColumn, renamed, sourceNames } from "./renames.js";
import { inspectSpace, measureTable, neededSpace } from "./space.js";
import { readWantedSchema } from "./wanted-schema.js";

export interface PlanOptions {
  readonly renames?: readonly ColumnRename[];
  /** Ids of consents, in any case. */
  readonly allow?: readonly string[];
  /**
   * Leaves it to SQLite to look for rows that a new NOT NULL or CHECK refuses, where it reads all of them anyway because no copy
   * is needed. It takes half the time; but a refusal comes late, under the write lock, as an error `CONSTRAINT_…` of
   * `applyMigration`, and which rows it is about only another plan tells. Default: false, they are counted here.
   */
  readonly isOptimistic?: boolean;
}

/**
 * Decides how to bring the database to the schema `wantedSql`: compares, chooses the cheapest operations that a rehearsal on
 * an empty copy of the schema proves to work, and counts the rows that would be lost, changed or refused. Changes nothing and
 * takes no write lock.
 *
 * @throws DriverError `SQL_ERROR` for a mistake in `wantedSql`, `TEMP_TABLE_STATE` when an earlier migration was
 *   interrupted, `INVALID_REQUEST` for a rename that fits neither schema.
 */
export function planMigration(connection: Connection, wantedSql: string, options: PlanOptions = {}): MigrationPlan {
  const allow = new Set((options.allow ?? []).map(keyOf));
  const wanted = readWantedSchema(wantedSql);
  const baseFingerprint = fingerprintSchema(connection);
  const dataVersion = readDataVersion(connection);
  const original = inspectSchema(connection);
  assertNoInterruptedMigration(original, wanted);
  const renames = (options.renames ?? []).filter((rename) => isRenameNeeded(rename, original, wanted));
  const renameOperations = renames.map(renameColumn);
  const live = renamed(original, renameOperations);
  const diff = compareSchemas(live, wanted);
  const sourceName = sourceNames(renames);

  const { isOptimistic = false } = options;
  const rows = inspectRows(connection, diff, sourceName, isOptimistic);
  const chosen = chooseOperations(live, diff, allow, rows.backfilled);
  const operations = [...renameOperations, ...chosen.operations];
  const rebuilt = new Set(operations.flatMap((one) => (one.kind === "rebuild-table" && one.table ? [one.table] : [])));
  const rebuiltTables = diff.changedTables.filter(({ to }) => rebuilt.has(keyOf(to.name)));
  const checks = rebuiltTables.map((table) => inspectChecks(connection, table, sourceName));
  const sizes = rebuiltTables.map(({ from }) => measureTable(connection, from.name));
  const knownViolations = findForeignKeyViolations(connection, live, tablesAtRisk(live, diff, rebuilt));
  return {
    baseFingerprint,
    dataVersion,
    isOptimistic,
    renames,
    diff,
    operations,
    consents: [...rows.consents, ...chosen.consents].map(
      (consent): Consent => ({ ...consent, isAllowed: allow.has(consent.id) }),
    ),
    problems: [
      ...rows.problems,
      ...checks.flatMap(({ problems }) => problems),
      ...chosen.problems,
      ...findLostColumns(diff, original).map(({ link, column }) =>
        schemaProblem(
          link.table,
          `The full-text table ${link.table} reads the column ${column} of ${link.content}, which would be gone.`,
          "Drop it first, or write in the wanted schema how it reads its content from now on.",
        ),
      ),
      ...temporaryTriggers(connection, rebuilt),
      ...(operations.length === 0 ? [] : inspectSpace(connection, sizes)),
    ],
    kept: keptObjects(diff, new Set([...allow, ...chosen.consents.map(({ id }) => id)])),
    notes: [
      ...rows.notes,
      ...checks.flatMap(({ notes }) => notes),
      ...chosen.notes,
      ...[...knownViolations].map(
        ([key, { rowids }]) => `${rowids.length} rows violate ${key} already (rowid ${rowids[0]} first).`,
      ),
      ...journalNotes(connection, sizes.length > 0),
    ],
    sizes,
    neededBytes: neededSpace(sizes),
    knownViolations,
  };
}

/**
 * A `temp_<table>` beside a managed table, or a reference to one, is the work of an interrupted migration: whether its rows
 * are the true ones cannot be guessed here.
 */
function assertNoInterruptedMigration(live: SchemaModel, wanted: SchemaModel): void {
  for (const { name } of wanted.tables.values()) {
    const temporary = temporaryName(name);
    const key = keyOf(temporary);
    const objects = [live.tables, live.views, live.indexes, live.virtualTables, live.triggers];
    const isWanted = [wanted.tables, wanted.views, wanted.indexes].some((map) => map.has(key));
    const exists = !isWanted && objects.some((map) => map.has(key));
    const isReferenced =
      !isWanted && [...live.tables.values()].some((table) => table.foreignKeys.some(({ parent }) => parent === key));
    if (exists || isReferenced) {
      throw new DriverError(
        "TEMP_TABLE_STATE",
        `${temporary} ${exists ? "exists" : "is referenced by a foreign key"}, which an interrupted migration of ${name} leaves behind.`,
        { hint: "Run `config_cli doctor --fix`, or rename the object if it is yours." },
      );
    }
  }
}

/** TEMP triggers of this connection belong to no schema that could be restored, and would fire while rows are copied. */
function temporaryTriggers(connection: Connection, rebuilt: ReadonlySet<string>): Problem[] {
  return connection
    .prepare<[], { name: string; tbl_name: string }>(
      "SELECT name, tbl_name FROM temp.sqlite_schema WHERE type = 'trigger'",
    )
    .all()
    .filter((trigger) => rebuilt.has(keyOf(trigger.tbl_name)))
    .map(({ name, tbl_name }) =>
      schemaProblem(
        name,
        `The TEMP trigger ${name} on ${tbl_name} would be lost.`,
        "Drop it, or migrate on another connection.",
      ),
    );
}

function journalNotes(connection: Connection, isRewriting: boolean): string[] {
  const mode = connection.pragma("journal_mode", { simple: true });
  if (!isRewriting || mode === "wal" || mode === "memory") return [];
  return [
    `The journal mode is ${String(mode)}: other processes cannot read while the migration writes. Stop them, or use WAL.`,
  ];
}
