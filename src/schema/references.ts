import type { Connection } from "../sqlite/connection.js";
import { quoteIdentifier } from "../sqlite/identifiers.js";
import { compileError, triggerProbes, viewProbe } from "./compilation.js";
import { keyOf } from "./model.js";
import { nameOf, type Token, tokenize } from "./tokens.js";

/** A row of sqlite_schema as far as references to other objects need it. */
export interface SchemaObject {
  readonly type: "table" | "index" | "view" | "trigger";
  readonly name: string;
  /** The table or view that an index or trigger belongs to; the object itself otherwise. */
  readonly owner: string;
  readonly sql: string;
}

/** `object` refers to the table `temporary` (folded name). */
export interface Reference {
  readonly temporary: string;
  readonly object: SchemaObject;
}

/**
 * Who among `objects` refers to one of the tables `temporaryNames` (folded).
 *
 * Foreign keys are read from SQLite. A view or trigger that says the name of a table which does not exist counts only when
 * SQLite, asked to compile it, misses a temporary table: the same word may be an alias, a common table expression or a
 * column.
 *
 * @param existing folded names of all tables, views and indexes.
 */
export function findReferences(
  connection: Connection,
  objects: readonly SchemaObject[],
  temporaryNames: ReadonlySet<string>,
  existing: { has(name: string): boolean },
): Reference[] {
  return objects.flatMap((object) => {
    if (object.type === "index") return [];
    const isTable = object.type === "table";
    const names = (isTable ? parentsOf(connection, object.name) : mentionedNames(object.sql)).filter(
      (name) =>
        // What belongs to the temporary table itself goes and comes with it.
        temporaryNames.has(name) && name !== keyOf(object.owner),
    );
    const isCertain = isTable || names.every((name) => existing.has(name));
    if (names.length === 0 || !(isCertain || missesTable(connection, object, temporaryNames))) return [];
    return [...new Set(names)].map((temporary) => ({ temporary, object }));
  });
}

/** `sql` with every name that is a key of `newNames` (folded) replaced; strings, comments and everything else as written. */
export function replaceNames(sql: string, newNames: ReadonlyMap<string, string>): string {
  let result = "";
  let end = 0;
  for (const token of tokenize(sql)) {
    const replacement = isName(token) ? newNames.get(keyOf(nameOf(token))) : undefined;
    if (replacement === undefined) continue;
    result += sql.slice(end, token.start) + quoteIdentifier(replacement);
    end = token.end;
  }
  return result + sql.slice(end);
}

/**
 * What SQLite says when it compiles a view, or the statements that fire a trigger: nothing when all is well. A trigger is
 * compiled together with the other triggers of its event, so a message may be about one of those.
 */
export function compileErrors(
  connection: Connection,
  { type, name, owner }: Pick<SchemaObject, "type" | "name" | "owner">,
): string[] {
  const probes = type === "view" ? [viewProbe(name)] : triggerProbes(connection, owner);
  return probes.flatMap((probe) => compileError(connection, probe) ?? []);
}

function missesTable(connection: Connection, object: SchemaObject, tables: ReadonlySet<string>): boolean {
  return compileErrors(connection, object).some((message) => {
    const missing = /^no such table: (?:main\.)?([\s\S]+)$/.exec(message)?.[1];
    return missing !== undefined && tables.has(keyOf(missing));
  });
}

function parentsOf(connection: Connection, table: string): string[] {
  return connection
    .prepare<[string], { parent: string }>(`SELECT DISTINCT "table" AS parent FROM pragma_foreign_key_list(?, 'main')`)
    .all(table)
    .map(({ parent }) => keyOf(parent));
}

function mentionedNames(sql: string): string[] {
  return tokenize(sql)
    .filter((token) => isName(token) || token.kind === "string")
    .map((token) => keyOf(nameOf(token)));
}

function isName(token: Token): boolean {
  return token.kind === "word" || token.kind === "quoted";
}
