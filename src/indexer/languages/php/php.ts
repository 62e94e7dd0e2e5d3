import type { ImportedName, Language } from "../language.js";
import { tokensOf, unquoted } from "../tokens.js";

/** PHP, with the text around its tags. */
export const php: Language = {
  name: "php",
  family: "php",
  extensions: [".php", ".phtml", ".php5"],
  filenames: [],
  interpreters: ["php"],
  grammar: "php/grammar.wasm",
  queries: ["php/queries.scm"],
  lineOf: "name",
  receivers: ["$this", "self", "static"],
  isCapitalCallInstantiation: false,
  selfTypes: ["self", "static"],
  reach: "project",
  packageClause: /^[ \t]*(?:<\?php\s+)?namespace\s+([\w\\]+)\s*[;{]/m,
  isImportOfFile: true,
  notImplemented: /not (?:yet )?implemented/i,
  emptyBody: /\{\s*\}$/,
  docComments: { pattern: /^\/\*\*(?!\/)/, isRun: false },
  importsOf: (statement) => {
    const tokens = tokensOf(statement);
    if (tokens[0] !== "use") {
      const path = tokens.map((token) => unquoted(token)).find((it) => it !== null);
      return path ? [{ name: path, alias: null, module: path, type: "import" }] : [];
    }
    const clause = tokens.slice(1).filter((token) => token !== ";" && token !== "function" && token !== "const");
    const brace = clause.indexOf("{");
    if (brace === -1) return split(clause).map((part) => usedName(part, ""));
    const prefix = clause.slice(0, brace).join("");
    return split(clause.slice(brace + 1, clause.lastIndexOf("}"))).map((part) => usedName(part, prefix));
  },
};

function usedName(tokens: readonly string[], prefix: string): ImportedName {
  const as = tokens.indexOf("as");
  const path = prefix + tokens.slice(0, as === -1 ? undefined : as).join("");
  const cut = path.lastIndexOf("\\");
  const alias = as === -1 ? null : (tokens[as + 1] ?? null);
  return { name: path.slice(cut + 1), alias, module: cut <= 0 ? null : path.slice(0, cut), type: "import_from" };
}

function split(tokens: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  for (const token of tokens) {
    if (token === ",") parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter((part) => part.length > 0);
}
