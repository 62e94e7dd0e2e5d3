import type { Connection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inMain } from "../sqlite/identifiers.js";
import { inTransaction } from "../sqlite/transaction.js";
import { managedTables } from "./built-in-schema.js";
import {
  checkForeignKeys,
  checkFullText,
  checkIntegrity,
  type IntegrityProblems,
  rebuildFullText,
} from "./integrity.js";
import { inspectSchema } from "./introspection.js";
import { type DanglingName, findDanglingNames, findLeftovers, type Leftover } from "./leftovers.js";
import { keyOf, type SchemaModel } from "./model.js";
import { recoverTables, withForeignKeysOff } from "./recovery.js";
import { describeState } from "./recovery-report.js";
import { inspectRecoveryState, type RecoveryActionName, type TableState } from "./recovery-states.js";
import { Renaming } from "./renaming.js";
import { compareRows, isContained, type RowComparison } from "./row-comparison.js";

/** What kind of thing the doctor found. */
export type FindingKind = "recovery" | "leftover" | "dangling" | "integrity" | "index" | "foreign_key" | "full_text";

/** One thing that is not as it should be. */
export interface Finding {
  readonly kind: FindingKind;
  /** The table or index that it is about; `database` for integrity. */
  readonly object: string;
  /** One sentence: what was found, and what would become of it or what a person should do. */
  readonly message: string;
  /** True when `fix` heals it without losing a row. */
  readonly isFixable: boolean;
}

/** What `examine` found. Plain data. */
export interface DoctorReport {
  readonly isHealthy: boolean;
  /** Tables of the database, virtual ones too; not those that SQLite and virtual tables keep for themselves. */
  readonly checkedTables: number;
  readonly findings: readonly Finding[];
}

/** What `fix` did. Plain data. */
export interface FixReport {
  /** One sentence for everything that was changed. */
  readonly fixed: readonly string[];
  /** What an examination finds afterwards. */
  readonly remaining: DoctorReport;
}

/**
 * Examines a database: the state of every managed table, leftovers of programs that rebuild tables, names that refer to
 * nothing, and SQLite's own checks of the file, of foreign keys and of full text. Reads every page; changes nothing.
 *
 * @param connection must be able to write: FTS5 checks itself through an INSERT that writes nothing.
 * @param wanted the schema that the database should have.
 * @throws DriverError `DATABASE_BUSY`, `DATABASE_READ_ONLY` …, and `DATABASE_CORRUPT` when not even the schema can be read.
 */
export function examine(connection: Connection, wanted: SchemaModel): DoctorReport {
  try {
    const managed = managedTables(wanted);
    const states = inspectRecoveryState(connection, managed);
    const integrity = checkIntegrity(connection);
    const leftovers = findLeftovers(connection, managed);
    const dangling = findDanglingNames(connection, managed);
    const live = inspectSchema(connection);
    const findings = [
      ...integrityFindings(integrity),
      ...states.flatMap((state) => recoveryFinding(connection, state)),
      ...leftovers.map((leftover) => leftoverFinding(connection, leftover)),
      ...dangling.map(danglingFinding),
      ...foreignKeyFindings(connection, unresolvedNames(states, leftovers, dangling)),
      ...checkFullText(connection, live).map(({ table, message, canRebuild }) => ({
        kind: "full_text" as const,
        object: table,
        message: `The full-text table ${table} does not fit its content (${message}); ${
          canRebuild ? "it can be rebuilt from it" : "it has no content to be rebuilt from"
        }.`,
        isFixable: canRebuild,
      })),
    ];
    return { isHealthy: findings.length === 0, checkedTables: live.tables.size + live.virtualTables.size, findings };
  } catch (error) {
    throw fromSqliteError(error);
  }
}

/**
 * Heals what can be healed without losing a row, in one transaction, and examines again. A file whose pages are damaged is
 * not touched: every write could make it worse.
 *
 * @param connection a writable connection outside a transaction.
 * @param options.beforeCommit called when everything is done but committed; what it throws rolls back.
 * @throws DriverError `DATABASE_BUSY`, `DISK_FULL` …; nothing is changed then.
 */
