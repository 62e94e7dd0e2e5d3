import { readFileSync } from "node:fs";

/** One table of existing code-analysis databases, in the notation of `test/fixtures/schema-facts.txt`. */
export interface TableFacts {
  readonly name: string;
  readonly columns: string[];
  readonly foreignKeys: string[];
  readonly uniques: string[];
}

export interface SchemaFacts {
  readonly tables: TableFacts[];
  readonly indexes: string[];
  readonly fullText: string;
}

/** What existing code-analysis databases look like, written down from them: one line each. */
export function readFacts(): SchemaFacts {
  const text = readFileSync(new URL("../../../test/fixtures/schema-facts.txt", import.meta.url), "utf8");
  const tables: TableFacts[] = [];
  const indexes: string[] = [];
  let fullText = "";
  let isIndexes = false;
  for (const line of text.split("\n")) {
    const [, name] = /^table (\w+)$/.exec(line) ?? [];
    const fact = /^ {3}(.+)$/.exec(line)?.[1]?.trim();
    const table = tables.at(-1);
    if (name !== undefined) tables.push({ name, columns: [], foreignKeys: [], uniques: [] });
    else if (line === "indexes") isIndexes = true;
    else if (line.startsWith("full text: ")) fullText = line.slice("full text: ".length);
    else if (fact === undefined) continue;
    else if (isIndexes) indexes.push(fact);
    else if (fact.startsWith("fk ")) table?.foreignKeys.push(fact);
    else if (fact.startsWith("unique ")) table?.uniques.push(fact);
    else table?.columns.push(fact);
  }
  return { tables, indexes, fullText };
}

/** CREATE statements for a database with exactly these facts. */
export function sqlOfFacts({ tables, indexes, fullText }: SchemaFacts): string {
  const statements = tables.map(({ name, columns, foreignKeys, uniques }) => {
    const parts = [
      ...columns.map((column) => column.replace("julianday('now')", "(julianday('now'))")),
      ...foreignKeys.map((key) =>
        key.replace(/^fk (\w+) -> (\w+) (\w+) on delete (.+)$/, "FOREIGN KEY ($1) REFERENCES $2 ($3) ON DELETE $4"),
      ),
      ...uniques.map((unique) => unique.replace(/^unique (.+)$/, "UNIQUE ($1)")),
    ];
    return `CREATE TABLE ${name} (${parts.join(", ")});`;
  });
  statements.push(...indexes.map((index) => `CREATE INDEX ${index};`));
  const [, name, columns, content] = /^(\w+) fts5\((.+?)\), content=(\w+),/.exec(fullText) ?? [];
  statements.push(`CREATE VIRTUAL TABLE ${name} USING fts5(${columns}, content='${content}', content_rowid='rowid');`);
  return statements.join("\n");
}
