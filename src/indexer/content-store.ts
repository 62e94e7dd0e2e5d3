import type { Connection } from "../sqlite/connection.js";
import { type BoundValue, createRowInserter } from "../sqlite/row-inserter.js";
import { createContentIndex } from "./content-index.js";
import type { DefinitionKind } from "./entities.js";
import { simpleName } from "./file-scopes.js";
import { familyOf } from "./languages/registry.js";
import { wordsOfName } from "./name-words.js";
import type { NamedDefinition, StoredFileInput } from "./stored-file.js";

/**
 * The texts of a file and of its entities (`code_content`), where they are and what they are called (`symbols`, row for row with
 * the same id), and the full-text index over each. Rows of `code_content` that another program wrote have no row of `symbols`;
 * they are replaced when their file is written.
 */
export interface ContentStore {
  /** Brings the rows of a file to its new content; rows whose text has not changed are not indexed again. */
  write(file: ContentInput): { readonly rows: number; readonly changed: readonly NamedDefinition[] };
  /** Deletes the rows of a file, whose language was `language`, and answers the definitions that other files could name. */
  remove(fileId: number, language: string | null): readonly NamedDefinition[];
}

/** A file whose entities have rows already. */
export interface ContentInput {
  readonly file: StoredFileInput;
  readonly fileId: number;
  /** True when the file has no rows yet. */
  readonly isNew: boolean;
  /** The language in which its rows were made that are there; null when there are none. */
  readonly languageBefore: string | null;
  /** The id of the row of each definition. */
  readonly ids: Float64Array;
  /** As `FileBindings.scopes`. */
  readonly scopes: readonly (string | null)[];
}

type EntityType = DefinitionKind | "file";

interface StoredContent {
  readonly id: number;
  readonly entity_type: string;
  readonly entity_id: number | null;
  readonly entity_name: string | null;
  readonly content: string;
  readonly docstring: string | null;
}

interface StoredSymbol {
  readonly id: number;
  readonly type: EntityType;
  readonly entityId: number;
  readonly name: string;
  readonly scope: string | null;
  readonly start_line: number;
  readonly line: number;
  readonly end_line: number;
}

/** One entity as both tables hold it. */
interface Entry {
  readonly type: EntityType;
  readonly entityId: number;
  /** `code_content.entity_name`: the name as defined, which for a file is its path. */
  readonly entityName: string;
  readonly content: string;
  readonly docstring: string | null;
  readonly name: string;
  readonly scope: string | null;
  readonly startLine: number;
  readonly line: number;
  readonly endLine: number;
}

/**
 * The texts of all entities together are at most this many times the text of the file; real code needs three times. Functions
 * nested a thousand deep would otherwise need the square of it.
 */
const MAX_TEXT_RATIO = 8;

/** What an entity past that limit keeps of its text, in UTF-16 code units: its first line or two. */
const CUT_TEXT_UNITS = 200;

