import { DriverError, messageOf } from "../errors.js";
import { type Connection, setPragma } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inMain } from "../sqlite/identifiers.js";
import { inTransaction } from "../sqlite/transaction.js";
import { keyOf, temporaryName } from "./model.js";
import { type RecoveredTable, type RecoveryReport, reportDone, reportFailed, reportLeft } from "./recovery-report.js";
import { inspectRecoveryState, type RecoveryActionName, type TableState } from "./recovery-states.js";
import { replaceNames, type SchemaObject } from "./references.js";
import { Renaming, readObjects } from "./renaming.js";

/** Receives one line per table that recovery acted on or had to leave, to be logged at level warn. */
export type RecoveryLog = (line: string, table: RecoveredTable) => void;

/** The moves that make up an action, in this order. No other statement touches a table. */
interface Moves {
  readonly drops?: "table" | "temporary";
  /** Renames the table to its temporary name without touching what says that name. */
  readonly movesAside?: boolean;
  /** Renames the temporary table to its proper name, together with whatever says the temporary name. */
  readonly movesBack?: boolean;
}

const MOVES: Readonly<Record<RecoveryActionName, Moves>> = {
  none: {},
  leave: {},
  rename_back: { movesBack: true },
  drop_and_rename_back: { drops: "table", movesBack: true },
  heal_references: { movesAside: true, movesBack: true },
  drop_leftover_and_heal_references: { drops: "temporary", movesAside: true, movesBack: true },
};

/**
 * Brings every managed table that an interrupted or careless migration left behind back to its name, together with whatever
 * refers to it. Runs on every connect, before anything else reads or writes; no row is touched, so the cost does not grow
 * with the tables. Everything happens in one transaction and is decided inside it: it can be killed at any instant, run
 * again, and run by two processes at once.
 *
 * @param connection a writable connection outside a transaction.
 * @param managedTables the tables of the wanted schema.
 * @throws DriverError `DATABASE_BUSY`, `DISK_FULL`, `DATABASE_CORRUPT` … when SQLite cannot do the work at all. A table that
 *   cannot be recovered is no error: the report says so.
 */
export function recover(
  connection: Connection,
  managedTables: readonly string[],
  { log }: { readonly log?: RecoveryLog } = {},
): RecoveryReport {
  if (connection.inTransaction) throw new DriverError("INTERNAL", "Recovery cannot run inside a transaction.");
  try {
    const states = inspectRecoveryState(connection, managedTables);
    const tables = states.some(needsMoves)
      ? withForeignKeysOff(connection, () => inTransaction(connection, () => recoverTables(connection, managedTables)))
      : states.filter(isRemarkable).map((state) => reportLeft(connection, state));
    for (const table of tables) log?.(`[recovery] ${table.message}`, table);
    return {
      isChanged: tables.some(({ outcome }) => outcome === "done"),
      needsAttention: tables.some(({ outcome }) => outcome !== "done"),
      missingTables: states.filter(({ state }) => state === "absent").map(({ table }) => table),
      tables,
    };
  } catch (error) {
    throw fromSqliteError(error);
  }
}

/**
 * True when `error` concerns a temporary migration table: it names `temp_<managed table>`, or it already has the reason
 * `TEMP_TABLE_STATE`. Reads nothing but the error.
 */
export function isTempTableFailure(error: unknown, managedTables: readonly string[]): boolean {
  if (error instanceof DriverError && error.reason === "TEMP_TABLE_STATE") return true;
  const message = messageOf(error);
  if (!/temp_/i.test(message)) return false;
  const words = new Set(keyOf(message).match(/[\p{L}\p{N}_$]+/gu));
  return managedTables.some((table) => {
    const name = keyOf(temporaryName(table));
    // A table's name may hold any character; then it is not one word.
    return words.has(name) || (/[^\p{L}\p{N}_$]/u.test(name) && keyOf(message).includes(name));
  });
}

/** True when recovery would act on `state`. */
function needsMoves(state: TableState): boolean {
  return state.action !== "none" && state.action !== "leave";
}

function isRemarkable(state: TableState): boolean {
  return state.action !== "none";
}

/**
 * Looks again, now that nobody else can write, and carries out the action of every table. A table that SQLite refuses to
 * recover does not hold up the others. Inside a write transaction with foreign keys off.
 *
 * @param decide what to do about a state; default: its own action.
 */
export function recoverTables(
  connection: Connection,
  managedTables: readonly string[],
  decide: (state: TableState) => RecoveryActionName = ({ action }) => action,
): RecoveredTable[] {
  const inspect = (tables: readonly string[]) =>
    inspectRecoveryState(connection, tables).map((state) => ({ ...state, action: decide(state) }));
  const all = inspect(managedTables);
  try {
    return inSavepoint(connection, () => act(connection, all));
  } catch (error) {
    if (!isRefusal(error)) throw error;
  }
  return all.filter(isRemarkable).flatMap(({ table }) => {
    try {
      return inSavepoint(connection, () => act(connection, inspect([table])));
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return inspect([table])
        .filter(isRemarkable)
        .map((state) => reportFailed(state, error));
    }
  });
}

