import { readFileSync } from "node:fs";
import { fixturePath } from "../support/fixtures.js";

/** The schema of existing code-analysis databases as SQL, from the facts that were written down about them. */
export function existingSchema(): string {
  const sql: string[] = [];
  let table: { name: string; parts: string[] } | undefined;
  const flush = () => {
    if (table !== undefined) sql.push(`CREATE TABLE ${table.name} (${table.parts.join(", ")});`);
    table = undefined;
  };
  for (const line of readFileSync(fixturePath("schema-facts.txt"), "utf8").split("\n")) {
    const [, newTable] = /^table (\w+)$/.exec(line) ?? [];
    const [, index, on, columns, where] = /^ {3}(\w+) on (\w+) \((.*?)\)(?: where (.*))?$/.exec(line) ?? [];
    const [, foreign, parent, parentColumn, action] = /^ {3}fk (\S+) -> (\w+) (\w+) on delete (.+)$/.exec(line) ?? [];
    const [, unique] = /^ {3}unique (.+)$/.exec(line) ?? [];
    const [, fullText, fields] = /^full text: (\w+) fts5\((.*)\), content=/.exec(line) ?? [];
    if (newTable !== undefined) {
      flush();
      table = { name: newTable, parts: [] };
    } else if (foreign !== undefined) {
      table?.parts.push(`FOREIGN KEY (${foreign}) REFERENCES ${parent} (${parentColumn}) ON DELETE ${action}`);
    } else if (unique !== undefined) {
      table?.parts.push(`UNIQUE (${unique})`);
    } else if (index !== undefined) {
      flush();
      sql.push(`CREATE INDEX ${index} ON ${on} (${columns})${where === undefined ? "" : ` WHERE ${where}`};`);
    } else if (fullText !== undefined) {
      sql.push(
        `CREATE VIRTUAL TABLE ${fullText} USING fts5(${fields}, content='code_content', content_rowid='rowid');`,
      );
    } else if (line.startsWith("   ") && table !== undefined) {
      table.parts.push(line.trim().replace(/DEFAULT (julianday.*)$/, "DEFAULT ($1)"));
    }
  }
  flush();
  return sql.join("\n");
}
