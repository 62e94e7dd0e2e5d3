import { DriverError } from "../errors.js";
import { type Connection, openConnection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inspectSchema } from "./introspection.js";
import type { SchemaModel } from "./model.js";
import { isKeyword, isOperator, type Token, tokenize } from "./tokens.js";

/**
 * Reads the wanted schema: CREATE statements, executed in a database in memory and read back like a live one, so that SQLite
 * itself decides what they mean.
 *
 * @throws DriverError `SQL_ERROR` with line and column, both from 1, when a statement is wrong or is not a CREATE.
 */
export function readWantedSchema(sql: string): SchemaModel {
  return inScratch((scratch) => {
    for (const statement of splitStatements(sql)) execute(scratch, sql, statement);
    return inspectSchema(scratch);
  });
}

/** One thing that a wanted schema declares. */
export interface WantedObject {
  readonly type: "table" | "virtual" | "index" | "view" | "trigger";
  readonly name: string;
  /** The table or view that an index or a trigger belongs to; else the name. */
  readonly table: string;
  /** Its CREATE statement. */
  readonly sql: string;
}

/** What `model` declares. */
export function objectsOf(model: SchemaModel): WantedObject[] {
  const { tables, virtualTables, indexes, views, triggers } = model;
  return [
    ...[...tables.values()].map(({ name, sql }) => ({ type: "table", name, table: name, sql }) as const),
    ...[...virtualTables.values()].map(({ name, sql }) => ({ type: "virtual", name, table: name, sql }) as const),
    ...[...indexes.values()].map(({ name, table, sql }) => ({ type: "index", name, table, sql }) as const),
    ...[...views.values()].map(({ name, sql }) => ({ type: "view", name, table: name, sql }) as const),
    ...[...triggers.values()].map(({ name, table, sql }) => ({ type: "trigger", name, table, sql }) as const),
  ];
}

/**
 * `objectsOf` the schema that a text of ours declares, without a look at what its statements mean, in a fraction of the time. The
 * text is executed as it is, so it must have nothing but CREATE statements.
 */
export function readTrustedObjects(sql: string): WantedObject[] {
  return inScratch((scratch) => {
    scratch.exec(sql);
    return scratch
      .prepare<[], WantedObject>(
        `SELECT coalesce(l.type, s.type) AS type, s.name, s.tbl_name AS "table", s.sql
         FROM sqlite_schema s LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name AND s.type IN ('table', 'view')
         WHERE s.sql IS NOT NULL AND s.name NOT LIKE 'sqlite~_%' ESCAPE '~' AND l.type IS NOT 'shadow' ORDER BY s.rowid`,
      )
      .all();
  });
}

function inScratch<T>(run: (scratch: Connection) => T): T {
  const scratch = openConnection(":memory:", { role: "migration" });
  try {
    return run(scratch);
  } finally {
    scratch.close();
  }
}

/** Cuts SQL into statements at the semicolons that end them, not at those inside a trigger's body; semicolons are dropped. */
export function splitStatements(sql: string): Token[][] {
  const statements: Token[][] = [];
  let statement: Token[] = [];
  let depth = 0;
  for (const token of tokenize(sql)) {
    if (depth === 0 && isOperator(token, ";")) {
      if (statement.length > 0) statements.push(statement);
      statement = [];
      continue;
    }
    statement.push(token);
    const isBody = isKeyword(token, "begin") && statement.some((earlier) => isKeyword(earlier, "trigger"));
    if (isBody || (depth > 0 && isKeyword(token, "case"))) depth++;
    if (depth > 0 && isKeyword(token, "end")) depth--;
  }
  if (statement.length > 0) statements.push(statement);
  return statements;
}

const CREATABLE = new Set(["table", "index", "unique", "view", "trigger", "virtual"]);

function execute(scratch: Connection, sql: string, statement: readonly Token[]): void {
  const [first, second] = statement;
  if (first === undefined) return;
  if (!isKeyword(first, "create") || second === undefined || !CREATABLE.has(second.value)) {
    throw mistake(sql, first.start, "only CREATE TABLE, INDEX, VIEW, TRIGGER and VIRTUAL TABLE can stand here");
  }
  const copy =
    isKeyword(second, "table") && statement.find((token) => isKeyword(token, "as") || isOperator(token, "("));
  if (copy && isKeyword(copy, "as")) {
    throw mistake(sql, copy.start, "a table is declared by its columns here, not by a SELECT");
  }
  try {
    // `prepare` takes one statement only. `exec` would run what a text hides behind words that can be names as well:
    // CREATE TABLE t (trigger, begin); ATTACH …
    scratch.prepare(textUpTo(sql, statement, statement.length - 1)).run();
  } catch (error) {
    throw mistake(sql, findMistake(scratch, sql, statement, error), explain(fromSqliteError(error).message), error);
  }
}

const UNRECOGNIZED = /^unrecognized token: "([\s\S]*)"$/;

/** SQLite quotes a text that is not closed up to the end of the file; its first line is enough to find it. */
function explain(message: string): string {
  const [line = "", ...more] = (UNRECOGNIZED.exec(message)?.[1] ?? "").split("\n");
  return more.length === 0 ? message : `the text or name that begins with ${line} is not closed`;
}

/**
 * Where SQLite gave up. For `near "x": syntax error` that is the first `x` up to which the statement, cut short, is no longer
 * merely incomplete; for a token that SQLite does not recognize, a text that is not closed above all, that token; for every other
 * error the last token that the message names; else the start of the statement.
 */
function findMistake(scratch: Connection, sql: string, statement: readonly Token[], error: unknown): number {
  const { message } = fromSqliteError(error);
  const near = /^near "([\s\S]*)": syntax error$/.exec(message)?.[1];
  if (near !== undefined) {
    const found = statement.findIndex(
      (token, index) => token.text === near && messageOf(scratch, textUpTo(sql, statement, index)) === message,
    );
    return statement[found]?.start ?? statement[0]?.start ?? 0;
  }
  const unrecognized = UNRECOGNIZED.exec(message)?.[1];
  if (unrecognized !== undefined) {
    return (statement.find((token) => token.text === unrecognized) ?? statement[0])?.start ?? 0;
  }
  if (message === "incomplete input") return statement.at(-1)?.end ?? 0;
  const named = statement.findLast((token) => token.kind !== "operator" && message.endsWith(`: ${token.value}`));
  return named?.start ?? statement[0]?.start ?? 0;
}

function messageOf(scratch: Connection, text: string): string | undefined {
  try {
    scratch.prepare(text);
    return undefined;
  } catch (error) {
    return fromSqliteError(error).message;
  }
}

function textUpTo(sql: string, statement: readonly Token[], last: number): string {
  return sql.slice(statement[0]?.start ?? 0, statement[last]?.end ?? 0);
}

function mistake(sql: string, offset: number, message: string, cause?: unknown): DriverError {
  const before = sql.slice(0, offset).split("\n");
  const column = (before.at(-1)?.length ?? 0) + 1;
  return new DriverError(
    "SQL_ERROR",
    `The wanted schema is wrong at line ${before.length}, column ${column}: ${message}.`,
    {
      hint: "Correct the schema file; nothing was changed.",
      cause,
    },
  );
}
