import type { Connection } from "../sqlite/connection.js";
import type { DefinitionKind } from "./entities.js";
import { decodePageToken, encodePageToken } from "./page-token.js";
import { parseSearchQuery, type SearchQuery } from "./search-query.js";
import { cutSnippet, lineOf, type Snippet, type TextMatch } from "./snippet.js";

/** A table that an entity has its row in, by the singular of its name. */
export type EntityKind = DefinitionKind | "file";

/** What to search for. */
export interface SearchRequest {
  /** Words that all must occur; `prefix*`; `"a phrase"`; names or parts of names. */
  readonly query: string;
  /** Only this project; null: all. */
  readonly projectId: string | null;
  /** Only files of this language; null: all. */
  readonly language: string | null;
  /** Only these kinds; empty: all. */
  readonly kinds: readonly EntityKind[];
  /** Only files whose path from the root directory begins so; empty: all. */
  readonly pathPrefix: string;
  /** At least 1. */
  readonly pageSize: number;
  /** Of the page before; empty: the first page. */
  readonly pageToken: string;
}

/** A place that a search found. */
export interface SearchHit {
  readonly projectId: string;
  readonly relativePath: string;
  /** Null for a file that is stored as text only. */
  readonly language: string | null;
  readonly kind: EntityKind;
  readonly entityId: number;
  /** For a file its path. */
  readonly entityName: string;
  /** The class of a method; null for the others. */
  readonly className: string | null;
  readonly line: number;
  readonly endLine: number;
  readonly snippet: Snippet;
  /** From 1 up for a name, below 1 for text; greater is better. Only to be compared within one search. */
  readonly score: number;
}

