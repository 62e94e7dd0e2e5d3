import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { compareSchemas } from "./comparator.js";
import {
  findBrokenForeignKeys,
  findBrokenObjects,
  findForeignKeyViolations,
  fingerprintSchema,
  withChildren,
} from "./dependents.js";
import { isEmptyDiff, type SchemaDiff } from "./diff.js";
import { findContentlessTables } from "./full-text.js";
import { inspectSchema } from "./introspection.js";
import { findColumn, keyOf, type SchemaModel, temporaryName } from "./model.js";
import { buildOperations } from "./operations.js";
import {
  type ColumnRename,
  type Consent,
  type KeptObject,
  METHODS,
  type Method,
  type MigrationPlan,
  type Operation,
  type Problem,
} from "./plan.js";
import { inspectChecks, inspectRows, inspectSpace, measureTable, neededSpace, type SourceName } from "./preflight.js";
import { keepsRowids } from "./rebuild.js";
import { cloneSchema, type RehearsalFailure, rehearse, type SchemaClone, type Unclonable } from "./rehearsal.js";
import { tokenize } from "./tokens.js";
import { readWantedSchema } from "./wanted-schema.js";

export interface PlanOptions {
  readonly renames?: readonly ColumnRename[];
  /** Ids of consents, in any case. */
  readonly allow?: readonly string[];
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
  const original = inspectSchema(connection);
  assertNoInterruptedMigration(original, wanted);
  const renames = (options.renames ?? []).filter((rename) => isRenameNeeded(rename, original, wanted));
  const renameOperations = renames.map(renameColumn);
  const live = renamed(original, renameOperations);
  const diff = compareSchemas(live, wanted);
  const sourceName: SourceName = (table, column) =>
    renames.find((rename) => keyOf(rename.table) === keyOf(table) && keyOf(rename.to) === keyOf(column))?.from ??
    column;

