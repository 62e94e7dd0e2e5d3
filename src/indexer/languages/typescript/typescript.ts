import { javascript } from "../javascript/javascript.js";
import type { Language } from "../language.js";

const queries = ["javascript/ecmascript.scm", "typescript/queries.scm"];

/** TypeScript: everything of JavaScript, and interfaces, enums, signatures and type annotations. */
export const typescript: Language = {
  ...javascript,
  name: "typescript",
  extensions: [".ts", ".mts", ".cts"],
  interpreters: ["ts-node", "tsx"],
  grammar: "typescript/grammar.wasm",
  queries,
  baseOf: (spelled) => spelled.replace(/^extends\s+/, ""),
};

/** TypeScript with JSX, a grammar of its own: `<T>x` means another thing there. */
export const tsx: Language = {
  ...typescript,
  name: "tsx",
  extensions: [".tsx"],
  interpreters: [],
  grammar: "tsx/grammar.wasm",
};
