import type { Language } from "../language.js";
import { MACRO_GAPS } from "./macro-gaps.js";

/**
 * Keywords that the grammar takes for the name of a function: where an `else if (…) {` stands alone between `#if` and `#endif`,
 * or after a macro (`EXPORT void (*f(int))(void) {`).
 */
export const NEVER_A_NAME = /^(?:if|for|while|switch|return|void)$/;

/** C. Definitions are functions with a body, function-like macros, and named struct, union and enum types with a body. */
export const c: Language = {
  name: "c",
  family: "c",
  extensions: [".c", ".h"],
  filenames: [],
  interpreters: [],
  grammar: "c/grammar.wasm",
  queries: ["c/declarations.scm", "c/queries.scm"],
  grammarGaps: MACRO_GAPS,
  lineOf: "name",
  receivers: [],
  isCapitalCallInstantiation: false,
  areVariablesCallable: true,
  reach: "project",
  isImportOfFile: true,
  emptyBody: /\)[^{}]*\{\s*\}$/,
  docComments: { pattern: /^\/[/*]/, isRun: true },
  splitName: (spelled) => ({ name: NEVER_A_NAME.test(spelled) ? "" : spelled, owner: null }),
  // `*const names[3]` and `(*callback)(int)` are called `names` and `callback`.
  parameterOf: (spelled) =>
    spelled.replace(/\b(?:const|volatile|restrict|__restrict|_Nullable|_Nonnull)\b/g, "").match(/[A-Za-z_]\w*/)?.[0] ??
    "",
  importsOf: (statement) => {
    const path = /[<"]([^>"]*)[>"]/.exec(statement)?.[1];
    return path === undefined ? [] : [{ name: path, alias: null, module: path, type: "import" }];
  },
};