/** One page of hits, best first, ties by path and line. */
export interface SearchPage {
  readonly hits: readonly SearchHit[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

/** Searches through one read connection. */
export interface CodeSearch {
  /**
   * Finds names and texts. Names come first: equal to the query, then those that it makes up more of. A text that matches only
   * because of entities in it that match too is left out. Pages neither repeat nor leave out a hit while nothing is written in
   * between.
   *
   * @throws DriverError `INVALID_REQUEST` when there is nothing to search for, or for a page token of another request
   */
  search(request: SearchRequest): SearchPage;
}

/** What stage a page is in: names, then texts. */
const NAMES = 1;
const TEXTS = 0;

interface Row {
  readonly id: number;
  readonly projectId: string;
  readonly relativePath: string;
  readonly language: string | null;
  readonly kind: EntityKind;
  readonly entityId: number;
  readonly name: string;
  readonly startLine: number;
  readonly line: number;
  readonly endLine: number;
  readonly score: number;
  /** JSON: [start line, end line] of each entity inside that matches too. */
  readonly inner: string;
}

interface Parameters {
  readonly names: string;
  readonly text: string;
  readonly literal: string;
  readonly member: string | null;
  readonly owner: string | null;
  readonly projectId: string | null;
  readonly language: string | null;
  readonly kinds: string | null;
  readonly pathPrefix: string;
  readonly score: number;
  readonly path: string;
  readonly line: number;
  readonly id: number;
  readonly limit: number;
}

const PLACE_COLUMNS = `s.id, s.project_id AS projectId, f.relative_path AS relativePath, i.language, s.entity_type AS kind,
  s.entity_id AS entityId, s.name, s.file_id AS fileId, s.start_line AS startLine, s.line, s.end_line AS endLine`;

const FILE_JOINS = `JOIN main.files f ON f.id = s.file_id LEFT JOIN main.indexed_files i ON i.file_id = s.file_id`;

const FILTERS = `(@projectId IS NULL OR s.project_id = @projectId) AND (@language IS NULL OR i.language = @language)
  AND (@kinds IS NULL OR s.entity_type IN (SELECT value FROM json_each(@kinds)))
  AND substr(f.relative_path, 1, length(@pathPrefix)) = @pathPrefix`;

const BEHIND_KEY = `(score < @score OR (score = @score AND (relativePath, line, id) > (@path, @line, @id)))`;

const ORDER = "ORDER BY score DESC, relativePath, line, id LIMIT @limit";

/** What is named so, and the member of a class when both are typed. */
const NAMED = `SELECT rowid FROM main.symbols_fts WHERE symbols_fts MATCH @names
  UNION SELECT id FROM main.symbols WHERE project_id IN (SELECT id FROM main.projects) AND name = @member AND scope = @owner`;

/** An equal name, the same but for its case, else by the share of the name that the query makes up. */
const NAME_SCORE = `CASE WHEN s.name = @literal OR (s.name = @member AND s.scope = @owner) THEN 3.0 WHEN lower(s.name) = lower(@literal) THEN 2.5
  ELSE 1.0 + min(0.99, length(@literal) * 1.0 / length(s.name)) END`;

const NAME_HITS = `
  SELECT *, '[]' AS inner FROM (
    SELECT ${PLACE_COLUMNS}, ${NAME_SCORE} AS score
    FROM (${NAMED}) x JOIN main.symbols s ON s.id = x.rowid ${FILE_JOINS}
    WHERE ${FILTERS}
  ) WHERE ${BEHIND_KEY} ${ORDER}`;

/** bm25() is the smaller the better and below 0: -x / (1 - x) is in (0, 1) and the greater the better. */
const TEXT_HITS = `
  WITH place AS MATERIALIZED (
    SELECT ${PLACE_COLUMNS}, -x.cost / (1.0 - x.cost) AS score
    FROM (SELECT rowid, bm25(code_content_fts, 0.0, 0.0, 1.0, 2.0) AS cost FROM main.code_content_fts
          WHERE code_content_fts MATCH @text) x
    JOIN main.symbols s ON s.id = x.rowid ${FILE_JOINS} WHERE ${FILTERS}
  )
  SELECT p.*, (
    SELECT json_group_array(json_array(q.startLine, q.endLine)) FROM place q
    WHERE q.fileId = p.fileId AND q.id <> p.id AND q.startLine >= p.startLine AND q.endLine <= p.endLine AND q.kind <> 'file'
      AND (p.kind = 'file' OR q.startLine > p.startLine OR q.endLine < p.endLine)
  ) AS inner
  FROM (
    SELECT * FROM place WHERE ${BEHIND_KEY}
      AND id NOT IN (${NAMED})
    ${ORDER}
  ) p ORDER BY p.score DESC, p.relativePath, p.line, p.id`;

/** Characters for use inside a program only; where a text has them all the same, its snippet is not marked. */
const MARK_START = "\u{E000}\u{E001}";
const MARK_END = "\u{E001}\u{E000}";

/** Prepares all statements for `connection`, which may be read-only. */
export function createCodeSearch(connection: Connection): CodeSearch {
  const statements = {
    [NAMES]: connection.prepare<Parameters, Row>(NAME_HITS),
    [TEXTS]: connection.prepare<Parameters, Row>(TEXT_HITS),
  };
  // CAST: a JavaScript number is bound as REAL, and FTS5 takes no notice of a rowid beside MATCH that is not an INTEGER.
  const marked = connection
    .prepare<[string, string, string, number], string>(
      `SELECT highlight(code_content_fts, 2, ?, ?) FROM main.code_content_fts
       WHERE code_content_fts MATCH ? AND rowid = CAST(? AS INTEGER)`,
    )
    .pluck();
  const hasContent = connection.prepare<[number], 1>("SELECT 1 FROM main.code_content WHERE id = ?").pluck();
  const content = connection.prepare<[number], string>("SELECT content FROM main.code_content WHERE id = ?").pluck();
  const classOfMethod = connection
    .prepare<[number], string>(
      "SELECT c.name FROM main.methods m JOIN main.classes c ON c.id = m.class_id WHERE m.id = ?",
    )
    .pluck();

  /** The snippet of a name: where it is defined. */
  function nameSnippet(row: Row, literal: string): Snippet {
    const text = content.get(row.id) ?? "";
    if (row.kind === "file") return cutSnippet(text, 1, []);
    let lineStart = 0;
    for (let line = row.startLine; line < row.line; line++) lineStart = text.indexOf("\n", lineStart) + 1;
    const lowerText = text.slice(lineStart, lineStart + 1_000).toLowerCase();
    for (const wanted of [row.name, literal]) {
      const at = wanted === "" ? -1 : lowerText.indexOf(wanted.toLowerCase());
      if (at !== -1) {
        return cutSnippet(text, row.startLine, [{ start: lineStart + at, end: lineStart + at + wanted.length }]);
      }
    }
    return cutSnippet(text, row.startLine, [{ start: lineStart, end: lineStart }]);
  }

  /** The snippet of a text; null when all that matches is in entities that are hits themselves, or the text is gone. */
  function textSnippet(row: Row, text: string): Snippet | null {
    // FTS5 takes an index row whose text another program has deleted for damage.
    if (!hasContent.get(row.id)) return null;
    const { plain, matches } = unmark(marked.get(MARK_START, MARK_END, text, row.id) ?? "");
    const inner: [number, number][] = JSON.parse(row.inner);
    if (inner.length === 0 || matches.length === 0) return cutSnippet(plain, row.startLine, matches);
    const own = matchesOutside(plain, row.startLine, matches, inner);
    return own.length === 0 ? null : cutSnippet(plain, row.startLine, own);
  }

  function toHit(row: Row, stage: typeof NAMES | typeof TEXTS, query: SearchQuery): SearchHit | null {
    const snippet = stage === NAMES ? nameSnippet(row, query.literal) : textSnippet(row, query.text);
    if (snippet === null) return null;
    const { projectId, relativePath, language, kind, entityId, name, line, endLine, score } = row;
    const className = kind === "method" ? (classOfMethod.get(entityId) ?? null) : null;
    return {
      projectId,
      relativePath,
      language,
      kind,
      entityId,
      entityName: name,
      className,
      line,
      endLine,
      snippet,
      score,
    };
  }

  return {
    search(request) {
      const { pageSize, pageToken, ...sameOnEveryPage } = request;
      const query = parseSearchQuery(request.query);
      const key = decodePageToken(sameOnEveryPage, pageToken, [0, 0, "", 0, 0] as const);
      let [stage, score, path, line, id] = key ?? [NAMES, Number.MAX_VALUE, "", 0, 0];
      const filters = {
        ...query,
        projectId: request.projectId,
        language: request.language,
        kinds: request.kinds.length === 0 ? null : JSON.stringify(request.kinds),
        pathPrefix: request.pathPrefix,
      };
      const hits: SearchHit[] = [];
      let lastKey: readonly (string | number)[] = [];
      for (;;) {
        const current = stage === NAMES ? NAMES : TEXTS;
        // Some texts turn out to be no hits of their own.
        const limit = (pageSize - hits.length + 1) * (current === NAMES ? 1 : 3);
        const rows = statements[current].all({ ...filters, score, path, line, id, limit });
        for (const row of rows) {
          const hit = toHit(row, current, query);
          ({ score, relativePath: path, line, id } = row);
          if (hit === null) continue;
          if (hits.length === pageSize) return { hits, nextPageToken: encodePageToken(sameOnEveryPage, lastKey) };
          hits.push(hit);
          lastKey = [current, score, path, line, id];
        }
        if (rows.length === limit) continue;
        if (current === TEXTS) return { hits, nextPageToken: "" };
        [stage, score, path, line, id] = [TEXTS, Number.MAX_VALUE, "", 0, 0];
      }
    },
  };
}

/** Takes the marks out of a highlighted text and tells where they were. */
function unmark(text: string): { plain: string; matches: TextMatch[] } {
  const pieces = text.split(MARK_START);
  let plain = pieces[0] ?? "";
  const matches: TextMatch[] = [];
  for (const piece of pieces.slice(1)) {
    const end = piece.indexOf(MARK_END);
    if (end === -1) {
      plain += piece;
      continue;
    }
    matches.push({ start: plain.length, end: plain.length + end });
    plain += piece.slice(0, end) + piece.slice(end + MARK_END.length);
  }
  return { plain, matches };
}

function matchesOutside(
  text: string,
  firstLine: number,
  matches: readonly TextMatch[],
  inner: readonly (readonly [number, number])[],
): TextMatch[] {
  let line = firstLine;
  let at = 0;
  return matches.filter((match) => {
    line = lineOf(text.slice(at, match.start), line, match.start - at);
    at = match.start;
    return !inner.some(([start, end]) => start <= line && line <= end);
  });
}
