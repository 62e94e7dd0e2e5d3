/** Runs of letters and digits as a name is read: `HTTPServer2` → `HTTP`, `Server`, `2`. */
const PARTS = /\p{Lu}+(?!\p{Ll})|\p{Lu}?\p{Ll}+|\p{N}+|[\p{L}\p{M}]+/gu;

/** The parts of an identifier in order: `getUserName` and `get_user_name` → `get`, `user`, `name` (case kept). */
export function partsOfName(name: string): readonly string[] {
  return name.match(PARTS) ?? [];
}

/**
 * The text that full-text search indexes for a name: the name, and its parts where the tokenizer (unicode61, which divides at
 * everything that is neither letter nor digit) would not find them by itself.
 */
export function wordsOfName(name: string): string {
  const parts = partsOfName(name);
  const tokens = name.match(/[\p{L}\p{M}\p{N}]+/gu) ?? [];
  return parts.length > tokens.length ? `${name} ${parts.join(" ")}` : name;
}
