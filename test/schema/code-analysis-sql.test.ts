import assert from "node:assert/strict";
import { BUILT_IN_SCHEMA, managedTables, wantedModel } from "../../src/schema/built-in-schema.js";
import { SQLiteSchemaManager } from "../../src/schema/schema-manager.js";
import { type IndexInfo, readTableInfo, type TableInfo } from "../../src/schema/table-info.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { readSchemaFacts, schemaOfFacts, type TableFacts } from "../support/schema-facts.js";

/** Tables of the driver's own; existing databases get them when it opens them. */
const OWN_TABLES = ["indexed_files", "extractions", "external_uses", "symbols"];

/** Indexes on the tables of existing databases that only `config_cli schema` gives them: nothing depends on them but speed. */
const ADDED_INDEXES = ["issues", "code_chunks"].flatMap((table) =>
  ["class", "function", "method"].map(
    (kind) => `idx_${table}_${kind} on ${table} ( ${kind}_id ) where ${kind}_id IS NOT NULL`,
  ),
);

/** A live table in the notation of the facts. */
function factsOf(info: TableInfo): TableFacts {
  const isAutoincrement = /\bAUTOINCREMENT\b/.test(info.sql);
  return {
    name: info.name,
    columns: info.columns.map((column) =>
      [
        `${column.name} ${column.type}`,
        ...(column.primaryKeyPosition > 0 ? ["PRIMARY KEY"] : []),
        ...(column.primaryKeyPosition > 0 && isAutoincrement ? ["AUTOINCREMENT"] : []),
        ...(column.isNotNull ? ["NOT NULL"] : []),
        ...(column.defaultSql !== undefined ? [`DEFAULT ${column.defaultSql}`] : []),
      ].join(" "),
    ),
    foreignKeys: info.foreignKeys.map(
      (key) => `fk ${key.columns.join()} -> ${key.parentTable} ${key.parentColumns.join()} on delete ${key.onDelete}`,
    ),
    uniques: info.indexes.filter(({ origin }) => origin === "unique").map((index) => `unique ${columnsOf(index)}`),
  };
}

function indexFact(table: string, index: IndexInfo): string {
  const where = / WHERE ([\s\S]+)$/.exec(index.sql ?? "")?.[1];
  return `${index.name} on ${table} ( ${columnsOf(index)} )${where === undefined ? "" : ` where ${where}`}`;
}

function columnsOf(index: IndexInfo): string {
  return index.columns.map(({ name }) => name).join();
}

describe("code-analysis.sql", () => {
  const facts = readSchemaFacts();
  const connection = openConnection(":memory:", { role: "writer" });
  connection.exec(BUILT_IN_SCHEMA);
  after(() => connection.close());

  it("declares the tables of existing code-analysis databases, and the driver's own", () => {
    assert.equal(facts.tables.length, 24);
    assert.deepEqual(
      managedTables(wantedModel()).filter((name) => !OWN_TABLES.includes(name)),
      facts.tables.map(({ name }) => name),
    );
  });

  for (const expected of facts.tables) {
    it(`declares ${expected.name} with the same columns, keys and defaults`, () => {
      assert.deepEqual(factsOf(readTableInfo(connection, expected.name)), expected);
    });
  }

  it("declares the same indexes, and few others", () => {
    const indexes = facts.tables.flatMap(({ name }) =>
      readTableInfo(connection, name)
        .indexes.filter(({ origin }) => origin === "index")
        .map((index) => indexFact(name, index)),
    );
    assert.deepEqual(indexes.sort(), [...facts.indexes, ...ADDED_INDEXES].sort());
  });

  it("differs from an existing database in nothing that the driver would have to alter", () => {
    const existing = openConnection(":memory:", { role: "writer" });
    existing.exec(schemaOfFacts(facts));
    const { createdTables, drift } = new SQLiteSchemaManager(existing).syncSchema();
    assert.deepEqual(createdTables, [...OWN_TABLES, "symbols_fts"]);
    assert.equal(drift.length, ADDED_INDEXES.length, drift.join("\n"));
    for (const line of drift) assert.match(line, /\bidx_(issues|code_chunks)_(class|function|method)\b/);
    existing.close();
  });

  it("declares the full-text table over code_content", () => {
    const info = readTableInfo(connection, "code_content_fts");
    const columns = info.columns.filter(({ kind }) => kind === "ordinary").map(({ name }) => name);
    const option = (name: string) => new RegExp(`\\b${name} = '(\\w+)'`).exec(info.sql)?.[1];
    assert.equal(
      `code_content_fts fts5(${columns.join(", ")}), content=${option("content")}, content_rowid=${option("content_rowid")}`,
      facts.fullText,
    );
  });
});
