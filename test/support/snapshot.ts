import { createHash } from "node:crypto";
import type { Connection } from "../../src/sqlite/connection.js";
import { inMain, quoteIdentifier } from "../../src/sqlite/identifiers.js";

/** Everything of a database that a refused or failed migration must leave as it was. */
export interface Snapshot {
  readonly schema: readonly unknown[];
  /** Per table, the number of rows and a hash over all values with their types, in rowid order. */
  readonly tables: Readonly<Record<string, { rows: number; hash: string }>>;
  readonly sequences: readonly unknown[];
  readonly pragmas: Readonly<Record<string, unknown>>;
}

const PRAGMAS = ["user_version", "application_id", "page_size", "auto_vacuum", "encoding", "journal_mode"];

export function snapshot(connection: Connection): Snapshot {
  const schema = connection.prepare("SELECT type, name, tbl_name, sql FROM main.sqlite_schema ORDER BY rowid").all();
  const names = connection
    .prepare<[], string>(
      "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
    )
    .pluck()
    .all();
  const hasSequence = connection.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = 'sqlite_sequence'").get();
  return {
    schema,
    tables: Object.fromEntries(names.sort().map((name) => [name, hashTable(connection, name)])),
    sequences: hasSequence ? connection.prepare("SELECT name, seq FROM main.sqlite_sequence ORDER BY name").all() : [],
    pragmas: Object.fromEntries(PRAGMAS.map((name) => [name, connection.pragma(name, { simple: true })])),
  };
}

/** Rows and hash of a table, over the given columns or all of them; a rowid counts as a value. */
export function hashTable(
  connection: Connection,
  table: string,
  columns?: readonly string[],
): { rows: number; hash: string } {
  const names =
    columns ??
    connection.prepare<[string], string>("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1").pluck().all(table);
  const isWithoutRowid =
    connection.prepare("SELECT 1 FROM pragma_table_list WHERE name = ? AND wr = 1").get(table) !== undefined;
  const values = names.map(
    (name) =>
      `typeof(${quoteIdentifier(name)}) || hex(CAST(${quoteIdentifier(name)} AS BLOB)) || quote(${quoteIdentifier(name)})`,
  );
  const rowid = isWithoutRowid ? [] : ["rowid"];
  const sql = `SELECT ${[...rowid, ...values].join(" || '|' || ")} FROM ${inMain(table)} ORDER BY 1`;
  const hash = createHash("sha256");
  let rows = 0;
  for (const value of connection.prepare<[], string>(sql).pluck().iterate()) {
    hash.update(`${value}\n`);
    rows++;
  }
  return { rows, hash: hash.digest("hex") };
}
