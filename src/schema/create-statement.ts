import { foldName, inMain } from "../sqlite/identifiers.js";
import { isOperator, nameOf, type Token, tokenize } from "./tokens.js";

/** The words that can stand between CREATE and the object's name in the text that SQLite stores. */
const HEAD = new Set(["create", "unique", "virtual", "table", "index", "view", "trigger"]);

/**
 * The stored CREATE text `sql` for the object `name` of the main database: qualified, so that a TEMP object of the same name
 * cannot be meant; the rest stays as written, the name too when it is the same.
 */
export function createStatement(sql: string, name: string): string {
  const nameToken = tokenize(sql).find((token) => token.kind !== "word" || !HEAD.has(token.value));
  if (nameToken === undefined) return sql;
  const isSame = sameName(nameOf(nameToken), name);
  return `${sql.slice(0, nameToken.start)}${isSame ? `main.${nameToken.text}` : inMain(name)}${sql.slice(nameToken.end)}`;
}

/** `sql` without the qualifier `table.` before column names: a CHECK may say `files.size` where `size` means the same. */
export function withoutQualifier(sql: string, table: string): string {
  const tokens = tokenize(sql);
  const isName = (token: Token) => (token.kind === "word" || token.kind === "quoted") && sameName(token.value, table);
  return tokens
    .filter((token, index) => isName(token) && isOperator(tokens[index + 1], "."))
    .reduceRight((text, token) => {
      const dot = tokens[tokens.indexOf(token) + 1];
      return text.slice(0, token.start) + text.slice(dot?.end ?? token.end);
    }, sql);
}

function sameName(a: string, b: string): boolean {
  return foldName(a) === foldName(b);
}
