import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { compareSchemas } from "./comparator.js";
import {
  type BrokenObject,
  findBrokenForeignKeys,
  findBrokenObjects,
  findForeignKeyViolations,
  tablesAtRisk,
  withChildren,
} from "./dependents.js";
import { isEmptyDiff } from "./diff.js";
import { inspectSchema, readSchemaRows } from "./introspection.js";
import { keyOf, type SchemaModel, temporaryName } from "./model.js";
import { buildOperations } from "./operations.js";
import type { MigrationPlan } from "./plan.js";
import { keepsRowids } from "./rebuild.js";
import { countRows } from "./space.js";
import { tokenize } from "./tokens.js";

/** What must still hold after the statements of a migration, remembered inside its transaction. */
export interface Remembered {
  readonly model: SchemaModel;
  /** Rows by folded name, of every rewritten table and of every table that references one. */
  readonly counts: ReadonlyMap<string, number>;
  readonly sequences: ReadonlyMap<string, bigint>;
  readonly brokenObjects: ReadonlyMap<string, BrokenObject>;
  readonly brokenForeignKeys: ReadonlyMap<string, string>;
}

/** Reads what `assertProven` compares with; to be called inside the transaction, before its first change. */
export function rememberState(connection: Connection, plan: MigrationPlan): Remembered {
  const model = inspectSchema(connection);
  return {
    model,
    counts: countAll(connection, withChildren(model, rebuiltTables(plan))),
    sequences: readSequences(connection),
    brokenObjects: findBrokenObjects(connection, model),
    brokenForeignKeys: findBrokenForeignKeys(model),
  };
}

/**
 * Proves, before COMMIT, that the database has the wanted schema and lost nothing on the way.
 *
 * @throws DriverError that says what is wrong; the caller rolls back.
 */
export function assertProven(connection: Connection, plan: MigrationPlan, before: Remembered): void {
  const after = inspectSchema(connection);
  assertWantedSchema(after, plan);
  assertNothingVanished(before.model, after, plan);
  assertNoTemporaryNames(connection, plan);
  assertCounts(before.counts, countAll(connection, before.counts.keys()));
  assertSequences(before, after, readSequences(connection));
  assertNoneNew(
    before.brokenObjects,
    findBrokenObjects(connection, after),
    (_, { label, message }) => `The ${label} does not work any more: ${message}`,
  );
  assertNoneNew(
    before.brokenForeignKeys,
    findBrokenForeignKeys(after),
    (label, why) => `The foreign key ${label} is broken: ${why}`,
  );
  assertNoNewViolations(connection, plan, after);
}

function assertWantedSchema(after: SchemaModel, plan: MigrationPlan): void {
  const rest = compareSchemas(after, plan.diff.wanted);
  if (isEmptyDiff(rest)) return;
  const [first] = buildOperations(rest);
  throw failure(
    `After the migration ${first?.object ?? "the schema"} would not be as wanted: ${first?.reason ?? "it differs"}`,
  );
}

function assertNothingVanished(before: SchemaModel, after: SchemaModel, plan: MigrationPlan): void {
  const dropped = new Set(
    plan.operations
      .filter(({ kind }) => kind.startsWith("drop-"))
      .map(({ kind, object }) => `${kind.slice(5)} ${keyOf(object)}`),
  );
  const created = new Set(
    plan.operations
      .filter(({ kind }) => kind.startsWith("create-"))
      .map(({ kind, object }) => `${kind.slice(7)} ${keyOf(object)}`),
  );
  // An object of a dropped table goes with it.
  const lostOwners = new Set(
    [...dropped].filter((label) => !created.has(label)).map((label) => label.replace(/^\S+ /, "")),
  );
  const kinds = [
    ["table", before.tables, after.tables],
    ["virtual-table", before.virtualTables, after.virtualTables],
    ["index", before.indexes, after.indexes],
    ["view", before.views, after.views],
    ["trigger", before.triggers, after.triggers],
  ] as const;
  for (const [kind, old, now] of kinds) {
    for (const [key, object] of old) {
      const label = `${kind} ${key}`;
      const isMeant = dropped.has(label) && !created.has(label);
      const hasLostOwner = "table" in object && lostOwners.has(keyOf(object.table));
      if (!now.has(key) && !isMeant && !hasLostOwner) throw failure(`The ${kind} ${object.name} would be lost`);
    }
  }
}

