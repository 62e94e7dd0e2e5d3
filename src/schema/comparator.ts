import type { Connection } from "../sqlite/connection.js";
import type { ColumnAspect, KindConflict, ObjectDiff, SchemaDiff, TableChange, TableDiff } from "./diff.js";
import { inspectSchema } from "./introspection.js";
import {
  type CheckConstraint,
  type Column,
  findColumn,
  type Index,
  keyOf,
  type SchemaModel,
  type Table,
} from "./model.js";
import { buildOperations, scriptOf } from "./operations.js";
import { tokenize } from "./tokens.js";
import { readWantedSchema } from "./wanted-schema.js";

/** Compares the live schema of one database with a wanted one. */
export class SchemaComparator {
  readonly #connection: Connection;
  readonly #wanted: SchemaModel;

  /**
   * @param wantedSql CREATE statements.
   * @throws DriverError `SQL_ERROR` with line and column when `wantedSql` is wrong.
   */
  constructor(connection: Connection, wantedSql: string) {
    this.#connection = connection;
    this.#wanted = readWantedSchema(wantedSql);
  }

  /** What separates the database from the wanted schema, read now. */
  compareSchemas(): SchemaDiff {
    return compareSchemas(inspectSchema(this.#connection), this.#wanted);
  }

  /** The statements that lead from one side of `diff` to the other, in order; a script that can be run as it is. */
  generateMigrationSql(diff: SchemaDiff): string[] {
    return scriptOf(buildOperations(diff));
  }
}

/**
 * Compares two models. Pure. Tables that `wanted` does not name are not part of the diff, nor is the order of columns (SQL
 * addresses them by name), nor the spelling of a type when its affinity is the same.
 */
export function compareSchemas(live: SchemaModel, wanted: SchemaModel): SchemaDiff {
  const isManaged = (name: string) => wanted.tables.has(keyOf(name)) || wanted.views.has(keyOf(name));
  const overManaged = viewsOver(live, isManaged);
  return {
    live,
    wanted,
    createdTables: [...wanted.tables].filter(([key]) => !live.tables.has(key)).map(([, table]) => table),
    changedTables: [...wanted.tables].flatMap(([key, to]) => compareTable(live.tables.get(key), to)),
    indexes: compareObjects(live.indexes, wanted.indexes, indexIdentity, (index) => isManaged(index.table)),
    views: compareObjects(live.views, wanted.views, bodyIdentity, (view) => overManaged.has(keyOf(view.name))),
    triggers: compareObjects(live.triggers, wanted.triggers, triggerIdentity, (trigger) => isManaged(trigger.table)),
    virtualTables: compareObjects(live.virtualTables, wanted.virtualTables, bodyIdentity, () => false),
    kindConflicts: findKindConflicts(live, wanted),
  };
}

function compareObjects<T>(
  live: ReadonlyMap<string, T>,
  wanted: ReadonlyMap<string, T>,
  identity: (object: T) => string,
  isExtra: (object: T) => boolean,
): ObjectDiff<T> {
  return {
    created: [...wanted].filter(([key]) => !live.has(key)).map(([, object]) => object),
    changed: [...wanted].flatMap(([key, to]) => {
      const from = live.get(key);
      return from === undefined || identity(from) === identity(to) ? [] : [{ from, to }];
    }),
    extra: [...live].filter(([key, object]) => !wanted.has(key) && isExtra(object)).map(([, object]) => object),
  };
}

const bodyIdentity = ({ body }: { body: string }) => body;
const triggerIdentity = ({ table, body }: { table: string; body: string }) => `${keyOf(table)} ${body}`;

function indexIdentity({ table, isUnique, columns, where }: Index) {
  return JSON.stringify([keyOf(table), isUnique, columns, where]);
}

/** The folded names of the live views that mention a managed table, or another such view. */
function viewsOver(live: SchemaModel, isManaged: (name: string) => boolean): Set<string> {
  const found = new Set<string>();
  const isRelevant = (body: string) =>
    tokenize(body).some(
      ({ kind, value }) => (kind === "word" || kind === "quoted") && (isManaged(value) || found.has(keyOf(value))),
    );
  for (let size = -1; size < found.size; ) {
    size = found.size;
    for (const [key, view] of live.views) {
      if (!found.has(key) && isRelevant(view.body)) found.add(key);
    }
  }
  return found;
}

function findKindConflicts(live: SchemaModel, wanted: SchemaModel): KindConflict[] {
  const kinds = [
    ["table", live.tables, wanted.tables],
    ["view", live.views, wanted.views],
    ["virtual-table", live.virtualTables, wanted.virtualTables],
  ] as const;
  return kinds.flatMap(([kind, liveObjects, wantedObjects]) =>
    [...liveObjects]
      .filter(([key]) => !wantedObjects.has(key) && kinds.some(([, , others]) => others.has(key)))
      .map(([, { name }]) => ({ name, live: kind })),
  );
}

function compareTable(from: Table | undefined, to: Table): TableDiff[] {
  if (from === undefined) return [];
  const changes: TableChange[] = [];
  for (const column of from.columns) {
    const wanted = findColumn(to, column.name);
    if (wanted === undefined) {
      changes.push({ kind: "drop-column", column });
      continue;
    }
    const aspects = compareColumn(column, wanted, to.isStrict && from.isStrict);
    if (aspects.length > 0) changes.push({ kind: "change-column", from: column, to: wanted, aspects });
  }
  for (const column of to.columns) {
    if (findColumn(from, column.name) === undefined) changes.push({ kind: "add-column", column });
  }
  changes.push(...compareChecks(from.checks, to.checks));
  for (const { kind, of } of TABLE_ASPECTS) {
    if (of(from) !== of(to)) changes.push({ kind });
  }
  return changes.length === 0 ? [] : [{ from, to, changes }];
}

function compareColumn(from: Column, to: Column, isStrict: boolean): ColumnAspect[] {
  return COLUMN_ASPECTS.filter(({ of }) => of(from, isStrict) !== of(to, isStrict)).map(({ aspect }) => aspect);
}

const COLUMN_ASPECTS: readonly {
  aspect: ColumnAspect;
  of: (column: Column, isStrict: boolean) => string | undefined;
}[] = [
  // A STRICT table checks the type itself, where BLOB and ANY differ although they share an affinity.
  { aspect: "type", of: (column, isStrict) => (isStrict ? column.type.replace(/^INTEGER$/, "INT") : column.affinity) },
  { aspect: "not null", of: (column) => column.notNull },
  { aspect: "default", of: (column) => column.defaultValue },
  { aspect: "collation", of: (column) => column.collation },
  { aspect: "generated", of: (column) => JSON.stringify(column.generated) },
];

const TABLE_ASPECTS: readonly {
  kind: "primary-key" | "unique" | "foreign-keys" | "strict" | "without-rowid";
  of: (table: Table) => string | boolean;
}[] = [
  { kind: "primary-key", of: (table) => JSON.stringify(table.primaryKey) ?? "" },
  { kind: "unique", of: (table) => asSet(table.uniques) },
  { kind: "foreign-keys", of: (table) => asSet(table.foreignKeys.map((key) => ({ ...key, inColumn: undefined }))) },
  { kind: "strict", of: (table) => table.isStrict },
  { kind: "without-rowid", of: (table) => table.isWithoutRowid },
];

function asSet(items: readonly unknown[]): string {
  return items
    .map((item) => JSON.stringify(item))
    .sort()
    .join();
}

/** CHECKs have no key but what they say; equal ones on both sides cancel out one by one. */
function compareChecks(from: readonly CheckConstraint[], to: readonly CheckConstraint[]): TableChange[] {
  const identity = ({ name, expression }: CheckConstraint) => `${keyOf(name ?? "")} ${expression}`;
  const unmatched = [...to];
  const dropped = from.filter((check) => {
    const match = unmatched.findIndex((other) => identity(other) === identity(check));
    if (match >= 0) unmatched.splice(match, 1);
    return match < 0;
  });
  return [
    ...dropped.map((check) => ({ kind: "drop-check", check }) as const),
    ...unmatched.map((check) => ({ kind: "add-check", check }) as const),
  ];
}
