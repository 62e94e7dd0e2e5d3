/** `name` as an SQL identifier in double quotes (https://sqlite.org/lang_keywords.html): safe for any name SQLite can hold. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** `text` as an SQL string literal. For bound values use parameters; this is for DDL, where SQLite takes none. */
export function quoteText(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

/** `name` in the main database, so that a TEMP object of the same name can never be meant. */
export function inMain(name: string): string {
  return `main.${quoteIdentifier(name)}`;
}

/** Case-folded form under which SQLite compares identifiers: ASCII letters only (https://sqlite.org/c3ref/stricmp.html). */
export function foldName(name: string): string {
  return name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase());
}
