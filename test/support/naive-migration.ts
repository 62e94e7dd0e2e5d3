import type { Connection } from "../../src/sqlite/connection.js";

/**
 * The four statements that this project exists to replace, in one transaction, on a connection as better-sqlite3 opens it.
 * Tests run it as the control: what it destroys is what the migration must keep.
 */
export function migrateNaively(connection: Connection, table: string, createTable: string, columns = "*"): void {
  connection.pragma("foreign_keys = ON");
  connection.exec("BEGIN");
  try {
    connection.exec(`ALTER TABLE ${table} RENAME TO temp_${table}`);
    connection.exec(createTable);
    connection.exec(
      `INSERT INTO ${table} ${columns === "*" ? "" : `(${columns})`} SELECT ${columns} FROM temp_${table}`,
    );
    connection.exec(`DROP TABLE temp_${table}`);
    connection.exec("COMMIT");
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}
