import type { Connection } from "../../../src/sqlite/connection.js";
import { fillTables } from "../../recovery/full-database.js";
import { readSchemaFacts, schemaOfFacts } from "../../support/schema-facts.js";

/** The schema of existing databases, with these types for two columns of files, and triggers. */
export function factsSchema(types: { readonly lines: string; readonly lastModified: string }): string {
  const [before = "", files = "", ...after] = schemaOfFacts(readSchemaFacts()).split(
    /(?=CREATE TABLE (?:files|classes) )/,
  );
  const changed = files
    .replace("lines INTEGER", `lines ${types.lines}`)
    .replace("last_modified REAL", `last_modified ${types.lastModified}`);
  return [before, changed, ...after, TRIGGERS].join("");
}

/** Names of the tables, parents first. */
export function factsTables(): string[] {
  return readSchemaFacts().tables.map(({ name }) => name);
}

/** A database of `factsSchema` with rows in every table; what `files` holds in the two columns is to be converted. */
export function fillFactsDatabase(connection: Connection): void {
  connection.exec(factsSchema({ lines: "TEXT", lastModified: "REAL" }));
  fillTables(connection, factsTables());
  connection.exec(`
    UPDATE files SET lines = CASE id WHEN 1 THEN '120' WHEN 2 THEN '007' ELSE NULL END, last_modified = 1700000000.0 + id;
    UPDATE files SET last_modified = 1700000000.25 WHERE id = 3;
    INSERT INTO files (id, project_id, path) VALUES (900, 'key 1', 'gone'); DELETE FROM files WHERE id = 900;
  `);
}

const FTS_COLUMNS = ["entity_type", "entity_name", "content", "docstring"];
const values = (row: string) => ["rowid", ...FTS_COLUMNS].map((column) => `${row}.${column}`).join(", ");

const TRIGGERS = `
CREATE TRIGGER content_added AFTER INSERT ON code_content BEGIN
  INSERT INTO code_content_fts (rowid, ${FTS_COLUMNS.join(", ")}) VALUES (${values("new")}); END;
CREATE TRIGGER content_removed AFTER DELETE ON code_content BEGIN
  INSERT INTO code_content_fts (code_content_fts, rowid, ${FTS_COLUMNS.join(", ")}) VALUES ('delete', ${values("old")}); END;
CREATE TRIGGER file_moved AFTER UPDATE OF path ON files BEGIN
  UPDATE files SET original_path = old.path WHERE id = new.id; END;
CREATE TRIGGER file_touched AFTER UPDATE OF path ON files BEGIN UPDATE files SET updated_at = 1 WHERE id = new.id; END;
`;
