import type { Connection } from "../sqlite/connection.js";
import { inMain } from "../sqlite/identifiers.js";
import { keyOf, temporaryName } from "./model.js";
import { findReferences, type Reference, type SchemaObject } from "./references.js";

/** What a managed table and its temporary copy look like together. */
export type RecoveryStateName =
  | "healthy"
  | "absent"
  | "interrupted_after_rename"
  | "interrupted_after_create"
  | "dangling_references"
  | "referenced_leftover"
  | "empty_leftover"
  | "both_have_rows"
  | "unrelated"
  | "name_taken";

/** What recovery does about a state. */
export type RecoveryActionName =
  | "none"
  | "rename_back"
  | "drop_and_rename_back"
  | "drop_leftover_and_heal_references"
  | "heal_references"
  | "leave";

/** The action for every state. */
export const ACTION_OF_STATE: Readonly<Record<RecoveryStateName, RecoveryActionName>> = {
  healthy: "none",
  absent: "none",
  interrupted_after_rename: "rename_back",
  interrupted_after_create: "drop_and_rename_back",
  dangling_references: "heal_references",
  // An empty temporary table that others point at: no row is lost with it, and every write of theirs fails without it.
  referenced_leftover: "drop_leftover_and_heal_references",
  // Nothing points at it and nothing is in it: it harms nobody and may be somebody's own table.
  empty_leftover: "leave",
  both_have_rows: "leave",
  unrelated: "leave",
  name_taken: "leave",
};

/** What stands under a name: nothing, a table without or with rows, or something recovery must not touch. */
export type Presence = "missing" | "empty" | "filled" | "foreign";

type StatePair = readonly [unreferenced: RecoveryStateName, referenced: RecoveryStateName];

const always = (state: RecoveryStateName): StatePair => [state, state];

/** State by presence of the table, presence of its temporary copy, and whether anything refers to the copy by name. */
const STATE_OF_PRESENCE: Readonly<Record<Presence, Readonly<Record<Presence, StatePair>>>> = {
  missing: {
    missing: always("absent"),
    empty: always("interrupted_after_rename"),
    filled: always("interrupted_after_rename"),
    foreign: always("absent"),
  },
  empty: {
    missing: ["healthy", "dangling_references"],
    empty: ["empty_leftover", "referenced_leftover"],
    filled: always("interrupted_after_create"),
    foreign: always("unrelated"),
  },
  filled: {
    missing: ["healthy", "dangling_references"],
    empty: ["empty_leftover", "referenced_leftover"],
    filled: always("both_have_rows"),
    foreign: always("unrelated"),
  },
  foreign: {
    missing: always("name_taken"),
    empty: always("name_taken"),
    filled: always("name_taken"),
    foreign: always("name_taken"),
  },
};

/** The state that follows from what stands under both names. */
export function recoveryStateOf(table: Presence, temporary: Presence, isReferenced: boolean): RecoveryStateName {
  return STATE_OF_PRESENCE[table][temporary][isReferenced ? 1 : 0];
}

/** One managed table as the inspector found it. */
export interface TableState {
  /** Name as it stands in the database, or as the caller wrote it while the table is missing. */
  readonly table: string;
  /** Name of the temporary copy as it stands in the database, or `temp_<table>`. */
  readonly temporary: string;
  readonly state: RecoveryStateName;
  readonly action: RecoveryActionName;
  /** Who refers to the temporary name, for example `table classes`. */
  readonly references: readonly string[];
}

interface SchemaRow extends SchemaObject {
  /** True when the name or the text contains `temp_` anywhere; only those rows carry their text. */
  readonly isSuspect: 0 | 1;
}

/**
 * The state of every managed table, in the order given. Only reads; with nothing to recover it costs one scan of
 * sqlite_schema. May run inside a transaction.
 *
 * @param managedTables the tables of the wanted schema.
 * @throws the error of SQLite when the schema cannot be read.
 */
export function inspectRecoveryState(connection: Connection, managedTables: readonly string[]): TableState[] {
  const rows = connection
    .prepare<[], SchemaRow>(
      `SELECT type, name, tbl_name AS owner, suspect AS isSuspect, iif(suspect, coalesce(sql, ''), '') AS sql
       FROM (SELECT *, coalesce(name LIKE '%temp\\_%' ESCAPE '\\' OR sql LIKE '%temp\\_%' ESCAPE '\\', 0) AS suspect
             FROM main.sqlite_schema ORDER BY rowid)`,
    )
    .all();
  // Tables, views and indexes share one name space; triggers have their own.
  const byName = new Map(rows.filter((row) => row.type !== "trigger").map((row) => [keyOf(row.name), row]));
  const suspects = rows.filter((row) => row.isSuspect === 1);
  const temporaryNames = new Set(managedTables.map((table) => keyOf(temporaryName(table))));
  const references = suspects.length === 0 ? [] : findReferences(connection, suspects, temporaryNames, byName);

  return managedTables.map((name) => {
    const table = byName.get(keyOf(name));
    const temporary = byName.get(keyOf(temporaryName(name)));
    const own = references.filter((reference) => reference.temporary === keyOf(temporaryName(name)));
    const [tablePresence, temporaryPresence] = inspectPresence(connection, table, temporary);
    const state = recoveryStateOf(tablePresence, temporaryPresence, own.length > 0);
    return {
      table: table?.name ?? name,
      temporary: temporary?.name ?? temporaryName(name),
      state,
      action: ACTION_OF_STATE[state],
      references: own.map(describeReference),
    };
  });
}

function inspectPresence(
  connection: Connection,
  table: SchemaObject | undefined,
  temporary: SchemaObject | undefined,
): [Presence, Presence] {
  if (table !== undefined && table.type !== "table")
    return ["foreign", temporary === undefined ? "missing" : "foreign"];
  if (temporary !== undefined && temporary.type !== "table") return [table ? "filled" : "missing", "foreign"];
  // Rows matter only where both stand side by side.
  if (table === undefined || temporary === undefined) {
    return [table ? "filled" : "missing", temporary ? "filled" : "missing"];
  }
  return [
    presenceOf(connection, table.name),
    isCopyOf(connection, temporary.name, table.name) ? presenceOf(connection, temporary.name) : "foreign",
  ];
}

function presenceOf(connection: Connection, table: string): Presence {
  return connection.prepare(`SELECT 1 FROM ${inMain(table)} LIMIT 1`).get() === undefined ? "empty" : "filled";
}

/** True when `temporary` can be an earlier form of `table`: most of its columns are columns of `table` too. */
export function isCopyOf(connection: Connection, temporary: string, table: string): boolean {
  const columns = new Set(columnNames(connection, table));
  const own = columnNames(connection, temporary);
  return own.filter((name) => columns.has(name)).length * 2 > own.length;
}

function columnNames(connection: Connection, table: string): string[] {
  return connection
    .prepare<[string], { name: string }>("SELECT name FROM pragma_table_xinfo(?, 'main')")
    .all(table)
    .map(({ name }) => keyOf(name));
}

function describeReference({ object }: Reference): string {
  return `${object.type} ${object.name}`;
}
