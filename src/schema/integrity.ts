import type { Connection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { findContentlessTables, findFullTextLinks } from "./full-text.js";
import { keyOf, type SchemaModel } from "./model.js";

const MAX_PROBLEMS = 100;

/** What PRAGMA integrity_check found (https://sqlite.org/pragma.html#pragma_integrity_check). */
export interface IntegrityProblems {
  /** Indexes that do not fit their table; making them anew loses nothing. */
  readonly staleIndexes: readonly string[];
  /** Everything else, in SQLite's words; at most 100. */
  readonly messages: readonly string[];
}

export function checkIntegrity(connection: Connection): IntegrityProblems {
  const lines = connection
    .prepare<[], string>(`PRAGMA main.integrity_check(${MAX_PROBLEMS})`)
    .pluck()
    .all()
    // `checkFullText` says it in more detail.
    .filter((line) => line !== "ok" && !line.includes("FTS5 table"));
  const staleIndexOf = (line: string) => /^(?:row \S+ missing from|wrong # of entries in) index (.+)$/.exec(line)?.[1];
  return {
    staleIndexes: [...new Set(lines.flatMap((line) => staleIndexOf(line) ?? []))],
    messages: lines.filter((line) => staleIndexOf(line) === undefined),
  };
}

/** Rows of one table that refer to missing rows of another. */
export interface ForeignKeyProblem {
  readonly table: string;
  readonly parent: string;
  readonly rowCount: number;
  /** Up to five; empty for a WITHOUT ROWID table. */
  readonly sampleRowids: readonly number[];
}

/** Every violated foreign key; a key that SQLite cannot check at all is an error of its own. */
export function checkForeignKeys(connection: Connection): ForeignKeyProblem[] {
  return connection
    .prepare<[], { table: string; parent: string; rowCount: number; rowids: string }>(
      `SELECT "table", parent, count(*) AS rowCount,
              json_group_array(rowid) FILTER (WHERE rowid IS NOT NULL AND rank <= 5) AS rowids
       FROM (SELECT *, row_number() OVER (PARTITION BY "table", fkid) AS rank FROM pragma_foreign_key_check)
       GROUP BY "table", fkid`,
    )
    .all()
    .map(({ rowids, ...problem }) => ({ ...problem, sampleRowids: parseRowids(rowids) }));
}

function parseRowids(json: string): number[] {
  const values: unknown = JSON.parse(json);
  return Array.isArray(values) ? values.filter((value) => typeof value === "number") : [];
}

/** An FTS5 table whose index does not fit its content. */
export interface FullTextProblem {
  readonly table: string;
  readonly message: string;
  /** False for a contentless table and while the content table is missing. */
  readonly canRebuild: boolean;
}

/**
 * Asks every FTS5 table to check itself, external content included (https://sqlite.org/fts5.html#the_integrity_check_command).
 * The command is an INSERT: it takes the write lock for a moment and writes nothing.
 */
export function checkFullText(connection: Connection, model: SchemaModel): FullTextProblem[] {
  const contentOf = new Map(findFullTextLinks(model).map(({ table, content }) => [keyOf(table), content]));
  const contentless = new Set(findContentlessTables(model).map(({ name }) => keyOf(name)));
  return [...model.virtualTables.values()]
    .filter(({ module }) => module === "fts5")
    .flatMap(({ name }) => {
      const content = contentOf.get(keyOf(name));
      const message = integrityErrorOf(connection, name, content === undefined ? 0 : 1);
      if (message === undefined) return [];
      const hasContent = content === undefined || model.tables.has(content) || model.views.has(content);
      return { table: name, message, canRebuild: !contentless.has(keyOf(name)) && hasContent };
    });
}

function integrityErrorOf(connection: Connection, table: string, rank: 0 | 1): string | undefined {
  try {
    connection.exec(
      `INSERT INTO ${inMain(table)} (${quoteIdentifier(table)}, rank) VALUES ('integrity-check', ${rank})`,
    );
    return undefined;
  } catch (error) {
    const { reason, message } = fromSqliteError(error);
    if (reason !== "DATABASE_CORRUPT" && reason !== "SQL_ERROR") throw error;
    return message;
  }
}

/** Makes the index of an FTS5 table anew from its content. */
export function rebuildFullText(connection: Connection, table: string): void {
  connection.exec(`INSERT INTO ${inMain(table)} (${quoteIdentifier(table)}) VALUES ('rebuild')`);
}
