import { DriverError } from "../errors.js";
import { partsOfName } from "./name-words.js";

/** More words than this are no search; FTS5 limits the depth of an expression. */
const MAX_TERMS = 32;

const MAX_LENGTH = 4_096;

/** A search as the user typed it, in the language of FTS5 (https://sqlite.org/fts5.html#full_text_query_syntax). */
export interface SearchQuery {
  /** For names: each term as it is, or as the parts of a name in order. */
  readonly names: string;
  /** For text: each term as it is. */
  readonly text: string;
  /** What a name must be to be exactly what was typed. */
  readonly literal: string;
  /** What stands behind and before the last `.`, `::` or `#` of a query that is one name: a member and its class; null else. */
  readonly member: string | null;
  readonly owner: string | null;
}

const QUALIFIED_NAME = /^(?:.*(?:\.|::|#))?([\p{L}\p{M}\p{N}_$]+)(?:\.|::|#)([\p{L}\p{M}\p{N}_$]+)$/u;

/**
 * Reads words, `prefix*` and `"two words"`, all of which must occur. Whatever else is typed is text, never syntax of FTS5.
 *
 * @throws DriverError `INVALID_REQUEST` when no letter or digit is in it, or more than 32 words
 */
export function parseSearchQuery(query: string): SearchQuery {
  const fail = (what: string): never => {
    throw new DriverError("INVALID_REQUEST", what, { field: "query", hint: "Search for a word, a prefix* or a name." });
  };
  if (query.length > MAX_LENGTH) fail(`The query has more than ${MAX_LENGTH} characters.`);
  const terms: { text: string; isPrefix: boolean }[] = [];
  // FTS5 reads its expression up to a NUL; the bytes of a lone surrogate are no text.
  for (const [, quoted, quotedStar, plain] of query
    .replace(/\0|\p{Surrogate}/gu, " ")
    .matchAll(/"([^"]*)(?:"(\*)?|$)|([^\s"]+)/g)) {
    const text = quoted ?? plain?.replace(/\*+$/, "") ?? "";
    if (/[\p{L}\p{N}]/u.test(text))
      terms.push({ text, isPrefix: quotedStar === "*" || (plain?.endsWith("*") ?? false) });
  }
  if (terms.length === 0) fail("The query has no word to search for.");
  if (terms.length > MAX_TERMS) fail(`The query has more than ${MAX_TERMS} words.`);
  const literal = terms.map(({ text }) => text).join(" ");
  const [, owner = null, member = null] = QUALIFIED_NAME.exec(literal) ?? [];
  return {
    names: terms.map(({ text, isPrefix }) => nameExpression(text, isPrefix)).join(" AND "),
    text: `{content docstring} : (${terms.map(({ text, isPrefix }) => phrase(text, isPrefix)).join(" AND ")})`,
    literal,
    ...{ owner, member },
  };
}

function phrase(text: string, isPrefix: boolean): string {
  return `"${text.replaceAll('"', '""')}"${isPrefix ? "*" : ""}`;
}

function nameExpression(text: string, isPrefix: boolean): string {
  const whole = phrase(text, isPrefix);
  const parts = partsOfName(text);
  return parts.length > 1 ? `(${whole} OR ${phrase(parts.join(" "), isPrefix)})` : whole;
}
