import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { createStatement } from "./create-statement.js";
import { describeChange, type ObjectDiff, type SchemaDiff, type TableDiff } from "./diff.js";
import { linksAfter, needsFullTextRebuild } from "./full-text.js";
import { type Index, keyOf, type Trigger } from "./model.js";
import { alterTable } from "./native-alter.js";
import type { Cost, Method, Operation } from "./plan.js";
import { rebuildTable } from "./rebuild.js";

export interface BuildOptions {
  /** By folded table name; `native` where absent. */
  readonly methods?: ReadonlyMap<string, Method>;
  /** Removals of extra objects that are allowed: `drop-index:NAME`, `drop-view:NAME`, `drop-trigger:NAME`, folded. */
  readonly allow?: ReadonlySet<string>;
}

/**
 * The operations that lead from `diff.live` to `diff.wanted`, in order. What hangs on a table (triggers, views, indexes) goes
 * first and comes back last, triggers in their old order of creation.
 */
export function buildOperations(
  diff: SchemaDiff,
  { methods = new Map(), allow = new Set() }: BuildOptions = {},
): Operation[] {
  const isAllowed = (kind: string, name: string) => allow.has(`drop-${kind}:${keyOf(name)}`);
  const tableWork = diff.changedTables.map((table) => workOn(table, methods.get(keyOf(table.to.name)) ?? "native"));
  const rebuilt = new Set(tableWork.filter((work) => work.isRebuild).map((work) => work.key));
  const dropped = {
    indexes: [
      ...diff.indexes.changed.map(({ from }) => from),
      ...diff.indexes.extra.filter(({ name }) => isAllowed("index", name)),
    ],
    views: [
      ...diff.views.changed.map(({ from }) => from),
      ...diff.views.extra.filter(({ name }) => isAllowed("view", name)),
    ],
  };
  const triggers = planTriggers(diff, rebuilt, (trigger) => isAllowed("trigger", trigger.name));
  // Dropping the old copy of a rebuilt table would leave its indexes' names taken until then.
  const displaced = [...diff.live.indexes.values()].filter(
    (index) => rebuilt.has(keyOf(index.table)) && !dropped.indexes.includes(index),
  );
  const restored = displaced.map((index) => diff.wanted.indexes.get(keyOf(index.name)) ?? index);
  return [
    ...triggers.dropped.map((trigger) => drop("trigger", trigger.name, triggers.reasonOf(trigger))),
    ...dropped.views.map((view) => drop("view", view.name, reasonOfDrop(diff.views, view))),
    ...dropped.indexes.map((index) => drop("index", index.name, reasonOfDrop(diff.indexes, index))),
    ...displaced.map((index) => drop("index", index.name, `the table ${index.table} is rebuilt`)),
    ...diff.virtualTables.changed.map(({ from }) => drop("virtual-table", from.name, "its definition differs")),
    ...diff.kindConflicts.map(({ live, name }) => drop(live, name, `the wanted ${name} is not a ${live}`)),
    ...tableWork.flatMap((work) => work.operations),
    ...diff.createdTables.map((table) => create("table", table, "it is missing", "constant")),
    ...[...diff.virtualTables.created, ...diff.virtualTables.changed.map(({ to }) => to)].map((table) =>
      create("virtual-table", table, "it is missing or was dropped", "constant"),
    ),
    ...[...restored, ...diff.indexes.changed.map(({ to }) => to), ...diff.indexes.created].map((index) =>
      create("index", index, reasonOfIndex(diff, index), "sort"),
    ),
    ...[...diff.views.changed.map(({ to }) => to), ...diff.views.created].map((view) =>
      create("view", view, "it is missing or differs", "constant"),
    ),
    ...triggers.created.map((trigger) => create("trigger", trigger, triggers.reasonOf(trigger), "constant")),
    ...linksAfter(diff)
      .filter((link) => needsFullTextRebuild(diff, link, rebuilt))
      .map(({ table, content }) => rebuildFullText(table, content)),
  ];
}

