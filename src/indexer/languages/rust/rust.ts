import type { ImportedName, Language } from "../language.js";
import { tokensOf } from "../tokens.js";

/** Rust. The functions of an `impl` block belong to its type, the trait it implements is a base of that type. */
export const rust: Language = {
  name: "rust",
  family: "rust",
  extensions: [".rs"],
  filenames: [],
  interpreters: [],
  grammar: "rust/grammar.wasm",
  queries: ["rust/queries.scm"],
  lineOf: "name",
  receivers: ["self", "Self"],
  isCapitalCallInstantiation: false,
  selfTypes: ["Self"],
  areVariablesCallable: true,
  reach: "imports",
  notImplemented: /^(?:todo|unimplemented)!/,
  emptyBody: /\{\s*\}$/,
  docComments: { pattern: /^\/(?:\/\/(?!\/)|\*\*(?!\*))/, isRun: true },
  importsOf: (statement) => {
    const tokens = tokensOf(statement);
    return usedNames(
      tokens.slice(tokens.indexOf("use") + 1).filter((token) => token !== ";"),
      [],
    );
  },
};

/** The names of a use tree below a path: `a::{self, b as c, d::*}`. */
function usedNames(tokens: readonly string[], path: readonly string[]): ImportedName[] {
  const segments = [...path];
  let index = 0;
  for (; index < tokens.length && tokens[index] !== "as"; index++) {
    const token = tokens[index] ?? "";
    if (token === ":") continue;
    if (token === "{")
      return branches(tokens.slice(index + 1, tokens.lastIndexOf("}"))).flatMap((it) => usedNames(it, segments));
    segments.push(token);
  }
  const alias = tokens[index] === "as" ? (tokens[index + 1] ?? null) : null;
  if (segments.at(-1) === "self" && segments.length > 1) segments.pop();
  const name = segments.pop();
  const module = segments.length === 0 ? null : segments.join("::");
  return name === undefined ? [] : [{ name, alias, module, type: module === null ? "import" : "import_from" }];
}

/** The parts between the commas that are not inside braces. */
function branches(tokens: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  let depth = 0;
  for (const token of tokens) {
    if (token === "{") depth++;
    if (token === "}") depth--;
    if (token === "," && depth === 0) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter((part) => part.length > 0);
}