export function fix(
  connection: Connection,
  wanted: SchemaModel,
  options: { readonly beforeCommit?: () => void } = {},
): FixReport {
  try {
    const fixed = withForeignKeysOff(connection, () =>
      inTransaction(connection, () => {
        const integrity = checkIntegrity(connection);
        const healed = integrity.messages.length > 0 ? [] : heal(connection, managedTables(wanted), integrity);
        options.beforeCommit?.();
        return healed;
      }),
    );
    return { fixed, remaining: examine(connection, wanted) };
  } catch (error) {
    throw fromSqliteError(error);
  }
}

function heal(connection: Connection, managed: readonly string[], { staleIndexes }: IntegrityProblems): string[] {
  const fixed: string[] = [];
  // First of all, because everything after it looks rows up through indexes.
  for (const index of staleIndexes) {
    if (attempt(() => connection.exec(`REINDEX ${inMain(index)}`))) fixed.push(`The index ${index} was made anew.`);
  }
  const recovered = recoverTables(connection, managed, (state) => decide(connection, state));
  for (const { outcome, state, message } of recovered) {
    const proof = state === "both_have_rows" ? " All rows of the one that was dropped are in the other." : "";
    if (outcome === "done") fixed.push(message + proof);
  }
  for (const leftover of findLeftovers(connection, managed)) {
    const action = leftoverAction(connection, leftover);
    if (action !== "leave" && attempt(() => LEFTOVER_ACTIONS[action].run(connection, leftover))) {
      fixed.push(LEFTOVER_ACTIONS[action].done(leftover));
    }
  }
  for (const { name, table, references } of findDanglingNames(connection, managed)) {
    if (attempt(() => healReferences(connection, table, name))) {
      fixed.push(`${references.join(", ")} referred to ${name}; they refer to ${table} again.`);
    }
  }
  for (const { table, canRebuild } of checkFullText(connection, inspectSchema(connection))) {
    if (!canRebuild) continue;
    rebuildFullText(connection, table);
    fixed.push(`The full-text table ${table} was rebuilt from its content.`);
  }
  return fixed;
}

/** Runs `action`; false when SQLite refuses it, which the examination afterwards reports as still there. */
function attempt(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    const { reason } = fromSqliteError(error);
    if (reason === "SQL_ERROR" || reason.startsWith("CONSTRAINT_")) return false;
    throw error;
  }
}

/** What recovery may do about a state when it may compare rows: it takes as long as reading both tables. */
function decide(connection: Connection, { state, action, table, temporary }: TableState): RecoveryActionName {
  if (state === "empty_leftover") return "drop_leftover_and_heal_references";
  if (state !== "both_have_rows") return action;
  if (isContained(compareRows(connection, temporary, table))) return "drop_leftover_and_heal_references";
  if (isContained(compareRows(connection, table, temporary))) return "drop_and_rename_back";
  return "leave";
}

function recoveryFinding(connection: Connection, state: TableState): Finding[] {
  if (state.action === "none") return [];
  const action = decide(connection, state);
  const isFixable = action !== "leave";
  const comparison =
    state.state === "both_have_rows" && !isFixable
      ? ` ${describeComparison(state.temporary, state.table, compareRows(connection, state.temporary, state.table))}`
      : "";
  return [{ kind: "recovery", object: state.table, message: describeState(connection, state) + comparison, isFixable }];
}

function describeComparison(
  table: string,
  other: string,
  { rowCount, missingCount, lostColumns }: RowComparison,
): string {
  const columns = lostColumns.length > 0 ? `, and ${other} has no column ${lostColumns.join(", ")}` : "";
  return `${missingCount} of the ${rowCount} rows of ${table} are not in ${other}${columns}; compare them and drop one by hand.`;
}

type LeftoverAction = "rename" | "drop" | "leave";

const LEFTOVER_ACTIONS: Readonly<
  Record<
    Exclude<LeftoverAction, "leave">,
    { run(connection: Connection, leftover: Leftover): void; done(leftover: Leftover): string }
  >
> = {
  rename: {
    run: (connection, { name, table }) => renameAll(connection, [[name, table, "default"]]),
    done: ({ name, table, tool }) => `${name}, left behind by ${tool}, was renamed to ${table}, which was missing.`,
  },
  drop: {
    run: (connection, { name }) => connection.exec(`DROP TABLE ${inMain(name)}`),
    done: ({ name, table, tool }) => `${name}, left behind by ${tool}, was dropped: all its rows are in ${table}.`,
  },
};

function leftoverAction(connection: Connection, { name, table, hasTable, isToolsOwn }: Leftover): LeftoverAction {
  if (!isToolsOwn) return "leave";
  if (!hasTable) return "rename";
  return isContained(compareRows(connection, name, table)) && !isReferenced(connection, name) ? "drop" : "leave";
}

