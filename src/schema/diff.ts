import type { CheckConstraint, Column, Index, SchemaModel, Table, Trigger, View, VirtualTable } from "./model.js";

/** What about a column differs. */
export type ColumnAspect = "type" | "not null" | "default" | "collation" | "generated";

/** One difference inside a table that both schemas have. */
export type TableChange =
  | { readonly kind: "add-column"; readonly column: Column }
  | { readonly kind: "drop-column"; readonly column: Column }
  | {
      readonly kind: "change-column";
      readonly from: Column;
      readonly to: Column;
      readonly aspects: readonly ColumnAspect[];
    }
  | { readonly kind: "add-check"; readonly check: CheckConstraint }
  | { readonly kind: "drop-check"; readonly check: CheckConstraint }
  | { readonly kind: "primary-key" | "unique" | "foreign-keys" | "strict" | "without-rowid" };

/** A managed table that exists and differs. */
export interface TableDiff {
  readonly from: Table;
  readonly to: Table;
  readonly changes: readonly TableChange[];
}

/** What differs among objects that are replaced whole. */
export interface ObjectDiff<T> {
  readonly created: readonly T[];
  readonly changed: readonly { readonly from: T; readonly to: T }[];
  /** Live, belonging to a managed table, and not wanted. Kept unless their removal is allowed by name. */
  readonly extra: readonly T[];
}

/** The live object and the wanted one have the same name but are of different kinds. */
export interface KindConflict {
  readonly name: string;
  readonly live: "table" | "view" | "virtual-table";
}

/** The difference between a live schema and the wanted one, as data; both are part of it. */
export interface SchemaDiff {
  readonly live: SchemaModel;
  readonly wanted: SchemaModel;
  readonly createdTables: readonly Table[];
  readonly changedTables: readonly TableDiff[];
  readonly indexes: ObjectDiff<Index>;
  readonly views: ObjectDiff<View>;
  readonly triggers: ObjectDiff<Trigger>;
  readonly virtualTables: ObjectDiff<VirtualTable>;
  readonly kindConflicts: readonly KindConflict[];
}

/** True when nothing has to be done; extra objects, which stay unless their removal is allowed, do not count. */
export function isEmptyDiff(diff: SchemaDiff): boolean {
  const objects = [diff.indexes, diff.views, diff.triggers, diff.virtualTables];
  return (
    diff.createdTables.length === 0 &&
    diff.changedTables.length === 0 &&
    diff.kindConflicts.length === 0 &&
    objects.every((one) => one.created.length === 0 && one.changed.length === 0)
  );
}

/** One change in words, for reasons and messages: `column lines: type TEXT → INTEGER`. */
export function describeChange(change: TableChange): string {
  switch (change.kind) {
    case "add-column":
      return `column ${change.column.name} is missing`;
    case "drop-column":
      return `column ${change.column.name} is not wanted`;
    case "change-column":
      return `column ${change.from.name}: ${change.aspects.map((aspect) => describeAspect(change, aspect)).join(", ")}`;
    case "add-check":
      return `CHECK (${change.check.text}) is missing`;
    case "drop-check":
      return `CHECK (${change.check.text}) is not wanted`;
    default:
      return CHANGE_TEXT[change.kind];
  }
}

const CHANGE_TEXT = {
  "primary-key": "the primary key differs",
  unique: "the UNIQUE constraints differ",
  "foreign-keys": "the foreign keys differ",
  strict: "STRICT differs",
  "without-rowid": "WITHOUT ROWID differs",
} as const;

function describeAspect({ from, to }: { from: Column; to: Column }, aspect: ColumnAspect): string {
  const show: Record<ColumnAspect, (column: Column) => string> = {
    type: (column) => column.type || "no type",
    "not null": (column) => (column.notNull === undefined ? "NULL" : notNullText(column.notNull)),
    default: (column) => (column.defaultValue === undefined ? "no default" : `DEFAULT ${column.defaultValue}`),
    collation: (column) => `COLLATE ${column.collation}`,
    generated: (column) => (column.generated === undefined ? "ordinary" : `AS (${column.generated.expression})`),
  };
  const prefix = aspect === "type" ? "type " : "";
  return `${prefix}${show[aspect](from)} → ${show[aspect](to)}`;
}

function notNullText(action: string): string {
  return action === "ABORT" ? "NOT NULL" : `NOT NULL ON CONFLICT ${action}`;
}
