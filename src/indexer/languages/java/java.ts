import type { Language } from "../language.js";
import { tokensOf } from "../tokens.js";

/** Java. Constructors are methods with the name of their class. */
export const java: Language = {
  name: "java",
  family: "java",
  extensions: [".java"],
  filenames: [],
  interpreters: [],
  grammar: "java/grammar.wasm",
  queries: ["java/queries.scm"],
  lineOf: "name",
  receivers: ["this"],
  isCapitalCallInstantiation: false,
  isBareCallMethod: true,
  isReceiverImplicit: true,
  reach: "package",
  packageClause: /^[ \t]*package\s+([\w.]+)\s*;/m,
  notImplemented: /UnsupportedOperationException|not (?:yet )?implemented/i,
  emptyBody: /\{\s*\}$/,
  docComments: { pattern: /^\/\*\*(?!\/)/, isRun: false },
  importsOf: (statement) => {
    const path = tokensOf(statement).filter((token) => !/^(?:import|static|[.;])$/.test(token));
    const name = path.pop();
    if (name === undefined) return [];
    const module = path.length === 0 ? null : path.join(".");
    return [{ name, alias: null, module, type: "import_from" }];
  },
};
