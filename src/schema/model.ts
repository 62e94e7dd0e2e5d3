import { foldName } from "../sqlite/identifiers.js";

/**
 * A schema as data, normalised: two spellings that mean the same to SQLite give equal models. Maps are keyed by the folded
 * name (`keyOf`) and iterate in creation order.
 */
export interface SchemaModel {
  readonly tables: ReadonlyMap<string, Table>;
  /** Explicit indexes (CREATE INDEX) only; those behind UNIQUE and PRIMARY KEY belong to their table. */
  readonly indexes: ReadonlyMap<string, Index>;
  readonly views: ReadonlyMap<string, View>;
  readonly triggers: ReadonlyMap<string, Trigger>;
  readonly virtualTables: ReadonlyMap<string, VirtualTable>;
  /** Tables that a virtual table keeps for itself, by folded name; never compared, never touched. */
  readonly shadowTables: ReadonlySet<string>;
}

/** https://sqlite.org/datatype3.html#type_affinity */
export type Affinity = "INTEGER" | "TEXT" | "BLOB" | "REAL" | "NUMERIC";

/** https://sqlite.org/lang_conflict.html; ABORT is the default. */
export type ConflictAction = "ROLLBACK" | "ABORT" | "FAIL" | "IGNORE" | "REPLACE";

export interface Column {
  readonly name: string;
  /** Declared type in upper case with single spaces; empty when none is declared. */
  readonly type: string;
  readonly affinity: Affinity;
  /** How a NULL is refused; undefined when NULL is allowed. Always set for the alias of the rowid. */
  readonly notNull: ConflictAction | undefined;
  /** Normal form of the DEFAULT; undefined for none and for DEFAULT NULL. */
  readonly defaultValue: string | undefined;
  /** Folded name; `binary` when none is declared. */
  readonly collation: string;
  readonly generated: { readonly expression: string; readonly isStored: boolean } | undefined;
  /** The column definition as written, from its name to its last token. */
  readonly definition: string;
}

/** A column of a key: of a PRIMARY KEY, a UNIQUE constraint or an index. */
export interface KeyColumn {
  /** Folded column name, or the normal form of an expression. */
  readonly term: string;
  readonly isExpression: boolean;
  readonly collation: string;
  readonly isDescending: boolean;
}

export interface PrimaryKey {
  readonly columns: readonly KeyColumn[];
  readonly onConflict: ConflictAction;
  /** INTEGER PRIMARY KEY: the column is the rowid (https://sqlite.org/lang_createtable.html#rowid). */
  readonly isRowidAlias: boolean;
  readonly isAutoincrement: boolean;
}

export interface UniqueConstraint {
  readonly columns: readonly KeyColumn[];
  readonly onConflict: ConflictAction;
}

export interface CheckConstraint {
  readonly name: string | undefined;
  /** Normal form, without the parentheses. */
  readonly expression: string;
  /** The expression as written, without the parentheses. */
  readonly text: string;
  /** Folded name of the column in whose definition it stands; undefined for a table constraint. */
  readonly inColumn: string | undefined;
}

export interface ForeignKey {
  /** Folded names. */
  readonly columns: readonly string[];
  readonly parent: string;
  /** Folded names; the parent's primary key where the declaration names none and the parent exists. */
  readonly parentColumns: readonly string[];
  readonly onDelete: string;
  readonly onUpdate: string;
  /** Recorded for completeness: SQLite parses MATCH and ignores it. */
  readonly match: string;
  /** DEFERRABLE INITIALLY DEFERRED; every other spelling is immediate. */
  readonly isDeferred: boolean;
  readonly inColumn: string | undefined;
}

export interface Table {
  readonly name: string;
  /** The CREATE TABLE text that SQLite stores. */
  readonly sql: string;
  readonly columns: readonly Column[];
  readonly primaryKey: PrimaryKey | undefined;
  readonly uniques: readonly UniqueConstraint[];
  readonly checks: readonly CheckConstraint[];
  readonly foreignKeys: readonly ForeignKey[];
  readonly isStrict: boolean;
  readonly isWithoutRowid: boolean;
}

export interface Index {
  readonly name: string;
  readonly table: string;
  readonly sql: string;
  readonly isUnique: boolean;
  readonly columns: readonly KeyColumn[];
  /** Normal form of the partial index's condition. */
  readonly where: string | undefined;
}

export interface View {
  readonly name: string;
  readonly sql: string;
  /** Normal form of everything behind the name. */
  readonly body: string;
}

export interface Trigger {
  readonly name: string;
  /** The table or view it belongs to. */
  readonly table: string;
  readonly sql: string;
  readonly body: string;
}

export interface VirtualTable {
  readonly name: string;
  readonly sql: string;
  readonly module: string;
  /** Module arguments as written. */
  readonly arguments: readonly string[];
  readonly body: string;
}

/** The key of an object in a model's maps: SQLite compares names without regard to ASCII case. */
export const keyOf = foldName;

/** The temporary name that a rebuild gives to the old copy of a table. */
export function temporaryName(table: string): string {
  return `temp_${table}`;
}

/** The affinity of a declared type by SQLite's substring rules, in their order (https://sqlite.org/datatype3.html §3.1). */
export function affinityOf(type: string, isStrict = false): Affinity {
  const upper = type.toUpperCase();
  // ANY keeps every value as it is in a STRICT table and is an ordinary unknown word elsewhere.
  if (isStrict && upper === "ANY") return "BLOB";
  if (upper.includes("INT")) return "INTEGER";
  if (/CHAR|CLOB|TEXT/.test(upper)) return "TEXT";
  if (upper === "" || upper.includes("BLOB")) return "BLOB";
  if (/REAL|FLOA|DOUB/.test(upper)) return "REAL";
  return "NUMERIC";
}

/** The column of `table` called `name`, in any case. */
export function findColumn(table: Table, name: string): Column | undefined {
  const key = keyOf(name);
  return table.columns.find((column) => keyOf(column.name) === key);
}

/** The spelling of a foreign key in messages: `child(a) → parent(b)`. */
export function describeForeignKey(child: string, key: ForeignKey): string {
  return `${child}(${key.columns.join(", ")}) → ${key.parent}(${key.parentColumns.join(", ")})`;
}