/** The statements of a plan as a script that can be run as it is. */
export function scriptOf(operations: readonly Operation[]): string[] {
  if (operations.length === 0) return [];
  const statements = operations.flatMap((operation) => operation.steps.map((step) => step.sql));
  return ["PRAGMA foreign_keys=OFF", "BEGIN IMMEDIATE", ...statements, "COMMIT"];
}

function workOn(table: TableDiff, method: Method): { key: string; isRebuild: boolean; operations: Operation[] } {
  const key = keyOf(table.to.name);
  const native = method === "native" ? alterTable(table) : undefined;
  if (native !== undefined) return { key, isRebuild: false, operations: native };
  const operation: Operation = {
    kind: "rebuild-table",
    object: table.to.name,
    table: key,
    reason: table.changes.map(describeChange).join("; "),
    cost: "rewrite",
    steps: rebuildTable(table, method === "native" ? "rename-first" : method),
  };
  return { key, isRebuild: true, operations: [operation] };
}

/**
 * Triggers fire in an order that depends on their creation, so where one of a table is replaced all are: dropped, and created
 * again in the order they had, new ones last.
 */
function planTriggers(diff: SchemaDiff, rebuilt: ReadonlySet<string>, isRemoved: (trigger: Trigger) => boolean) {
  const { created, changed, extra } = diff.triggers;
  const touched = new Set([
    ...rebuilt,
    ...changed.flatMap(({ from, to }) => [keyOf(from.table), keyOf(to.table)]),
    ...diff.views.changed.map(({ from }) => keyOf(from.name)),
  ]);
  const removed = new Set(extra.filter(isRemoved));
  const displaced = [...diff.live.triggers.values()].filter((trigger) => touched.has(keyOf(trigger.table)));
  const kept = displaced.filter((trigger) => !removed.has(trigger));
  const changedNames = new Map(changed.map(({ to }) => [keyOf(to.name), to]));
  return {
    dropped: [...displaced, ...[...removed].filter((trigger) => !displaced.includes(trigger))],
    created: [...kept.map((trigger) => changedNames.get(keyOf(trigger.name)) ?? trigger), ...created],
    reasonOf: (trigger: Trigger) => {
      if (removed.has(trigger)) return "it is not wanted and its removal is allowed";
      if (created.includes(trigger)) return "it is missing";
      if (changedNames.has(keyOf(trigger.name))) return "its text differs";
      return rebuilt.has(keyOf(trigger.table))
        ? `the table ${trigger.table} is rebuilt`
        : `another trigger of ${trigger.table} changes, and the order is kept`;
    },
  };
}

function reasonOfDrop<T>(objects: ObjectDiff<T>, object: T): string {
  return objects.extra.includes(object) ? "it is not wanted and its removal is allowed" : "its definition differs";
}

function reasonOfIndex(diff: SchemaDiff, index: Index): string {
  if (diff.indexes.created.includes(index)) return "it is missing";
  if (diff.indexes.changed.some(({ to }) => to === index)) return "its definition differs";
  return `the table ${index.table} is rebuilt`;
}

type ObjectKind = "table" | "index" | "view" | "trigger" | "virtual-table";

const SQL_KIND: Record<ObjectKind, string> = {
  table: "TABLE",
  index: "INDEX",
  view: "VIEW",
  trigger: "TRIGGER",
  "virtual-table": "TABLE",
};

function drop(kind: ObjectKind, name: string, reason: string): Operation {
  const steps = [{ sql: `DROP ${SQL_KIND[kind]} ${inMain(name)}` }];
  return { kind: `drop-${kind}`, object: name, reason, cost: "constant", steps };
}

function create(kind: ObjectKind, object: { name: string; sql: string }, reason: string, cost: Cost): Operation {
  return {
    kind: `create-${kind}`,
    object: object.name,
    reason,
    cost,
    steps: [{ sql: createStatement(object.sql, object.name) }],
  };
}

function rebuildFullText(table: string, content: string): Operation {
  const sql = `INSERT INTO ${inMain(table)} (${quoteIdentifier(table)}) VALUES ('rebuild')`;
  return {
    kind: "rebuild-full-text",
    object: table,
    table: keyOf(content),
    reason: `rowids or indexed values of ${content} change`,
    cost: "rewrite",
    steps: [{ sql }],
  };
}
