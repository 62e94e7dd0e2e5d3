import { BUILT_IN_SCHEMA, managedTables, wantedModel } from "../../src/schema/built-in-schema.js";
import { findFullTextLinks } from "../../src/schema/full-text.js";
import { rebuildFullText } from "../../src/schema/integrity.js";
import { readTableInfo } from "../../src/schema/table-info.js";
import type { Connection } from "../../src/sqlite/connection.js";
import { quoteIdentifier } from "../../src/sqlite/identifiers.js";

/** What an installation may hang on the built-in schema. */
const DEPENDENTS = `
  CREATE VIEW file_classes AS SELECT files.path, classes.name FROM files JOIN classes ON classes.file_id = files.id;
  CREATE TRIGGER classes_touch AFTER INSERT ON classes BEGIN UPDATE files SET updated_at = 1 WHERE id = new.file_id; END;
  CREATE TRIGGER files_touch AFTER UPDATE OF path ON files BEGIN UPDATE files SET updated_at = 2 WHERE id = new.id; END;
`;

export const ROWS_PER_TABLE = 3;

/** The built-in schema with rows in every table, views and triggers; every column has a value. */
export function fillDatabase(connection: Connection): void {
  connection.exec(BUILT_IN_SCHEMA);
  fillTables(connection, managedTables(wantedModel()));
  for (const { table } of findFullTextLinks(wantedModel())) rebuildFullText(connection, table);
  connection.exec(DEPENDENTS);
}

/** Puts rows into tables, parents first; every column has a value. */
export function fillTables(connection: Connection, tables: readonly string[]): void {
  connection.exec("BEGIN");
  for (const table of tables) {
    const { columns, foreignKeys } = readTableInfo(connection, table);
    const references = new Set(foreignKeys.flatMap((key) => key.columns));
    const names = columns.map(({ name }) => quoteIdentifier(name)).join(", ");
    const insert = connection.prepare(`INSERT INTO ${table} (${names}) VALUES (${columns.map(() => "?").join(", ")})`);
    for (let row = 1; row <= ROWS_PER_TABLE; row++) {
      insert.run(
        columns.map(({ name, type, primaryKeyPosition }) => {
          const isKey = primaryKeyPosition > 0 || references.has(name);
          if (type === "TEXT") return isKey ? `key ${row}` : `${table} ${name} ${row}`;
          if (type === "REAL") return row + 0.5;
          return isKey ? row : row * 10;
        }),
      );
    }
  }
  connection.exec("COMMIT");
}

/** The four statements with the columns of the built-in `files`, `last_modified` now an INTEGER. */
function naiveMigration(connection: Connection): string[] {
  const { columns, sql } = readTableInfo(connection, "files");
  const names = columns.map(({ name }) => name).join(", ");
  return [
    "ALTER TABLE files RENAME TO temp_files",
    sql.replace("last_modified REAL", "last_modified INTEGER"),
    `INSERT INTO files (${names}) SELECT ${names} FROM temp_files`,
    "DROP TABLE temp_files",
  ];
}

/** Runs the first `count` of them as a careless program does. */
export function interruptNaiveMigration(connection: Connection, count: number, isLegacy = false): void {
  const statements = naiveMigration(connection).slice(0, count);
  connection.pragma("foreign_keys = OFF");
  connection.pragma(`legacy_alter_table = ${isLegacy ? "ON" : "OFF"}`);
  for (const statement of statements) connection.exec(statement);
  connection.pragma("legacy_alter_table = OFF");
  connection.pragma("foreign_keys = ON");
}