/** Dropping a table that a foreign key, view or trigger needs would only move the damage. */
function isReferenced(connection: Connection, name: string): boolean {
  const key = keyOf(name);
  const model = inspectSchema(connection);
  const isParent = [...model.tables.values()].some(
    (table) => keyOf(table.name) !== key && table.foreignKeys.some(({ parent }) => parent === key),
  );
  const texts = [...model.views.values(), ...model.triggers.values()].map(({ body }) => body);
  return isParent || texts.some((body) => body.split(/[^\p{L}\p{N}_$]+/u).includes(key));
}

function leftoverFinding(connection: Connection, leftover: Leftover): Finding {
  const { name, table, tool, hasTable } = leftover;
  const action = leftoverAction(connection, leftover);
  const what = hasTable
    ? `${name} looks like a copy of ${table} left behind by ${tool}`
    : `${table} is missing and ${name}, left behind by ${tool}, exists`;
  const remedy = {
    rename: `it can be renamed back`,
    drop: `all its rows are in ${table}, so it can be dropped`,
    leave: `it may be somebody's backup or hold rows of its own; drop or rename it by hand`,
  }[action];
  return { kind: "leftover", object: name, message: `${what}; ${remedy}.`, isFixable: action !== "leave" };
}

function danglingFinding({ name, table, tool, references }: DanglingName): Finding {
  return {
    kind: "dangling",
    object: table,
    message: `${references.join(", ")} refer to ${name}, which does not exist: ${tool} called ${table} so for a while.`,
    isFixable: true,
  };
}

function healReferences(connection: Connection, table: string, name: string): void {
  renameAll(connection, [
    [table, name, "legacy"],
    [name, table, "default"],
  ]);
}

function renameAll(
  connection: Connection,
  renames: readonly (readonly [from: string, to: string, mode: "legacy" | "default"])[],
): void {
  const renaming = new Renaming(connection);
  for (const [from, to, mode] of renames) {
    renaming.rename(from, to, mode === "legacy" ? ["legacy", "default"] : ["default", "legacy"]);
  }
  const [last] = renames.slice(-1);
  renaming.restore(new Map(last === undefined ? [] : [[keyOf(last[0]), last[1]]]));
}

function integrityFindings({ staleIndexes, messages }: IntegrityProblems): Finding[] {
  return [
    ...messages.map((message) => ({
      kind: "integrity" as const,
      object: "database",
      message: `The file is damaged: ${message}. Restore a backup, or save what can be read with the sqlite3 command .recover.`,
      isFixable: false,
    })),
    ...staleIndexes.map((index) => ({
      kind: "index" as const,
      object: index,
      message: `The index ${index} does not fit its table; it can be made anew.`,
      isFixable: messages.length === 0,
    })),
  ];
}

/** Names under which no table stands until references are healed; rows that refer to them are not orphans yet. */
function unresolvedNames(
  states: readonly TableState[],
  leftovers: readonly Leftover[],
  dangling: readonly DanglingName[],
): Set<string> {
  return new Set([
    ...states
      .filter(({ action }) => action !== "none")
      .flatMap(({ table, temporary }) => [keyOf(table), keyOf(temporary)]),
    ...leftovers.filter(({ hasTable }) => !hasTable).map(({ table }) => keyOf(table)),
    ...dangling.map(({ name }) => keyOf(name)),
  ]);
}

function foreignKeyFindings(connection: Connection, unresolved: ReadonlySet<string>): Finding[] {
  try {
    return checkForeignKeys(connection)
      .filter(({ parent }) => !unresolved.has(keyOf(parent)))
      .map(({ table, parent, rowCount, sampleRowids }) => ({
        kind: "foreign_key",
        object: table,
        message: `${rowCount} rows of ${table} refer to rows of ${parent} that do not exist${
          sampleRowids.length > 0 ? ` (rowid ${sampleRowids.join(", ")})` : ""
        }; delete or correct them by hand.`,
        isFixable: false,
      }));
  } catch (error) {
    const { reason, message } = fromSqliteError(error);
    if (reason !== "SQL_ERROR") throw error;
    return [
      {
        kind: "foreign_key",
        object: "database",
        message: `Foreign keys cannot be checked: ${message}.`,
        isFixable: false,
      },
    ];
  }
}
