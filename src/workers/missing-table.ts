import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";

/** The table that a failed statement did not find, from SQLite's message; undefined when it failed for another reason. */
export function missingTable(message: string): string | undefined {
  return /no such table: (?:main\.)?(.+?)\.?$/.exec(message)?.[1];
}

/**
 * What was thrown, with the reason `TEMP_TABLE_STATE` when a table is missing because a migration was interrupted: it is there
 * under its temporary name, or something in the schema refers to it by that name.
 */
export function explainMissingTable(connection: Connection, thrown: unknown): DriverError {
  const error = fromSqliteError(thrown);
  const table = error.reason === "SQL_ERROR" ? missingTable(error.message) : undefined;
  if (table === undefined || !isInterrupted(connection, table)) return error;
  const { reason: _, message, ...details } = error.toJSON();
  return new DriverError("TEMP_TABLE_STATE", message, {
    ...details,
    hint: "A migration was interrupted: call Recover, or run `config_cli doctor`.",
    cause: error,
  });
}

function isInterrupted(connection: Connection, table: string): boolean {
  const find = connection.prepare(
    `SELECT 1 FROM main.sqlite_schema
     WHERE type = 'table' AND name = 'temp_' || :table COLLATE NOCASE
       OR :table LIKE 'temp\\_%' ESCAPE '\\' AND instr(lower(sql), lower(:table)) > 0`,
  );
  return find.get({ table }) !== undefined;
}
