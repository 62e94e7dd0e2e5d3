import type { Language } from "../language.js";
import { tokensOf, unquoted } from "../tokens.js";

/** Go. A method belongs to the type of its receiver; every declared type is a class. */
export const go: Language = {
  name: "go",
  family: "go",
  extensions: [".go"],
  filenames: [],
  interpreters: [],
  grammar: "go/grammar.wasm",
  queries: ["go/queries.scm"],
  lineOf: "name",
  // The receiver has a name of its own in every method.
  receivers: [],
  isCapitalCallInstantiation: false,
  areVariablesCallable: true,
  reach: "directory",
  notImplemented: /^panic\("[^"]*(?:not (?:yet )?implemented|unimplemented|todo)/i,
  emptyBody: /\)[^{}]*\{\s*\}$/,
  docComments: { pattern: /^\/[/*]/, isRun: true },
  importsOf: (statement) => {
    const tokens = tokensOf(statement);
    const module = unquoted(tokens.at(-1));
    const alias = tokens.length > 1 ? (tokens[0] ?? null) : null;
    if (module === null) return [];
    if (alias === ".") return [{ name: "*", alias: null, module, type: "import_from" }];
    return [{ name: module, alias, module, type: "import" }];
  },
};
