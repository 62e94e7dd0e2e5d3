import type { Connection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inMain } from "../sqlite/identifiers.js";
import type { RecoveryActionName, RecoveryStateName, TableState } from "./recovery-states.js";

/** What became of a table that was not healthy. */
export type RecoveryOutcome = "done" | "left" | "failed";

/** One table of a `RecoveryReport`. */
export interface RecoveredTable extends TableState {
  readonly outcome: RecoveryOutcome;
  /** Rows of both tables, counted only where both have some and a person must decide. */
  readonly rowCounts: { readonly table: number; readonly temporary: number } | undefined;
  /** One sentence for the log, health details and the report: what was found and what was done. */
  readonly message: string;
}

/** What one run of recovery found and did. Plain data. */
export interface RecoveryReport {
  /** True when recovery changed the database. */
  readonly isChanged: boolean;
  /** True when a table is left in a state that only `config_cli doctor` or a person can resolve. */
  readonly needsAttention: boolean;
  /** Managed tables that exist in no form; `SyncSchema` creates them. */
  readonly missingTables: readonly string[];
  /** Every table that was neither healthy nor missing. */
  readonly tables: readonly RecoveredTable[];
}

/** What was found, for every state. */
const FOUND: Readonly<Record<RecoveryStateName, (state: TableState) => string>> = {
  healthy: ({ table }) => `${table} is healthy`,
  absent: ({ table }) => `${table} does not exist`,
  interrupted_after_rename: ({ table, temporary }) =>
    `${table} is missing and ${temporary} exists: a migration was interrupted after RENAME`,
  interrupted_after_create: ({ table, temporary }) =>
    `${table} is empty and ${temporary} has rows: a migration was interrupted after CREATE`,
  dangling_references: ({ temporary, references }) =>
    `${references.join(", ")} refer to ${temporary}, which does not exist`,
  referenced_leftover: ({ temporary, references }) => `${references.join(", ")} refer to ${temporary}, which is empty`,
  empty_leftover: ({ table, temporary }) => `${temporary} stands empty beside ${table}`,
  both_have_rows: ({ table, temporary }) => `${table} and ${temporary} both have rows`,
  unrelated: ({ table, temporary }) => `${temporary} stands beside ${table} and is no copy of it`,
  name_taken: ({ table }) => `${table} is not a table`,
};

/** What was done, for every action. */
const DONE: Readonly<Record<RecoveryActionName, (state: TableState) => string>> = {
  none: () => "nothing to do",
  leave: () => "left as it is; `config_cli doctor` examines it",
  rename_back: ({ table, temporary }) => `renamed ${temporary} back to ${table}`,
  drop_and_rename_back: ({ table, temporary }) => `dropped ${table} and renamed ${temporary} back`,
  heal_references: ({ table }) => `they refer to ${table} again`,
  drop_leftover_and_heal_references: ({ table, temporary }) => `dropped ${temporary}; they refer to ${table} again`,
};

/** A table that is left as it is. */
export function reportLeft(connection: Connection, state: TableState): RecoveredTable {
  const rowCounts = countBoth(connection, state);
  return { ...state, outcome: "left", rowCounts, message: `${describeFound(state, rowCounts)}; ${DONE.leave(state)}.` };
}

/** What was found about a table, as a sentence with the rows of both tables where both have some. */
export function describeState(connection: Connection, state: TableState): string {
  return `${describeFound(state, countBoth(connection, state))}.`;
}

type RowCounts = RecoveredTable["rowCounts"];

function describeFound(state: TableState, rowCounts: RowCounts): string {
  return `${FOUND[state.state](state)}${rowCounts ? ` (${rowCounts.table} and ${rowCounts.temporary} rows)` : ""}`;
}

function countBoth(connection: Connection, { state, table, temporary }: TableState): RowCounts {
  if (state !== "both_have_rows" && state !== "unrelated") return undefined;
  return { table: countRows(connection, table), temporary: countRows(connection, temporary) };
}

/**
 * A table that was recovered.
 *
 * @param remaining what still refers to the temporary name.
 * @param lost what belonged to a dropped table and could not be made again.
 */
export function reportDone(state: TableState, remaining: readonly string[], lost: readonly string[]): RecoveredTable {
  const rest = [
    remaining.length > 0 ? ` Still referring to ${state.temporary}: ${remaining.join(", ")}.` : "",
    lost.length > 0 ? ` Could not be made again: ${lost.join("; ")}.` : "",
  ].join("");
  const message = `${FOUND[state.state](state)}; ${DONE[state.action](state)}.${rest}`;
  return { ...state, outcome: rest === "" ? "done" : "failed", rowCounts: undefined, message };
}

/** A table that SQLite refused to recover. */
export function reportFailed(state: TableState, error: unknown): RecoveredTable {
  const message = `${FOUND[state.state](state)}; it cannot be recovered: ${fromSqliteError(error).message}.`;
  return { ...state, outcome: "failed", rowCounts: undefined, message };
}

/** Rows of a table; 0 for what is not a table, which nobody should scan. */
function countRows(connection: Connection, name: string): number {
  const isTable = connection
    .prepare("SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE")
    .get(name);
  if (isTable === undefined) return 0;
  return (
    connection
      .prepare<[], number>(`SELECT count(*) FROM ${inMain(name)}`)
      .pluck()
      .get() ?? 0
  );
}
