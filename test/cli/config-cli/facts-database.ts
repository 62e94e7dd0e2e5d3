import { readFileSync } from "node:fs";
import type { Connection } from "../../../src/sqlite/connection.js";
import { fillTables } from "../../recovery/full-database.js";
import { fixturePath } from "../../support/fixtures.js";

interface Facts {
  readonly tables: { readonly name: string; readonly definitions: string[] }[];
  readonly indexes: string[];
}

/** CREATE statements for the tables and indexes of existing databases, with the types that `types` gives some columns of files. */
export function factsSchema(types: { readonly lines: string; readonly lastModified: string }): string {
  const { tables, indexes } = readSchemaFacts();
  const statements = tables.map(({ name, definitions }) => {
    const text = `CREATE TABLE ${name} (${definitions.join(", ")})`;
    if (name !== "files") return text;
    return text
      .replace("lines INTEGER", `lines ${types.lines}`)
      .replace("last_modified REAL", `last_modified ${types.lastModified}`);
  });
  return `${[...statements, ...indexes, FULL_TEXT, ...TRIGGERS].join(";\n")};\n`;
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

const FULL_TEXT =
  "CREATE VIRTUAL TABLE code_content_fts USING fts5(entity_type, entity_name, content, docstring, content='code_content', content_rowid='rowid')";

const FTS_COLUMNS = ["entity_type", "entity_name", "content", "docstring"];
const values = (row: string) => ["rowid", ...FTS_COLUMNS].map((column) => `${row}.${column}`).join(", ");

const TRIGGERS = [
  `CREATE TRIGGER content_added AFTER INSERT ON code_content BEGIN
    INSERT INTO code_content_fts (rowid, ${FTS_COLUMNS.join(", ")}) VALUES (${values("new")}); END`,
  `CREATE TRIGGER content_removed AFTER DELETE ON code_content BEGIN
    INSERT INTO code_content_fts (code_content_fts, rowid, ${FTS_COLUMNS.join(", ")}) VALUES ('delete', ${values("old")}); END`,
  "CREATE TRIGGER file_moved AFTER UPDATE OF path ON files BEGIN UPDATE files SET original_path = old.path WHERE id = new.id; END",
  "CREATE TRIGGER file_touched AFTER UPDATE OF path ON files BEGIN UPDATE files SET updated_at = 1 WHERE id = new.id; END",
];

function readSchemaFacts(): Facts {
  const facts: Facts = { tables: [], indexes: [] };
  let isIndexes = false;
  for (const line of readFileSync(fixturePath("schema-facts.txt"), "utf8").split("\n")) {
    const name = /^table (\w+)$/.exec(line)?.[1];
    const fact = /^ {3}(.+)$/.exec(line)?.[1]?.trim();
    if (name !== undefined) facts.tables.push({ name, definitions: [] });
    else if (line === "indexes") isIndexes = true;
    else if (fact !== undefined && isIndexes) facts.indexes.push(`CREATE INDEX ${fact}`);
    else if (fact !== undefined) facts.tables.at(-1)?.definitions.push(definition(fact));
  }
  return facts;
}

function definition(fact: string): string {
  const [, column, parent, parentColumn, action] = /^fk (\w+) -> (\w+) (\w+) on delete (.+)$/.exec(fact) ?? [];
  if (column !== undefined) {
    return `FOREIGN KEY (${column}) REFERENCES ${parent} (${parentColumn}) ON DELETE ${action}`;
  }
  if (fact.startsWith("unique ")) return `UNIQUE (${fact.slice("unique ".length)})`;
  return fact.replace("DEFAULT julianday('now')", "DEFAULT (julianday('now'))");
}
