import { readFileSync } from "node:fs";
import { fixturePath } from "./fixtures.js";

/** A table of existing code-analysis databases in the notation of `test/fixtures/schema-facts.txt`. */
export interface TableFacts {
  readonly name: string;
  readonly columns: readonly string[];
  readonly foreignKeys: readonly string[];
  readonly uniques: readonly string[];
}

export interface SchemaFacts {
  readonly tables: readonly TableFacts[];
  readonly indexes: readonly string[];
  readonly fullText: string;
}

/** The facts, written down from existing databases, one line each. */
export function readSchemaFacts(): SchemaFacts {
  const tables: { name: string; columns: string[]; foreignKeys: string[]; uniques: string[] }[] = [];
  const indexes: string[] = [];
  let fullText = "";
  let isIndexes = false;
  for (const line of readFileSync(fixturePath("schema-facts.txt"), "utf8").split("\n")) {
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

/** The CREATE statements of the databases that the facts describe. */
export function schemaOfFacts({ tables, indexes, fullText }: SchemaFacts): string {
  return [
    ...tables.map(
      ({ name, columns, foreignKeys, uniques }) =>
        `CREATE TABLE ${name} (\n  ${[
          ...columns.map((column) => column.replace(/DEFAULT (julianday\(.*\))$/, "DEFAULT ($1)")),
          ...foreignKeys.map((key) => key.replace(/^fk (\S+) -> (\S+) (\S+) on delete (.+)$/, FOREIGN_KEY)),
          ...uniques.map((unique) => unique.replace(/^unique (.+)$/, "UNIQUE ($1)")),
        ].join(",\n  ")}\n)`,
    ),
    ...indexes.map((index) => `CREATE INDEX ${index}`),
    `CREATE VIRTUAL TABLE ${fullText.replace(/^(\S+) fts5\((.+)\), content=(\w+), content_rowid=(\w+)$/, FULL_TEXT)}`,
    "",
  ].join(";\n");
}

const FOREIGN_KEY = "FOREIGN KEY ($1) REFERENCES $2 ($3) ON DELETE $4";
const FULL_TEXT = "$1 USING fts5($2, content='$3', content_rowid='$4')";