/** Everything `body` did or, when it throws, nothing of it; the transaction around it stays open. */
function inSavepoint<T>(connection: Connection, body: () => T): T {
  connection.exec("SAVEPOINT recovery");
  try {
    return body();
  } catch (error) {
    // A full disk or an I/O error has already rolled everything back.
    if (connection.inTransaction) connection.exec("ROLLBACK TO recovery");
    throw error;
  } finally {
    if (connection.inTransaction) connection.exec("RELEASE recovery");
  }
}

/** SQLite says no to a statement, as opposed to being unable to work. */
function isRefusal(error: unknown): boolean {
  return fromSqliteError(error).reason === "SQL_ERROR";
}

/** Acts, and proves the result. */
function act(connection: Connection, states: readonly TableState[]): RecoveredTable[] {
  const lost = moveTables(connection, states.filter(needsMoves));
  const after = inspectRecoveryState(
    connection,
    states.map(({ table }) => table),
  );
  return states.flatMap((state, index) => {
    if (!isRemarkable(state)) return [];
    if (!needsMoves(state)) return reportLeft(connection, state);
    const result = after[index];
    if (result?.state !== "healthy" && result?.state !== "dangling_references") {
      throw new DriverError("SQL_ERROR", `${state.table} is ${result?.state ?? "missing"} after recovery`);
    }
    return reportDone(state, result.references, lost.get(state) ?? []);
  });
}

/** @returns for every state the indexes and triggers that went with a dropped table and do not fit the one that stays. */
function moveTables(connection: Connection, states: readonly TableState[]): Map<TableState, string[]> {
  const objects = readObjects(connection);
  const renaming = new Renaming(connection);
  for (const { action, table, temporary } of states) {
    const { drops } = MOVES[action];
    if (drops === "table") dropCopy(connection, table, temporary);
    if (drops === "temporary") dropCopy(connection, temporary, table);
  }
  // All go aside before the first comes back: a view over two of them compiles only when both have the name it says.
  for (const { action, table, temporary } of states) {
    // Legacy mode is refused by a CHECK or partial index that names its own table.
    if (MOVES[action].movesAside) renaming.rename(table, temporary, ["legacy", "default"]);
  }
  for (const { action, table, temporary } of states) {
    if (MOVES[action].movesBack) renaming.rename(temporary, table, ["default", "legacy"]);
  }
  const newNames = new Map(states.map(({ table, temporary }) => [keyOf(temporary), table]));
  renaming.restore(newNames);
  return new Map(
    states
      .filter(({ action }) => MOVES[action].drops !== undefined)
      .map((state) => [state, recreate(connection, belongings(objects, state), newNames)]),
  );
}

/** Drops one of two copies and leaves `keeper` the higher of their AUTOINCREMENT marks, so that no id is given out twice. */
function dropCopy(connection: Connection, table: string, keeper: string): void {
  const marks = connection.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'").get();
  if (marks !== undefined) {
    connection
      .prepare(
        `UPDATE main.sqlite_sequence SET seq = max(seq, coalesce(
           (SELECT max(seq) FROM main.sqlite_sequence WHERE name = :table COLLATE NOCASE), 0))
         WHERE name = :keeper COLLATE NOCASE`,
      )
      .run({ table, keeper });
  }
  connection.exec(`DROP TABLE ${inMain(table)}`);
}

/** Indexes and triggers of the table that an action drops, in creation order. */
function belongings(objects: readonly SchemaObject[], { action, table, temporary }: TableState): SchemaObject[] {
  const dropped = keyOf(MOVES[action].drops === "table" ? table : temporary);
  return objects.filter(({ type, owner }) => (type === "index" || type === "trigger") && keyOf(owner) === dropped);
}

/** Makes again what does not exist. @returns what could not be made, each as `index i: message`. */
function recreate(
  connection: Connection,
  objects: readonly SchemaObject[],
  newNames: ReadonlyMap<string, string>,
): string[] {
  return objects.flatMap(({ type, name, sql }) => {
    const isThere = connection
      .prepare("SELECT 1 FROM main.sqlite_schema WHERE type = ? AND name = ? COLLATE NOCASE")
      .get(type, name);
    if (isThere !== undefined) return [];
    try {
      connection.exec(replaceNames(sql, newNames));
      return [];
    } catch (error) {
      const { message, reason } = fromSqliteError(error);
      if (reason !== "SQL_ERROR" && !reason.startsWith("CONSTRAINT_")) throw error;
      return [`${type} ${name}: ${message}`];
    }
  });
}

/**
 * Runs `body` with foreign keys off and puts both PRAGMAs back. Foreign keys cannot be switched inside a transaction
 * (https://sqlite.org/pragma.html#pragma_foreign_keys), and with them on a rename rewrites references and a DROP cascades.
 */
export function withForeignKeysOff<T>(connection: Connection, body: () => T): T {
  const saved = ["foreign_keys", "legacy_alter_table"].map((name) => ({
    name,
    value: Number(connection.pragma(name, { simple: true })),
  }));
  setPragma(connection, { name: "foreign_keys", value: 0 });
  try {
    return body();
  } finally {
    for (const pragma of saved) setPragma(connection, pragma);
  }
}