function assertNoTemporaryNames(connection: Connection, plan: MigrationPlan): void {
  const temporary = new Set([...rebuiltTables(plan)].map((table) => keyOf(temporaryName(table))));
  for (const { type, name, sql } of temporary.size === 0 ? [] : readSchemaRows(connection)) {
    const found = tokenize(sql ?? "").find((token) => token.kind !== "string" && temporary.has(keyOf(token.value)));
    if (found !== undefined) throw failure(`The ${type} ${name} would still mention ${found.value}`);
  }
}

function assertCounts(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): void {
  for (const [table, rows] of before) {
    const now = after.get(table);
    if (now !== rows) throw failure(`The table ${table} would have ${now ?? "no"} rows instead of ${rows}`);
  }
}

function assertSequences(before: Remembered, after: SchemaModel, now: ReadonlyMap<string, bigint>): void {
  for (const [table, sequence] of before.sequences) {
    if (!after.tables.get(table)?.primaryKey?.isAutoincrement) continue;
    if (!before.model.tables.get(table)?.primaryKey?.isAutoincrement) continue;
    if ((now.get(table) ?? 0n) < sequence)
      throw failure(`The table ${table} would give out ids up to ${sequence} again`);
  }
}

function assertNoneNew<T>(
  before: ReadonlyMap<string, T>,
  after: ReadonlyMap<string, T>,
  describe: (key: string, broken: T) => string,
): void {
  for (const [key, broken] of after) {
    if (!before.has(key)) throw failure(describe(key, broken));
  }
}

function assertNoNewViolations(connection: Connection, plan: MigrationPlan, after: SchemaModel): void {
  const moved = new Set(plan.diff.changedTables.filter((table) => !keepsRowids(table)).map(({ to }) => keyOf(to.name)));
  const atRisk = tablesAtRisk(after, plan.diff, rebuiltTables(plan));
  for (const [key, { child, rowids }] of findForeignKeyViolations(connection, after, atRisk)) {
    const known = new Set(plan.knownViolations.get(key)?.rowids);
    // Where rows get other rowids, only their number can be compared.
    const added = moved.has(child) ? rowids.slice(known.size) : rowids.filter((rowid) => !known.has(rowid));
    if (added.length === 0) continue;
    throw new DriverError(
      "CONSTRAINT_FOREIGN_KEY",
      `The migration would leave ${added.length} rows without their parent: ${key}, rowid ${added[0]} first.`,
      { hint: "Correct the rows or the wanted schema; nothing was changed." },
    );
  }
}

/** Folded names of the tables that `plan` copies. */
export function rebuiltTables(plan: MigrationPlan): Set<string> {
  return new Set(plan.operations.flatMap((one) => (one.kind === "rebuild-table" && one.table ? [one.table] : [])));
}

function countAll(connection: Connection, tables: Iterable<string>): Map<string, number> {
  return new Map([...tables].map((table) => [table, countRows(connection, table)]));
}

function readSequences(connection: Connection): Map<string, bigint> {
  const exists = connection.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'").get();
  if (exists === undefined) return new Map();
  const rows = connection
    .prepare<[], { name: string; seq: unknown }>("SELECT name, seq FROM main.sqlite_sequence")
    .safeIntegers()
    .all();
  return new Map(rows.flatMap(({ name, seq }) => (typeof seq === "bigint" ? [[keyOf(name), seq] as const] : [])));
}

function failure(message: string): DriverError {
  return new DriverError("INTERNAL", `${message}.`, { hint: "The migration was rolled back; nothing was changed." });
}
