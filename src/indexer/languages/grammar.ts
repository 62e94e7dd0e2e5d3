import { readFile } from "node:fs/promises";
import { Language as Grammar, Parser, Query } from "web-tree-sitter";
import type { Language } from "./language.js";

/** A language made ready for parsing: one parser and one compiled query of a thread, used for one file at a time. */
export interface LoadedGrammar {
  readonly parser: Parser;
  readonly query: Query;
  /** Finds what the parser could not make sense of. */
  readonly errorQuery: Query;
}

const loaded = new Map<string, Promise<LoadedGrammar>>();
let runtime: Promise<void> | undefined;

/** The grammar of a language, loaded on first use and kept for the life of the thread. */
export function loadGrammar(language: Language): Promise<LoadedGrammar> {
  const known = loaded.get(language.name);
  if (known !== undefined) return known;
  const grammar = load(language);
  loaded.set(language.name, grammar);
  return grammar;
}

async function load(language: Language): Promise<LoadedGrammar> {
  runtime ??= Parser.init();
  await runtime;
  const [bytes, ...queries] = await Promise.all([
    readFile(new URL(language.grammar, import.meta.url)),
    ...language.queries.map((query) => readFile(new URL(query, import.meta.url), "utf8")),
  ]);
  const grammar = await Grammar.load(bytes);
  return {
    parser: new Parser().setLanguage(grammar),
    query: new Query(grammar, queries.join("\n")),
    errorQuery: new Query(grammar, "(ERROR) @error (MISSING) @missing"),
  };
}
