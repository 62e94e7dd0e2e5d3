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
  // `export default function (): T;` without a name or a body: the grammar takes it for an expression, which needs a body
  // (https://github.com/tree-sitter/tree-sitter-javascript/issues/323). As `export function default (): T;` it has its name, too.
  grammarGaps: [
    {
      pattern: /\bdefault[ \t]+function(?=\s*[(<])/g,
      substitute: (shape) => `function${shape.slice("default".length, -"function".length)}default`,
    },
  ],
  baseOf: (spelled) => spelled.replace(/^extends\s+/, ""),
};

/** TypeScript with JSX, a grammar of its own: `<T>x` means another thing there. */
export const tsx: Language = {
  ...typescript,
  name: "tsx",
  extensions: [".tsx"],
  interpreters: [],
  grammar: "tsx/grammar.wasm",
  queries: [...queries, "javascript/jsx.scm"],
};
