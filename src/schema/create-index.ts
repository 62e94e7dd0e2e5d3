import { closingIndex, isKeyword, isOperator, normalizeSql, splitAtCommas, tokenize } from "./tokens.js";

/** What no PRAGMA tells about an index, read from its stored CREATE INDEX text. */
export interface CreateIndexText {
  /** Per key column, the normal form without COLLATE, ASC and DESC, which PRAGMA index_xinfo tells. */
  readonly terms: readonly string[];
  readonly where: string | undefined;
}

/** Reads the stored text `sql` of an index on `table` (https://sqlite.org/lang_createindex.html). */
export function parseCreateIndex(sql: string, table: string): CreateIndexText {
  const tokens = tokenize(sql);
  const open = tokens.findIndex((token) => isOperator(token, "("));
  const end = closingIndex(tokens, open);
  const terms = splitAtCommas(tokens.slice(open + 1, end - 1)).map((item) => {
    let length = item.length;
    if (isKeyword(item[length - 1], "asc") || isKeyword(item[length - 1], "desc")) length--;
    if (isKeyword(item[length - 2], "collate")) length -= 2;
    return normalizeSql(item.slice(0, length), table);
  });
  return { terms, where: isKeyword(tokens[end], "where") ? normalizeSql(tokens.slice(end + 1), table) : undefined };
}
