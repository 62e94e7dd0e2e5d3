import { createHash, type Hash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { LANGUAGES } from "./languages/registry.js";

const known = new Map<string | null, string>();
/** What the hash of every language begins with. */
let programsHash: Hash | undefined;

/**
 * Names the rules by which this build makes the rows of a file in `language` (null: text only), in 16 hexadecimal digits: a hash
 * of the language's grammar and queries, of the parser's runtime and of every program of this folder. So nobody has to
 * remember to count a version up; that a change of a comment counts too costs one run over the files.
 */
export function extractionRules(language: string | null): string {
  let rules = known.get(language);
  if (rules === undefined) {
    rules = hashOf(language);
    known.set(language, rules);
  }
  return rules;
}

function hashOf(language: string | null): string {
  programsHash ??= hashFiles(createHash("sha256"), programs());
  return hashFiles(programsHash.copy(), grammarFiles(language)).digest("hex").slice(0, 16);
}

function hashFiles(hash: Hash, urls: readonly URL[]): Hash {
  for (const url of urls) {
    const bytes = readFileSync(url);
    hash.update(`${bytes.length} `).update(bytes);
  }
  return hash;
}

function programs(): URL[] {
  return readdirSync(new URL(".", import.meta.url), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".js"))
    .sort()
    .map((name) => new URL(name, import.meta.url));
}

function grammarFiles(name: string | null): URL[] {
  const language = LANGUAGES.find((one) => one.name === name);
  if (language === undefined) return [];
  return [
    new URL(import.meta.resolve("web-tree-sitter/web-tree-sitter.wasm")),
    ...[language.grammar, ...language.queries].map((file) => new URL(`languages/${file}`, import.meta.url)),
  ];
}
