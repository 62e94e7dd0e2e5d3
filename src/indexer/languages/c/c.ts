import type { Language } from "../language.js";

/** C. Definitions are functions with a body, function-like macros, and named struct, union and enum types with a body. */
export const c: Language = {
  name: "c",
  extensions: [".c", ".h"],
  filenames: [],
  interpreters: [],
  grammar: "c/grammar.wasm",
  queries: ["c/declarations.scm", "c/queries.scm"],
  lineOf: "name",
  receivers: [],
  isCapitalCallInstantiation: false,
  emptyBody: /\)[^{}]*\{\s*\}$/,
  docComments: { pattern: /^\/[/*]/, isRun: true },
  // `*const names[3]` and `(*callback)(int)` are called `names` and `callback`.
  parameterOf: (spelled) =>
    spelled.replace(/\b(?:const|volatile|restrict|__restrict|_Nullable|_Nonnull)\b/g, "").match(/[A-Za-z_]\w*/)?.[0] ??
    "",
  importsOf: (statement) => {
    const path = /[<"]([^>"]*)[>"]/.exec(statement)?.[1];
    return path === undefined ? [] : [{ name: path, alias: null, module: path, type: "import" }];
  },
};
