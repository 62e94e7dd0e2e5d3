import type { SchemaDiff } from "./diff.js";
import { keyOf, type SchemaModel, type VirtualTable } from "./model.js";
import { keepsRowids } from "./rebuild.js";
import { tokenize } from "./tokens.js";

/** An FTS5 table and the table whose rows it indexes (https://sqlite.org/fts5.html#external_content_and_contentless_tables). */
export interface FullTextLink {
  readonly table: string;
  /** Folded name of the content table. */
  readonly content: string;
  /** Folded names of the indexed columns. */
  readonly columns: readonly string[];
}

/** The external-content FTS5 tables of a schema. */
export function findFullTextLinks(model: SchemaModel): FullTextLink[] {
  return fts5Tables(model).flatMap((table) => {
    const content = optionOf(table, "content");
    if (content === undefined || content === "") return [];
    const columns = table.arguments.flatMap((argument) => {
      const [first, second] = tokenize(argument);
      return first === undefined || second?.text === "=" ? [] : [keyOf(first.value)];
    });
    return [{ table: table.name, content: keyOf(content), columns }];
  });
}

/** FTS5 tables without content of their own or of another table: their index can never be rebuilt. */
export function findContentlessTables(model: SchemaModel): VirtualTable[] {
  return fts5Tables(model).filter((table) => optionOf(table, "content") === "");
}

/** True when the index would no longer fit its content table: new, or its rows got other rowids or other values. */
export function needsFullTextRebuild(diff: SchemaDiff, link: FullTextLink, rebuilt: ReadonlySet<string>): boolean {
  const key = keyOf(link.table);
  const isNew = diff.virtualTables.created.some(({ name }) => keyOf(name) === key);
  const isReplaced = diff.virtualTables.changed.some(({ to }) => keyOf(to.name) === key);
  if (isNew || isReplaced) return diff.live.tables.has(link.content) || diff.wanted.views.has(link.content);
  const table = diff.changedTables.find(({ to }) => keyOf(to.name) === link.content);
  if (table === undefined) return false;
  const changesValues = table.changes.some((change) => {
    if (change.kind === "change-column") return link.columns.includes(keyOf(change.to.name));
    return change.kind === "add-column" && link.columns.includes(keyOf(change.column.name));
  });
  return changesValues || (rebuilt.has(link.content) && !keepsRowids(table));
}

function fts5Tables(model: SchemaModel): VirtualTable[] {
  return [...model.virtualTables.values()].filter((table) => table.module === "fts5");
}

function optionOf(table: VirtualTable, option: string): string | undefined {
  for (const argument of table.arguments) {
    const [name, equals, value] = tokenize(argument);
    if (name?.value === option && equals?.text === "=") return value === undefined ? "" : value.value;
  }
  return undefined;
}
