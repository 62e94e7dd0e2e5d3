import type { Connection } from "../../src/sqlite/connection.js";

/**
 * A parent with everything that can hang on a table. Every dependent is a part of its own, so that a test can combine them.
 */
export const PARENT = `
  CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    path TEXT NOT NULL UNIQUE,
    size REAL,
    parent_id INTEGER REFERENCES files (id) ON DELETE SET NULL
  );
  CREATE INDEX idx_files_size ON files (size) WHERE size > 1;
  CREATE TABLE log (line TEXT);
`;

export const DEPENDENTS = {
  "a child's foreign key": `
    CREATE TABLE classes (id INTEGER PRIMARY KEY, file_id INTEGER NOT NULL REFERENCES files (id) ON DELETE CASCADE, name TEXT);`,
  "a view": `
    CREATE VIEW big AS SELECT path, size FROM files WHERE size > 1;
    CREATE VIEW bigger AS SELECT path FROM big;
    CREATE TRIGGER big_insert INSTEAD OF INSERT ON big BEGIN INSERT INTO files (path, size) VALUES (new.path, new.size); END;`,
  "a trigger of another table": `
    CREATE TABLE notes (id INTEGER PRIMARY KEY, path TEXT);
    CREATE TRIGGER notes_insert AFTER INSERT ON notes BEGIN INSERT OR IGNORE INTO files (path) VALUES (new.path); END;
    CREATE TRIGGER notes_second AFTER INSERT ON notes BEGIN INSERT INTO log VALUES ('second'); END;`,
  "its own triggers": `
    CREATE TRIGGER files_first AFTER UPDATE ON files BEGIN INSERT INTO log VALUES ('first'); END;
    CREATE TRIGGER files_second AFTER UPDATE OF size ON files WHEN new.size > 1
      BEGIN INSERT INTO log SELECT path FROM files WHERE id = new.id; END;
    CREATE TRIGGER files_third AFTER UPDATE ON files BEGIN INSERT INTO log VALUES ('third'); END;`,
  "a full-text index": `
    CREATE VIRTUAL TABLE files_fts USING fts5(path, content = 'files', content_rowid = 'id');
    CREATE TRIGGER files_fts_insert AFTER INSERT ON files
      BEGIN INSERT INTO files_fts (rowid, path) VALUES (new.id, new.path); END;
    CREATE TRIGGER files_fts_delete AFTER DELETE ON files
      BEGIN INSERT INTO files_fts (files_fts, rowid, path) VALUES ('delete', old.id, old.path); END;`,
} as const;

export type DependentKind = keyof typeof DEPENDENTS;

export const ROWS = `
  INSERT INTO files (id, path, size, parent_id) VALUES (1, 'a.py', 1.5, NULL), (2, 'b.py', 2.5, 1), (900, 'gone.py', 0, NULL);
  DELETE FROM files WHERE id = 900;
`;

export const DEPENDENT_ROWS: Partial<Record<DependentKind, string>> = {
  "a child's foreign key": "INSERT INTO classes (file_id, name) VALUES (1, 'A'), (2, 'B');",
  "a trigger of another table": "INSERT INTO notes (path) VALUES ('a.py');",
};

/** The four statements that this product exists to make safe, as careless programs run them. */
const NAIVE_MIGRATION = [
  "ALTER TABLE files RENAME TO temp_files",
  `CREATE TABLE files (
     id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
     path TEXT NOT NULL UNIQUE,
     size INTEGER,
     parent_id INTEGER REFERENCES files (id) ON DELETE SET NULL
   )`,
  "INSERT INTO files (id, path, size, parent_id) SELECT id, path, size, parent_id FROM temp_files",
  "DROP TABLE temp_files",
] as const;

/** Runs the first `count` statements of the naive migration, each committed by itself. */
export function runNaively(
  connection: Connection,
  count: number,
  { isLegacy = false, hasForeignKeys = false }: { isLegacy?: boolean; hasForeignKeys?: boolean } = {},
): void {
  connection.pragma(`foreign_keys = ${hasForeignKeys ? "ON" : "OFF"}`);
  connection.pragma(`legacy_alter_table = ${isLegacy ? "ON" : "OFF"}`);
  for (const statement of NAIVE_MIGRATION.slice(0, count)) connection.exec(statement);
  connection.pragma("legacy_alter_table = OFF");
  connection.pragma("foreign_keys = ON");
}

/** Every row of every table with the types of its values, by table; shadow tables included, internal ones but the marks not. */
export function readRows(connection: Connection): Record<string, unknown[]> {
  const tables = connection
    .prepare<[], { name: string }>(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY name",
    )
    .all();
  return Object.fromEntries(
    tables.map(({ name }) => {
      const columns = connection
        .prepare<[string], { name: string }>("SELECT name FROM pragma_table_xinfo(?)")
        .all(name);
      const quoted = columns.map((column) => `quote("${column.name}")`).join(" || ',' || ");
      return [name, connection.prepare<[], string>(`SELECT ${quoted} AS row FROM "${name}" ORDER BY 1`).pluck().all()];
    }),
  );
}

/**
 * Name and text of everything in the schema; names in double quotes are written without them. Sorted, except that the
 * triggers of one table keep the order in which they fire.
 */
export function readTexts(connection: Connection): string[] {
  return connection
    .prepare<[], { type: string; name: string; sql: string }>(
      `SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL
       ORDER BY type, lower(tbl_name), iif(type = 'trigger', rowid, 0), name`,
    )
    .all()
    .map(({ type, name, sql }) => `${type} ${name}: ${sql.replace(/"(\w+)"/g, "$1").replace(/\s+/g, " ")}`);
}
