import type { SchemaDiff } from "./diff.js";
import { findColumn, keyOf, type SchemaModel, type VirtualTable } from "./model.js";
import { keepsRowids, ROWID_NAMES } from "./rebuild.js";
import { tokenize } from "./tokens.js";

/** An FTS5 table and the table whose rows it indexes (https://sqlite.org/fts5.html#external_content_and_contentless_tables). */
export interface FullTextLink {
  readonly table: string;
  /** Folded name of the content table or view. */
  readonly content: string;
  /** The column of the content that holds the rowid. */
  readonly rowid: string;
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
    return [
      { table: table.name, content: keyOf(content), rowid: optionOf(table, "content_rowid") ?? "rowid", columns },
    ];
  });
}

/** FTS5 tables without content of their own or of another table: their index can never be rebuilt. */
export function findContentlessTables(model: SchemaModel): VirtualTable[] {
  return fts5Tables(model).filter((table) => optionOf(table, "content") === "");
}

/**
 * The links that there are after a migration: of the wanted full-text tables, and of live ones that are not wanted, which stay
 * and must go on fitting their content.
 */
export function linksAfter({ live, wanted }: SchemaDiff): FullTextLink[] {
  return [
    ...findFullTextLinks(wanted),
    ...findFullTextLinks(live).filter(({ table }) => !wanted.virtualTables.has(keyOf(table))),
  ];
}

/** True when the index would no longer fit its content: new, or rows of the content got other rowids or other values. */
export function needsFullTextRebuild(diff: SchemaDiff, link: FullTextLink, rebuilt: ReadonlySet<string>): boolean {
  const key = keyOf(link.table);
  const isNew = diff.virtualTables.created.some(({ name }) => keyOf(name) === key);
  const isReplaced = diff.virtualTables.changed.some(({ to }) => keyOf(to.name) === key);
  if (isNew || isReplaced) return diff.live.tables.has(link.content) || diff.wanted.views.has(link.content);
  if (diff.live.views.has(link.content)) return isViewAffected(diff, link.content);
  const table = diff.changedTables.find(({ to }) => keyOf(to.name) === link.content);
  if (table === undefined) return false;
  const changesValues = table.changes.some((change) => {
    if (change.kind === "change-column") return link.columns.includes(keyOf(change.to.name));
    return change.kind === "add-column" && link.columns.includes(keyOf(change.column.name));
  });
  return changesValues || (rebuilt.has(link.content) && !keepsRowids(table));
}

/** True when a view, or one that it mentions, changes, or a table that it mentions does: its rows may be others. */
function isViewAffected(diff: SchemaDiff, view: string): boolean {
  const changed = new Set([
    ...diff.views.changed.map(({ to }) => keyOf(to.name)),
    ...diff.changedTables.map(({ to }) => keyOf(to.name)),
  ]);
  const mentioned = new Set([view]);
  for (const name of mentioned) {
    if (changed.has(name)) return true;
    for (const token of tokenize(diff.live.views.get(name)?.body ?? "")) mentioned.add(keyOf(token.value));
  }
  return false;
}

/** Columns that full-text tables read and that a migration takes from their content; SQLite misses them only at a query. */
export function findLostColumns(diff: SchemaDiff, original: SchemaModel): { link: FullTextLink; column: string }[] {
  return linksAfter(diff).flatMap((link) => {
    const before = original.tables.get(link.content);
    const after = diff.wanted.tables.get(link.content);
    if (before === undefined || after === undefined) return [];
    const isKnown = original.virtualTables.has(keyOf(link.table));
    return [...link.columns, keyOf(link.rowid)]
      .filter((column) => findColumn(after, column) === undefined && !ROWID_NAMES.includes(column))
      .filter((column) => !isKnown || findColumn(before, column) !== undefined)
      .map((column) => ({ link, column }));
  });
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
