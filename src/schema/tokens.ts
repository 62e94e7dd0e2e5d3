import { foldName, quoteIdentifier, quoteText } from "../sqlite/identifiers.js";

/**
 * SQL as tokens, by the rules of SQLite's own tokenizer (https://sqlite.org/src/file/src/tokenize.c). It serves to compare and
 * to cut apart statements that SQLite has already accepted; whether SQL is valid, only SQLite decides.
 */

export type TokenKind = "word" | "quoted" | "string" | "blob" | "number" | "variable" | "operator";

/** One token; white space and comments are not tokens. */
export interface Token {
  readonly kind: TokenKind;
  /** As written, quotes included. */
  readonly text: string;
  /** What it means: the folded word, the name inside the quotes, the string's content; otherwise the text. */
  readonly value: string;
  /** UTF-16 offsets in the source: [start, end). */
  readonly start: number;
  readonly end: number;
}

const WHITE_SPACE = /[ \t\n\f\r]+/y;
const COMMENT = /--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)/y;

/** Tried in this order at each position. A bare or quoted name may hold any character above ASCII. */
const PATTERNS: readonly (readonly [TokenKind, RegExp])[] = [
  ["string", /'(?:[^']|'')*(?:'|$)/y],
  ["quoted", /"(?:[^"]|"")*(?:"|$)|`(?:[^`]|``)*(?:`|$)|\[[^\]]*(?:\]|$)/y],
  ["blob", /[xX]'[^']*(?:'|$)/y],
  ["number", /0[xX][0-9a-fA-F_]+|(?:\d[\d_]*(?:\.[\d_]*)?|\.\d[\d_]*)(?:[eE][+-]?\d[\d_]*)?/y],
  ["variable", /\?\d*|[@:#$][A-Za-z0-9_$\u0080-\uffff:]+/y],
  ["word", /[A-Za-z_\u0080-\uffff][A-Za-z0-9_$\u0080-\uffff]*/y],
  ["operator", /->>|->|\|\||<<|>>|<=|>=|<>|==|!=|[\s\S]/y],
];

/** Cuts `sql` into tokens. Never fails: an unterminated string or comment ends with the text. */
export function tokenize(sql: string): Token[] {
  const tokens: Token[] = [];
  for (let at = skipBlank(sql, 0); at < sql.length; ) {
    const token = tokenAt(sql, at);
    tokens.push(token);
    at = skipBlank(sql, token.end);
  }
  return tokens;
}

function skipBlank(sql: string, start: number): number {
  let at = start;
  for (;;) {
    const next = matchEnd(WHITE_SPACE, sql, at) ?? matchEnd(COMMENT, sql, at);
    if (next === undefined) return at;
    at = next;
  }
}

function tokenAt(sql: string, start: number): Token {
  for (const [kind, pattern] of PATTERNS) {
    const end = matchEnd(pattern, sql, start);
    if (end !== undefined) {
      const text = sql.slice(start, end);
      return { kind, text, value: meaningOf(kind, text), start, end };
    }
  }
  // The last pattern accepts any character; only an empty rest could come here.
  return { kind: "operator", text: "", value: "", start, end: sql.length };
}

function matchEnd(pattern: RegExp, sql: string, at: number): number | undefined {
  pattern.lastIndex = at;
  return pattern.test(sql) && pattern.lastIndex > at ? pattern.lastIndex : undefined;
}

function meaningOf(kind: TokenKind, text: string): string {
  switch (kind) {
    case "word":
    case "number":
    case "blob":
      return foldName(text);
    case "string":
      return text.slice(1, -1).replaceAll("''", "'");
    case "quoted": {
      const quote = text.charAt(0);
      const inner = text.slice(1, -1);
      return quote === "[" ? inner : inner.replaceAll(quote + quote, quote);
    }
    default:
      return text;
  }
}

/** True when `token` is the bare keyword `keyword` (given in lower case). */
export function isKeyword(token: Token | undefined, keyword: string): boolean {
  return token?.kind === "word" && token.value === keyword;
}

/** True when `token` is the operator or punctuation `text`. */
export function isOperator(token: Token | undefined, text: string): boolean {
  return token?.kind === "operator" && token.text === text;
}

/** The name that a token stands for where SQLite expects one: bare, quoted in any style, or (as SQLite tolerates) a string. */
export function nameOf(token: Token): string {
  return token.kind === "word" ? token.text : token.value;
}

/** Words that mean something else in an expression when they are not quoted (https://sqlite.org/lang_keywords.html). */
const EXPRESSION_KEYWORDS = new Set(
  (
    "all and as asc between by case cast collate current_date current_time current_timestamp default desc distinct else end " +
    "escape exists false filter from glob group having in index is isnull join like limit match not notnull null offset on " +
    "or order over raise regexp returning select set table then true union update values when where with"
  ).split(" "),
);

const SAME_OPERATOR: Readonly<Record<string, string>> = { "==": "=", "<>": "!=" };

/**
 * The one spelling of an expression or statement: no comments, single spaces, keywords and names in lower case, names quoted
 * only where they must be, strings untouched. Two texts with equal normal forms mean the same to SQLite.
 *
 * @param ownTable name of the table that the text belongs to: a qualifier `ownTable.` is dropped.
 */
export function normalizeSql(tokens: readonly Token[], ownTable?: string): string {
  const own = ownTable === undefined ? undefined : foldName(ownTable);
  const parts: string[] = [];
  tokens.forEach((token, index) => {
    if (own !== undefined && isOwnQualifier(tokens, index, own)) return;
    parts.push(normalizeToken(token));
  });
  return parts.join(" ");
}

function isOwnQualifier(tokens: readonly Token[], index: number, own: string): boolean {
  const isName = (token: Token | undefined) =>
    (token?.kind === "word" || token?.kind === "quoted") && foldName(token.value) === own;
  if (isOperator(tokens[index], ".")) return isName(tokens[index - 1]);
  return isName(tokens[index]) && isOperator(tokens[index + 1], ".");
}

function normalizeToken(token: Token): string {
  switch (token.kind) {
    case "quoted": {
      const name = foldName(token.value);
      return /^[a-z_][a-z0-9_]*$/.test(name) && !EXPRESSION_KEYWORDS.has(name) ? name : quoteIdentifier(name);
    }
    case "string":
      return quoteText(token.value);
    case "operator":
      return SAME_OPERATOR[token.text] ?? token.text;
    default:
      return token.value;
  }
}

/** Splits a token list at its top-level commas. */
export function splitAtCommas(tokens: readonly Token[]): Token[][] {
  const items: Token[][] = [];
  let item: Token[] = [];
  let depth = 0;
  for (const token of tokens) {
    if (isOperator(token, "(")) depth++;
    if (isOperator(token, ")")) depth--;
    if (depth === 0 && isOperator(token, ",")) {
      items.push(item);
      item = [];
    } else {
      item.push(token);
    }
  }
  if (item.length > 0) items.push(item);
  return items;
}

/** Index just behind the parenthesis that closes the one at `open`. */
export function closingIndex(tokens: readonly Token[], open: number): number {
  let depth = 0;
  for (let index = open; index < tokens.length; index++) {
    if (isOperator(tokens[index], "(")) depth++;
    if (isOperator(tokens[index], ")") && --depth === 0) return index + 1;
  }
  return tokens.length;
}
