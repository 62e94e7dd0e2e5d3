import { createHash } from "node:crypto";
import type { Connection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { quoteText } from "../sqlite/identifiers.js";
import { compileError, type Probe, triggerProbes, viewProbe } from "./compilation.js";
import type { SchemaDiff } from "./diff.js";
import { readSchemaRows } from "./introspection.js";
import {
  describeForeignKey,
  type ForeignKey,
  findColumn,
  keyOf,
  type SchemaModel,
  type Table,
  type Trigger,
} from "./model.js";
import { tokenize } from "./tokens.js";

/** A hash of every CREATE text of the main database, which changes with any change of the schema. */
export function fingerprintSchema(connection: Connection): string {
  return createHash("sha256")
    .update(JSON.stringify(readSchemaRows(connection)))
    .digest("hex");
}

/** A number that changes whenever another connection commits (https://sqlite.org/pragma.html#pragma_data_version). */
export function readDataVersion(connection: Connection): number {
  return Number(connection.pragma("data_version", { simple: true }));
}

/** A view, or the triggers that one event of a table fires, that SQLite cannot compile. */
export interface BrokenObject {
  /** `view v` or `trigger a, b`. */
  readonly label: string;
  readonly message: string;
  readonly probe: Probe;
  /** In creation order; empty for a view. SQLite compiles all of them together and does not say which one is at fault. */
  readonly triggers: readonly Trigger[];
}

/** What SQLite cannot compile, by view, or by table and event; SQLite itself looks only when it is used. */
export function findBrokenObjects(connection: Connection, model: SchemaModel): Map<string, BrokenObject> {
  const broken = new Map<string, BrokenObject>();
  const compile = (key: string, label: string, probe: Probe, triggers: readonly Trigger[]) => {
    const message = compileError(connection, probe);
    if (message !== undefined) broken.set(key, { label, message, probe, triggers });
  };
  for (const [key, view] of model.views) compile(`view ${key}`, `view ${view.name}`, viewProbe(view.name), []);
  for (const [owner, all] of groupByOwner(model)) {
    for (const probe of triggerProbes(connection, owner)) {
      const triggers = all.filter((trigger) => eventOf(trigger) === probe.event);
      const label = `trigger ${triggers.map(({ name }) => name).join(", ")}`;
      if (triggers.length > 0) compile(`${probe.event} ${owner}`, label, probe, triggers);
    }
  }
  return broken;
}

function groupByOwner(model: SchemaModel): Map<string, Trigger[]> {
  const owners = new Map<string, Trigger[]>();
  for (const trigger of model.triggers.values()) {
    const key = keyOf(trigger.table);
    owners.set(key, [...(owners.get(key) ?? []), trigger]);
  }
  return owners;
}

function eventOf(trigger: Trigger): string | undefined {
  return tokenize(trigger.body).find((token) => ["delete", "insert", "update"].includes(token.value))?.value;
}

/** Foreign keys whose parent is missing or has no unique key of the referenced columns (https://sqlite.org/foreignkeys.html §3). */
export function findBrokenForeignKeys(model: SchemaModel): Map<string, string> {
  const broken = new Map<string, string>();
  for (const child of model.tables.values()) {
    for (const key of child.foreignKeys) {
      const parent = model.tables.get(key.parent);
      const label = describeForeignKey(child.name, key);
      if (parent === undefined) broken.set(label, `its parent table ${key.parent} does not exist`);
      else if (!isParentKey(model, parent, key))
        broken.set(label, `${child.name} would lose its parent key in ${parent.name}`);
    }
  }
  return broken;
}

function isParentKey(model: SchemaModel, parent: Table, { parentColumns }: ForeignKey): boolean {
  const wanted = [...parentColumns].sort().join();
  const primary = parent.primaryKey?.columns.map((column) => column.term) ?? [];
  if (parentColumns.length > 0 && [...primary].sort().join() === wanted) return true;
  const uniqueKeys = [
    ...parent.uniques.map((unique) => unique.columns),
    ...[...model.indexes.values()]
      .filter((index) => keyOf(index.table) === keyOf(parent.name) && index.isUnique && index.where === undefined)
      .map((index) => index.columns),
  ];
  return uniqueKeys.some(
    (columns) =>
      columns
        .map((column) => column.term)
        .sort()
        .join() === wanted &&
      columns.every((column) => findColumn(parent, column.term)?.collation === column.collation),
  );
}

/** The tables that have a foreign key to one of `tables` (folded names), and those tables themselves. */
export function withChildren(model: SchemaModel, tables: ReadonlySet<string>): Set<string> {
  const children = [...model.tables].filter(([, table]) => table.foreignKeys.some((key) => tables.has(key.parent)));
  return new Set([...[...tables].filter((key) => model.tables.has(key)), ...children.map(([key]) => key)]);
}

/**
 * The tables (folded names) in which a migration may leave a row without its parent: the rewritten ones, their children, and
 * those that get another foreign key. Any other ALTER TABLE leaves values and parent keys as they are.
 */
export function tablesAtRisk(model: SchemaModel, diff: SchemaDiff, rebuilt: ReadonlySet<string>): Set<string> {
  const withOtherKeys = diff.changedTables.filter(({ changes }) => changes.some(({ kind }) => kind === "foreign-keys"));
  return new Set([...withChildren(model, rebuilt), ...withOtherKeys.map(({ to }) => keyOf(to.name))]);
}

interface ViolationRow {
  readonly table: string;
  readonly rowid: bigint | null;
  readonly parent: string;
  readonly fkid: bigint;
}

/** The rows that violate one foreign key. */
export interface ForeignKeyViolations {
  /** Folded name of the child table. */
  readonly child: string;
  /** As text; numbered `#1` … in a table without rowids. */
  readonly rowids: readonly string[];
}

/**
 * The rows of `tables` (folded names) that violate a foreign key, by its description. A foreign key that SQLite cannot check
 * at all is left to `findBrokenForeignKeys`.
 */
export function findForeignKeyViolations(
  connection: Connection,
  model: SchemaModel,
  tables: Iterable<string>,
): Map<string, ForeignKeyViolations> {
  const found = new Map<string, { child: string; rowids: string[] }>();
  for (const child of tables) {
    const table = model.tables.get(child);
    if (table === undefined || table.foreignKeys.length === 0) continue;
    for (const row of checkForeignKeys(connection, table.name)) {
      // SQLite numbers foreign keys from the last declared to the first.
      const foreignKey = table.foreignKeys.at(-1 - Number(row.fkid));
      const label = foreignKey === undefined ? table.name : describeForeignKey(table.name, foreignKey);
      const entry = found.get(label) ?? { child, rowids: [] };
      entry.rowids.push(row.rowid === null ? `#${entry.rowids.length + 1}` : String(row.rowid));
      found.set(label, entry);
    }
  }
  return found;
}

function checkForeignKeys(connection: Connection, table: string): ViolationRow[] {
  try {
    return connection
      .prepare<[], ViolationRow>(`PRAGMA main.foreign_key_check(${quoteText(table)})`)
      .safeIntegers()
      .all();
  } catch (error) {
    if (fromSqliteError(error).message.startsWith("foreign key mismatch")) return [];
    throw error;
  }
}