/** Prepares the statements for `connection`. */
export function createContentStore(connection: Connection): ContentStore {
  const contentIndex = createContentIndex(connection);
  const insertContent = createRowInserter(connection, "code_content", [
    ...["id", "file_id", "entity_type", "entity_id", "entity_name", "content", "docstring"],
  ]);
  const insertSymbols = createRowInserter(connection, "symbols", [
    ...["id", "project_id", "file_id", "entity_type", "entity_id", "name", "scope", "words"],
    ...["start_line", "line", "end_line"],
  ]);
  const nextId = connection
    .prepare<[], number>(
      // What is left of a row that somebody deleted here alone must not become part of a new one.
      `SELECT 1 + max(coalesce((SELECT max(id) FROM main.code_content), 0),
         coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'code_content'), 0),
         coalesce((SELECT max(id) FROM main.code_content_fts_docsize), 0),
         coalesce((SELECT max(id) FROM main.symbols), 0), coalesce((SELECT max(id) FROM main.symbols_fts_docsize), 0))`,
    )
    .pluck();
  const selectContent = connection.prepare<[number], StoredContent>(
    `SELECT id, entity_type, entity_id, entity_name, content, docstring FROM main.code_content WHERE file_id = ?`,
  );
  const selectContentIds = connection
    .prepare<[number], number>("SELECT id FROM main.code_content WHERE file_id = ?")
    .pluck();
  const selectSymbols = connection.prepare<[number], StoredSymbol>(
    `SELECT id, entity_type AS type, entity_id AS entityId, name, scope, start_line, line, end_line FROM main.symbols WHERE file_id = ?`,
  );
  const indexSymbols = connection.prepare<[number, number]>(
    "INSERT INTO main.symbols_fts (rowid, words) SELECT id, words FROM main.symbols WHERE file_id = ? AND id >= ?",
  );
  const unindexSymbol = connection.prepare<[number]>(
    "DELETE FROM main.symbols_fts WHERE rowid = (SELECT id FROM main.symbols_fts_docsize WHERE id = ?)",
  );
  const updateContent = connection.prepare<BoundValue[]>(
    "UPDATE main.code_content SET entity_name = ?, content = ?, docstring = ? WHERE id = ?",
  );
  // Without `words`: a row keeps its name as long as it keeps its id.
  const updateSymbol = connection.prepare<BoundValue[]>(
    "UPDATE main.symbols SET scope = ?, start_line = ?, line = ?, end_line = ? WHERE id = ?",
  );
  const deleteContent = connection.prepare<[number]>("DELETE FROM main.code_content WHERE id = ?");
  const deleteSymbol = connection.prepare<[number]>("DELETE FROM main.symbols WHERE id = ?");

  function insertAll(input: ContentInput, entries: readonly Entry[]): void {
    if (entries.length === 0) return;
    const { file, fileId } = input;
    const firstId = nextId.get() ?? 1;
    const contents: BoundValue[] = [];
    const symbols: BoundValue[] = [];
    for (const [offset, entry] of entries.entries()) {
      const id = firstId + offset;
      contents.push(id, fileId, entry.type, entry.entityId, entry.entityName, entry.content, entry.docstring);
      symbols.push(id, file.projectId, fileId, entry.type, entry.entityId, entry.name, entry.scope);
      symbols.push(wordsOfName(entry.name), entry.startLine, entry.line, entry.endLine);
    }
    insertContent.insert(contents);
    insertSymbols.insert(symbols);
    contentIndex.inserted(fileId, firstId);
    indexSymbols.run(fileId, firstId);
  }

  function removeContent(id: number): void {
    contentIndex.change("DELETE", id, () => deleteContent.run(id));
  }

  function removeSymbol(id: number): void {
    unindexSymbol.run(id);
    deleteSymbol.run(id);
  }

  return {
    write(input) {
      contentIndex.refresh();
      const entries = entriesOf(input);
      const changes = new DefinitionChanges();
      const family = familyOf(input.file.parsed.language);
      for (const entry of entries) changes.count(entry, family, 1);
      if (input.isNew) {
        insertAll(input, entries);
        return { rows: entries.length, changed: changes.changed() };
      }
      const symbols = new Map(selectSymbols.all(input.fileId).map((symbol) => [symbol.id, symbol]));
      // A file without an extension can get another `#!` line and keep all its rows: then nobody may mean them any more.
      const familyBefore = familyOf(input.languageBefore);
      for (const symbol of symbols.values()) changes.count(symbol, familyBefore, -1);

      const stored = new Map<string, StoredContent>();
      for (const row of selectContent.all(input.fileId)) {
        const key = `${row.entity_type} ${row.entity_id}`;
        if (symbols.has(row.id) && !stored.has(key)) stored.set(key, row);
        else removeContent(row.id);
      }
      const added: Entry[] = [];
      for (const entry of entries) {
        const key = `${entry.type} ${entry.entityId}`;
        const row = stored.get(key);
        const symbol = row === undefined ? undefined : symbols.get(row.id);
        if (row === undefined || symbol?.name !== entry.name) {
          added.push(entry);
          continue;
        }
        stored.delete(key);
        symbols.delete(row.id);
        if (!hasSameText(row, entry)) {
          contentIndex.change("UPDATE", row.id, () =>
            updateContent.run(entry.entityName, entry.content, entry.docstring, row.id),
          );
        }
        if (!isSamePlace(symbol, entry)) {
          updateSymbol.run(entry.scope, entry.startLine, entry.line, entry.endLine, row.id);
        }
      }
      for (const { id } of stored.values()) removeContent(id);
      for (const id of symbols.keys()) removeSymbol(id);
      insertAll(input, added);
      return { rows: entries.length, changed: changes.changed() };
    },

    remove(fileId, language) {
      contentIndex.refresh();
      for (const id of selectContentIds.all(fileId)) removeContent(id);
      const changes = new DefinitionChanges();
      const family = familyOf(language);
      for (const symbol of selectSymbols.all(fileId)) {
        changes.count(symbol, family, -1);
        removeSymbol(symbol.id);
      }
      return changes.changed();
    },
  };
}

