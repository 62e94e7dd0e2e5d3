import { type Connection, openConnection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import type { SchemaModel } from "./model.js";
import type { Operation } from "./plan.js";

/** An object that could not be made again from its own text: it needs a function, collation or module that is not here. */
export interface Unclonable {
  readonly kind: "table" | "index" | "view" | "trigger" | "virtual-table";
  readonly name: string;
  readonly message: string;
}

/** A database in memory with the schema of a model and no rows; closed by whoever made it. */
export interface SchemaClone {
  readonly connection: Connection;
  readonly unclonable: readonly Unclonable[];
}

/** Makes an empty database with the schema `model`. */
export function cloneSchema(model: SchemaModel): SchemaClone {
  const connection = openConnection(":memory:", { role: "migration" });
  const unclonable: Unclonable[] = [];
  const kinds = [
    ["table", model.tables],
    ["virtual-table", model.virtualTables],
    ["index", model.indexes],
    ["view", model.views],
    ["trigger", model.triggers],
  ] as const;
  for (const [kind, objects] of kinds) {
    for (const { name, sql } of objects.values()) {
      try {
        connection.exec(sql);
      } catch (error) {
        unclonable.push({ kind, name, message: fromSqliteError(error).message });
      }
    }
  }
  return { connection, unclonable };
}

/** The operation that failed in a rehearsal and SQLite's message. */
export interface RehearsalFailure {
  readonly operation: Operation;
  readonly sql: string;
  readonly message: string;
}

/** Runs the operations on an empty clone; undefined when all succeed. */
export function rehearse(clone: Connection, operations: readonly Operation[]): RehearsalFailure | undefined {
  for (const operation of operations) {
    for (const { sql } of operation.steps) {
      try {
        clone.exec(sql);
      } catch (error) {
        return { operation, sql, message: fromSqliteError(error).message };
      }
    }
  }
  return undefined;
}
