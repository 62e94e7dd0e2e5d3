import type { Connection } from "../sqlite/connection.js";
import { isSqliteError } from "../sqlite/errors.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";

/** A statement to be compiled and never run. */
export interface Probe {
  readonly event: "select" | "insert" | "delete" | "update";
  readonly sql: string;
}

/** Compiles a view. */
export function viewProbe(view: string): Probe {
  return { event: "select", sql: `SELECT * FROM ${inMain(view)}` };
}

/** Compile every trigger of a table or view: a statement is compiled together with the triggers that it would fire. */
export function triggerProbes(connection: Connection, owner: string): Probe[] {
  const target = inMain(owner);
  const assignments = writableColumns(connection, owner).map((column) => `${column} = ${column}`);
  return [
    { event: "insert", sql: `INSERT INTO ${target} DEFAULT VALUES` },
    { event: "delete", sql: `DELETE FROM ${target}` },
    ...(assignments.length === 0
      ? []
      : [{ event: "update", sql: `UPDATE ${target} SET ${assignments.join(", ")}` } as const]),
  ];
}

/** What SQLite says when it compiles the probe; undefined when all is well. */
export function compileError(connection: Connection, { sql }: Probe): string | undefined {
  try {
    connection.prepare(sql);
    return undefined;
  } catch (error) {
    if (!isSqliteError(error)) throw error;
    // Only says that the view has no INSTEAD OF trigger for this event.
    return error.message.startsWith("cannot modify ") ? undefined : error.message;
  }
}

function writableColumns(connection: Connection, table: string): string[] {
  try {
    return connection
      .prepare<[string], { name: string }>("SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden = 0")
      .all(table)
      .map(({ name }) => quoteIdentifier(name));
  } catch (error) {
    // The columns of a view that does not compile cannot be listed; the other probes say why.
    if (isSqliteError(error)) return [];
    throw error;
  }
}
