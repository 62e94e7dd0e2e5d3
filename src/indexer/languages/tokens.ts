const TOKEN = /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`|[\p{ID_Continue}$#]+|\S/gu;

/** The tokens of a short statement in a language with C-like comments and strings, comments left out. */
export function tokensOf(statement: string): string[] {
  const tokens = statement.match(TOKEN) ?? [];
  return tokens.filter((token) => !token.startsWith("//") && !token.startsWith("/*"));
}

/** A name without what stands in angle brackets: `Map<K, List<V>>::get` is `Map::get`. */
export function withoutTypeArguments(spelled: string): string {
  let bare = spelled;
  for (let outer = ""; outer !== bare; ) {
    outer = bare;
    bare = outer.replace(/<[^<>]*>/g, "");
  }
  return bare;
}

/** The text between the quotes of a string token; null when the token is no string. */
export function unquoted(token: string | undefined): string | null {
  return token !== undefined && /^["'`]/.test(token) ? token.slice(1, -1) : null;
}