  const rows = inspectRows(connection, diff, sourceName);
  const chosen = chooseOperations(live, diff, allow, rows.backfilled);
  const operations = [...renameOperations, ...chosen.operations];
  const rebuilt = new Set(operations.flatMap((one) => (one.kind === "rebuild-table" && one.table ? [one.table] : [])));
  const rebuiltTables = diff.changedTables.filter(({ to }) => rebuilt.has(keyOf(to.name)));
  const checks = rebuiltTables.map((table) => inspectChecks(connection, table, sourceName));
  const sizes = rebuiltTables.map(({ from }) => measureTable(connection, from.name));
  const touched = withChildren(live, new Set(diff.changedTables.map(({ to }) => keyOf(to.name))));
  const knownViolations = findForeignKeyViolations(connection, live, touched);
  return {
    baseFingerprint,
    diff,
    operations,
    consents: [...rows.consents, ...chosen.consents].map(
      (consent): Consent => ({ ...consent, isAllowed: allow.has(consent.id) }),
    ),
    problems: [
      ...rows.problems,
      ...checks.flatMap(({ problems }) => problems),
      ...chosen.problems,
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

function isRenameNeeded({ table, from, to }: ColumnRename, live: SchemaModel, wanted: SchemaModel): boolean {
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

function renameColumn({ table, from, to }: ColumnRename): Operation {
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
function renamed(model: SchemaModel, renames: readonly Operation[]): SchemaModel {
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

function withClone<T>(model: SchemaModel, use: (clone: SchemaClone) => T): T {
  const clone = cloneSchema(model);
  try {
    return use(clone);
  } finally {
    clone.connection.close();
  }
}

interface Choice {
  readonly operations: readonly Operation[];
  readonly consents: readonly Omit<Consent, "isAllowed">[];
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
}

/** What a rehearsal that ran to its end says. */
interface Outcome {
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
  /** Objects that do not compile any more, by label, with SQLite's message. */
  readonly broken: ReadonlyMap<string, string>;
}

/**
 * Rehearses the cheapest operations. Where one fails, its table goes on to the next method; an extra object that is in the way
 * goes, by consent; until all work or no way is left.
 */
function chooseOperations(
  live: SchemaModel,
  diff: SchemaDiff,
  allow: ReadonlySet<string>,
  backfilled: ReadonlySet<string>,
): Choice {
  const methods = new Map<string, Method>([...backfilled].map((table) => [table, "rename-first"]));
  const firstFailures = new Map<string, RehearsalFailure>();
  const consents = new Map<string, Omit<Consent, "isAllowed">>();
  const requireRemoval = (extra: KeptObject, why: string) => {
    const message = `The ${extra.kind} ${extra.name} is not in the wanted schema and cannot stay: ${why}.`;
    consents.set(extra.id, { id: extra.id, message, rows: 0, sampleRowids: [] });
  };
  for (;;) {
    const removable = new Set([...allow, ...consents.keys()]);
    const operations = buildOperations(diff, { methods, allow: removable });
    const kept = keptObjects(diff, removable);
    const choice = { operations, consents: [...consents.values()], notes: [] };
    const outcome = withClone(live, (clone) => tryOut(clone, live, diff, operations));
    if (!("operation" in outcome)) {
      const inTheWay = kept.filter(({ kind, name }) => outcome.broken.has(`${kind} ${name}`));
      if (inTheWay.length === 0) return { ...choice, ...outcome };
      for (const extra of inTheWay) requireRemoval(extra, outcome.broken.get(`${extra.kind} ${extra.name}`) ?? "");
      continue;
    }
    const { operation, message } = outcome;
    const inTheWay = kept.find(({ kind, name }) => operation.kind === `create-${kind}` && operation.object === name);
    if (inTheWay !== undefined) {
      requireRemoval(inTheWay, message);
      continue;
    }
    const { table } = operation;
    const next = table === undefined ? undefined : METHODS[METHODS.indexOf(methods.get(table) ?? "native") + 1];
    if (table === undefined || next === undefined) {
      // What the last resort stumbled over says less than what stopped the ordinary rebuild.
      const failure = firstFailures.get(table ?? "") ?? outcome;
      return { ...choice, problems: [rehearsalProblem(failure)] };
    }
    if (methods.has(table) && !firstFailures.has(table)) firstFailures.set(table, outcome);
    methods.set(table, next);
  }
}

function tryOut(
  { connection, unclonable }: SchemaClone,
  live: SchemaModel,
  diff: SchemaDiff,
  operations: readonly Operation[],
): RehearsalFailure | Outcome {
  const brokenBefore = findBrokenObjects(connection, live);
  const columnsBefore = viewColumns(connection, live);
  const failure = rehearse(connection, operations);
  if (failure !== undefined) {
    const culprit = unclonable.find(({ name }) => keyOf(name) === keyOf(failure.operation.object));
    return culprit === undefined ? failure : { problems: [missingProblem(culprit)], notes: [], broken: new Map() };
  }
  const after = inspectSchema(connection);
  const rest = compareSchemas(after, diff.wanted);
  if (!isEmptyDiff(rest)) {
    throw new DriverError("INTERNAL", "The planned operations do not lead to the wanted schema.", {
      cause: buildOperations(rest).map(({ object, reason }) => `${object}: ${reason}`),
    });
  }
  const broken = [...findBrokenObjects(connection, after)].filter(([label]) => !brokenBefore.has(label));
  const keysBefore = findBrokenForeignKeys(live);
  const brokenKeys = [...findBrokenForeignKeys(after)].filter(([label]) => !keysBefore.has(label));
  return {
    broken: new Map(broken),
    problems: [
      ...broken.map(([label, why]) => problem(label, `The ${label} would not work any more: ${why}.`)),
      ...brokenKeys.map(([label, why]) => problem(label, `The foreign key ${label} would not work any more: ${why}.`)),
      ...contentlessProblems(diff, operations),
    ],
    notes: [...viewColumns(connection, after)].flatMap(([name, columns]) => {
      const old = columnsBefore.get(name);
      return old === undefined || old === columns
        ? []
        : [`The result of view ${name} changes from (${old}) to (${columns}).`];
    }),
  };
}

function problem(object: string, message: string, hint?: string): Problem {
  return { object, message, rows: 0, sampleRowids: [], ...(hint !== undefined && { hint }) };
}

function viewColumns(connection: Connection, model: SchemaModel): Map<string, string> {
  const columns = new Map<string, string>();
  for (const { name } of model.views.values()) {
    try {
      const statement = connection.prepare(`SELECT * FROM ${inMain(name)}`);
      columns.set(
        name,
        statement
          .columns()
          .map((column) => column.name)
          .join(", "),
      );
    } catch {
      // A broken view has no columns; `findBrokenObjects` tells about it.
    }
  }
  return columns;
}

function rehearsalProblem({ operation, message }: RehearsalFailure): Problem {
  const isLiteral = message.includes("string literal");
  const hint = isLiteral ? "Write the string in the live schema in single quotes." : undefined;
  return problem(operation.object, `${operation.kind} ${operation.object} does not work: ${message}.`, hint);
}

function missingProblem({ kind, name, message }: Unclonable): Problem {
  const hint = message.includes("string literal")
    ? "Its text holds a string in double quotes, which SQLite accepted when it was written."
    : "Drop it first, or migrate with a program that has what it needs.";
  return problem(name, `The ${kind} ${name} cannot be made again by this program: ${message}.`, hint);
}

/** A contentless full-text table that triggers of a table fill is tied to its rowids and can never be rebuilt. */
function contentlessProblems(diff: SchemaDiff, operations: readonly Operation[]): Problem[] {
  const contentless = findContentlessTables(diff.live);
  const moved = diff.changedTables.filter(
    (table) =>
      !keepsRowids(table) &&
      operations.some((one) => one.kind === "rebuild-table" && one.table === keyOf(table.to.name)),
  );
  return moved.flatMap(({ to }) =>
    contentless
      .filter((index) =>
        [...diff.live.triggers.values()].some(
          (trigger) =>
            keyOf(trigger.table) === keyOf(to.name) &&
            tokenize(trigger.body).some((token) => keyOf(token.value) === keyOf(index.name)),
        ),
      )
      .map((index) =>
        problem(
          index.name,
          `The rowids of ${to.name} change and the contentless full-text table ${index.name} cannot follow.`,
          "Keep the primary key, or drop the full-text table and fill it again.",
        ),
      ),
  );
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
      problem(
        name,
        `The TEMP trigger ${name} on ${tbl_name} would be lost.`,
        "Drop it, or migrate on another connection.",
      ),
    );
}

function keptObjects(diff: SchemaDiff, allow: ReadonlySet<string>): KeptObject[] {
  const kinds = [
    ["index", diff.indexes.extra],
    ["view", diff.views.extra],
    ["trigger", diff.triggers.extra],
  ] as const;
  return kinds
    .flatMap(([kind, extra]) => extra.map(({ name }) => ({ kind, name, id: `drop-${kind}:${keyOf(name)}` })))
    .filter(({ id }) => !allow.has(id));
}

function journalNotes(connection: Connection, isRewriting: boolean): string[] {
  const mode = connection.pragma("journal_mode", { simple: true });
  if (!isRewriting || mode === "wal" || mode === "memory") return [];
  return [
    `The journal mode is ${String(mode)}: other processes cannot read while the migration writes. Stop them, or use WAL.`,
  ];
}
