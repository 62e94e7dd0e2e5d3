import { type Connection, openConnection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { quoteText } from "../sqlite/identifiers.js";
import type { SchemaModel } from "./model.js";
import type { Operation } from "./plan.js";
import { tokenize } from "./tokens.js";

/** An object that could not be made again from its own text: it needs a function, collation or module that is not here. */
export interface Unclonable {
  readonly kind: "table" | "index" | "view" | "trigger" | "virtual-table";
  readonly name: string;
  readonly message: string;
}

/** A database in memory with the schema of a model and no rows. */
export interface SchemaClone {
  readonly connection: Connection;
  readonly unclonable: readonly Unclonable[];
}

/** Makes an empty database with the schema `model`. */
function cloneSchema(model: SchemaModel): SchemaClone {
  const connection = openConnection(":memory:", { role: "migration" });
  const unclonable: Unclonable[] = [];
  const repaired: { readonly name: string; readonly sql: string }[] = [];
  const kinds = [
    ["table", model.tables],
    ["virtual-table", model.virtualTables],
    ["index", model.indexes],
    ["view", model.views],
    ["trigger", model.triggers],
  ] as const;
  for (const [kind, objects] of kinds) {
    for (const object of objects.values()) {
      try {
        if (create(connection, object.sql) !== object.sql) repaired.push(object);
      } catch (error) {
        unclonable.push({ kind, name: object.name, message: fromSqliteError(error).message });
      }
    }
  }
  restoreTexts(connection, repaired);
  return { connection, unclonable };
}

const MISTAKEN_NAME = /^no such column: "(.*)" - should this be a string literal/;

/**
 * Runs a CREATE statement. Strings in double quotes, which this SQLite takes for names but loads when another program wrote
 * them (https://sqlite.org/quirks.html §8), are put in single quotes as often as it complains. Returns the text that worked.
 */
function create(connection: Connection, sql: string): string {
  try {
    connection.exec(sql);
    return sql;
  } catch (error) {
    const name = MISTAKEN_NAME.exec(fromSqliteError(error).message)?.[1];
    const token = tokenize(sql).find((one) => one.kind === "quoted" && one.value === name);
    if (token === undefined) throw error;
    return create(connection, sql.slice(0, token.start) + quoteText(token.value) + sql.slice(token.end));
  }
}

/** Puts back the texts as they were, so that the clone refuses what the original refuses. */
function restoreTexts(
  connection: Connection,
  objects: readonly { readonly name: string; readonly sql: string }[],
): void {
  if (objects.length === 0) return;
  connection.unsafeMode(true);
  connection.pragma("writable_schema = ON");
  const update = connection.prepare("UPDATE sqlite_schema SET sql = ? WHERE name = ?");
  for (const { name, sql } of objects) update.run(sql, name);
  connection.pragma("writable_schema = RESET");
  connection.unsafeMode(false);
}

/** Lets `use` work with an empty database of the schema `model` and closes it. */
export function withClone<T>(model: SchemaModel, use: (clone: SchemaClone) => T): T {
  const clone = cloneSchema(model);
  try {
    return use(clone);
  } finally {
    clone.connection.close();
  }
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
