import { keyOf, type VirtualTable } from "./model.js";
import { isOperator, tokenize } from "./tokens.js";

/**
 * Where an FTS5 table keeps the text that it indexes (https://sqlite.org/fts5.html#external_content_and_contentless_tables):
 * in itself, nowhere (`contentless`, its index cannot be rebuilt), or in a table of the database (folded name).
 */
export type Fts5Content = { readonly kind: "own" | "contentless" } | { readonly kind: "table"; readonly table: string };

/** The content of `table`; undefined when it is not an FTS5 table. */
export function fts5ContentOf(table: VirtualTable): Fts5Content | undefined {
  if (table.module !== "fts5") return undefined;
  for (const argument of table.arguments) {
    const [name, equals, value] = tokenize(argument);
    if (name === undefined || keyOf(name.value) !== "content" || !isOperator(equals, "=")) continue;
    return value === undefined || value.value === ""
      ? { kind: "contentless" }
      : { kind: "table", table: keyOf(value.value) };
  }
  return { kind: "own" };
}