function hasSameText(row: StoredContent, entry: Entry): boolean {
  return row.content === entry.content && row.docstring === entry.docstring && row.entity_name === entry.entityName;
}

function isSamePlace(symbol: StoredSymbol, entry: Entry): boolean {
  return (
    symbol.line === entry.line &&
    symbol.end_line === entry.endLine &&
    symbol.start_line === entry.startLine &&
    symbol.scope === entry.scope
  );
}

/** Which definitions there are more or fewer of than before, among those that other files can name. */
class DefinitionChanges {
  readonly #counts = new Map<string, { definition: NamedDefinition; count: number }>();

  count(entry: Pick<Entry, "type" | "entityId" | "name" | "scope">, family: string, by: 1 | -1): void {
    const { type, entityId, name, scope } = entry;
    if (scope === null || type === "file") return;
    // With the id: what looks the same but has another row has lost the edges to the old one.
    const key = `${type} ${entityId} ${family} ${scope} ${name}`;
    const known = this.#counts.get(key);
    if (known === undefined) this.#counts.set(key, { definition: { family, type, name, scope }, count: by });
    else known.count += by;
  }

  changed(): NamedDefinition[] {
    return [...this.#counts.values()].filter(({ count }) => count !== 0).map(({ definition }) => definition);
  }
}

/** The file and then each of its entities, once where several definitions share a row. */
function entriesOf({ file, fileId, ids, scopes }: ContentInput): Entry[] {
  const { parsed, relativePath } = file;
  const { text, docstring, lineCount, definitions } = parsed;
  const place = { scope: null, startLine: 1, line: 1, endLine: lineCount };
  const whole = {
    type: "file" as const,
    entityId: fileId,
    entityName: relativePath,
    name: relativePath,
    content: text,
    docstring,
  };
  const entries: Entry[] = [{ ...whole, ...place }];
  const lineAt = lineCounter(text);
  let budget = text.length * MAX_TEXT_RATIO;
  const seen = new Set<string>();
  for (const [index, definition] of definitions.entries()) {
    const entityId = ids[index] ?? 0;
    const key = `${definition.kind} ${entityId}`;
    if (seen.has(key)) continue;
    seen.add(key);
    const { start, end } = definition;
    const content = text.slice(start, end - start <= budget ? end : Math.min(end, start + CUT_TEXT_UNITS));
    budget -= content.length;
    entries.push({
      type: definition.kind,
      entityId,
      entityName: definition.name,
      content,
      docstring: definition.docstring,
      name: simpleName(definition),
      scope: scopes[index] ?? null,
      startLine: lineAt(definition.start),
      line: definition.line,
      endLine: definition.endLine,
    });
  }
  return entries;
}

/** Answers the line (from 1) of an offset; asked in ascending order, it reads the text once. */
function lineCounter(text: string): (offset: number) => number {
  const lines = text.includes("\r") ? text.replace(/\r(?!\n)/g, "\n") : text;
  let line = 1;
  let at = 0;
  return (offset) => {
    if (offset < at) {
      line = 1;
      at = 0;
    }
    for (let feed = lines.indexOf("\n", at); feed !== -1 && feed < offset; feed = lines.indexOf("\n", at)) {
      line++;
      at = feed + 1;
    }
    return line;
  };
}
