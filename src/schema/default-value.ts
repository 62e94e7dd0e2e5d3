import { quoteText } from "../sqlite/identifiers.js";
import { normalizeSql, type Token, tokenize } from "./tokens.js";

const CURRENT = new Set(["current_date", "current_time", "current_timestamp"]);
const LITERAL_WORD: Readonly<Record<string, string | undefined>> = { true: "1", false: "0", null: undefined };

/**
 * The normal form of a DEFAULT as PRAGMA table_xinfo prints it (parentheses already gone); undefined for NULL.
 * A bare or quoted name is a string here: `DEFAULT abc` means `'abc'` (https://sqlite.org/lang_createtable.html §3.2).
 */
export function normalizeDefault(text: string): string | undefined {
  const tokens = tokenize(text);
  const [first, second, ...rest] = tokens;
  if (first !== undefined && second === undefined) return normalizeSingle(first);
  if (first?.text === "+" && second?.kind === "number" && rest.length === 0) return second.value;
  if (first?.text === "-" && second?.kind === "number" && rest.length === 0) return `-${second.value}`;
  return normalizeSql(tokens);
}

function normalizeSingle(token: Token): string | undefined {
  if (token.kind === "quoted") return quoteText(token.value);
  if (token.kind !== "word") return normalizeSql([token]);
  if (CURRENT.has(token.value)) return token.value;
  return token.value in LITERAL_WORD ? LITERAL_WORD[token.value] : quoteText(token.text);
}

/** True when a default in normal form is one fixed value, which ADD COLUMN accepts and a backfill can state in advance. */
export function isConstantDefault(value: string): boolean {
  const tokens = tokenize(value);
  const literal =
    tokens.length === 2 && tokens[0]?.text === "-" ? tokens[1] : tokens.length === 1 ? tokens[0] : undefined;
  return literal !== undefined && ["number", "string", "blob"].includes(literal.kind);
}
