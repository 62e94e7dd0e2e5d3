import type { ImportedName, Language } from "../language.js";
import { tokensOf, unquoted } from "../tokens.js";

/** JavaScript with JSX; TypeScript differs from it by its grammar and a second query. */
export const javascript: Language = {
  name: "javascript",
  family: "script",
  extensions: [".js", ".mjs", ".cjs", ".jsx"],
  filenames: [],
  interpreters: ["node", "deno", "bun"],
  grammar: "javascript/grammar.wasm",
  queries: ["javascript/ecmascript.scm", "javascript/jsx.scm", "javascript/queries.scm"],
  lineOf: "name",
  receivers: ["this"],
  receiverParameter: "this",
  isCapitalCallInstantiation: false,
  areVariablesCallable: true,
  reach: "scripts",
  moduleMark: /^[ \t]*export\b|\bexports\b/m,
  notImplemented: /not (?:yet )?implemented/i,
  // Not after a colon: a signature may end with the type `{}`.
  emptyBody: /(?<!:\s*)\{\s*\}$/,
  docComments: { pattern: /^\/\*\*(?!\/)/, isRun: false },
  importsOf: importsOfEcmaScript,
};

/**
 * `import` and re-exporting `export` statements, `x = require("m")` and `import("m")`. A default import is the name `default`;
 * a namespace import, a bare import and a whole `require` are imports of the module itself.
 */
function importsOfEcmaScript(statement: string): ImportedName[] {
  const tokens = tokensOf(statement);
  const call = tokens.findIndex(
    (token, index) => tokens[index + 1] === "(" && (token === "require" || token === "import"),
  );
  if (call !== -1) return importsOfCall(tokens, call);
  const from = tokens.lastIndexOf("from");
  const module = unquoted(from === -1 ? tokens[1] : tokens[from + 1]);
  if (module === null) return [];
  if (from === -1) return [{ name: module, alias: null, module, type: "import" }];
  return clauseNames(tokens.slice(1, from), module);
}

/** What stands between `import` or `export` and `from`. */
function clauseNames(clause: readonly string[], module: string): ImportedName[] {
  const imports: ImportedName[] = [];
  const brace = clause.indexOf("{");
  const head = brace === -1 ? clause : clause.slice(0, brace);
  for (const part of split(head, ",")) {
    const words = part[0] === "type" && part.length > 1 ? part.slice(1) : part;
    const [first, , alias = null] = words;
    if (first === undefined || (first === "type" && brace !== -1)) continue;
    if (first !== "*") imports.push({ name: "default", alias: first, module, type: "import_from" });
    else if (alias === null) imports.push({ name: "*", alias, module, type: "import_from" });
    else imports.push({ name: module, alias, module, type: "import" });
  }
  if (brace === -1) return imports;
  for (const part of split(clause.slice(brace + 1, clause.lastIndexOf("}")), ",")) {
    // `type` in front is a modifier, except where it is the name itself: `{ type }`, `{ type as x }`.
    const isTypeOnly = part[0] === "type" && part.length > 1 && part[1] !== "as";
    const [name, , alias = null] = isTypeOnly ? part.slice(1) : part;
    if (name !== undefined) imports.push({ name: unquoted(name) ?? name, alias, module, type: "import_from" });
  }
  return imports;
}

function importsOfCall(tokens: readonly string[], call: number): ImportedName[] {
  const module = unquoted(tokens[call + 2]);
  if (module === null) return [];
  const target = tokens.slice(tokens[0] === "import" && call !== 0 ? 1 : 0, tokens.lastIndexOf("=", call));
  if (tokens[call - 1] !== "=") return [{ name: module, alias: null, module, type: "import" }];
  // `require("m").name`
  const member = tokens[call + 4] === "." ? tokens[call + 5] : undefined;
  if (target[0] !== "{" && member !== undefined)
    return [{ name: member, alias: target[0] ?? null, module, type: "import_from" }];
  if (target[0] !== "{") return [{ name: module, alias: target[0] ?? null, module, type: "import" }];
  return split(target.slice(1, -1), ",").flatMap(([name, colon, alias]) =>
    name === undefined
      ? []
      : [{ name, alias: colon === ":" ? (alias ?? null) : null, module, type: "import_from" as const }],
  );
}

function split(tokens: readonly string[], separator: string): string[][] {
  const parts: string[][] = [[]];
  for (const token of tokens) {
    if (token === separator) parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return parts.filter((part) => part.length > 0);
}
