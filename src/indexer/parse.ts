import type { Tree } from "web-tree-sitter";
import { messageOf } from "../errors.js";
import type { ParsedFile, Problem } from "./entities.js";
import { type Extraction, Extractor } from "./extraction.js";
import { closeGrammarGaps } from "./grammar-gaps.js";
import { IndexingError } from "./indexing-error.js";
import { type LoadedGrammar, loadGrammar } from "./languages/grammar.js";
import type { Language } from "./languages/language.js";
import { languageOf } from "./languages/registry.js";
import { decodeSource } from "./read-source.js";
import { SourceText } from "./source-text.js";

/** What one file may cost. */
export interface ParseLimits {
  /** Size of the file in bytes; 5 MB is the usual value. */
  readonly maxBytes: number;
  /** Time for parsing and extraction together, in milliseconds; loading a grammar for the first time does not count. */
  readonly timeoutMs: number;
}

/** How much of a file's captures is held in memory at a time, in UTF-16 code units. */
const WINDOW_UNITS = 1 << 18;

/** How much of a file may decide about its language. */
const HEAD_BYTES = 1 << 16;

/** How often gaps in a grammar are looked for: what stands in a class is read for what it is once the head of the class is. */
const GAP_ROUNDS = 2;

/** web-tree-sitter 0.27 takes the range of a query in bytes of UTF-16, although it gives the places of nodes in code units. */
const BYTES_PER_UNIT = 2;

/**
 * Everything that is stored of a file, from its bytes. A file with syntax errors is parsed as far as its tree goes and says so
 * in `problems`.
 *
 * @param path names the file in messages and decides its language
 * @throws {IndexingError} `too_large`, `binary`, `timeout`; `crash` when the parser itself failed, after which the thread must
 *   not parse again: the state of its WASM memory is unknown
 */
export async function parseSource(bytes: Uint8Array, path: string, limits: ParseLimits): Promise<ParsedFile> {
  if (bytes.length > limits.maxBytes) {
    throw new IndexingError(
      "too_large",
      `${path} has ${bytes.length} bytes, more than the limit of ${limits.maxBytes}.`,
      {
        hint: "Raise the size limit of a file, or leave the file out of the project.",
      },
    );
  }
  // The language decides about the encoding, and a #! line, which is ASCII, about the language.
  const language = languageOf(path, () => Buffer.from(bytes.subarray(0, HEAD_BYTES)).toString("latin1"));
  const { text, problems } = decodeSource(bytes, path, { hasEncodingCookie: language?.hasEncodingCookie ?? false });
  const source = new SourceText(text);
  const file = { language: language?.name ?? null, text, lineCount: source.lineCount };
  if (language === null) return { ...file, docstring: null, definitions: [], imports: [], usages: [], problems };

  const grammar = await loadGrammar(language);
  const { syntaxErrors, ...extraction } = extract(language, grammar, source, path, limits.timeoutMs);
  return { ...file, ...extraction, problems: [...problems, ...syntaxErrors] };
}

function extract(
  language: Language,
  grammar: LoadedGrammar,
  source: SourceText,
  path: string,
  timeoutMs: number,
): Extraction & { syntaxErrors: Problem[] } {
  const deadline = performance.now() + timeoutMs;
  const isLate = (): boolean => performance.now() > deadline;
  let tree: Tree | null = null;
  try {
    let { text } = source;
    const parse = (): Tree | null => grammar.parser.parse(text, null, { progressCallback: isLate });
    tree = parse();
    for (let round = 0; round < GAP_ROUNDS && tree !== null; round++) {
      const readable = closeGrammarGaps(text, tree, language.grammarGaps ?? []);
      if (readable === text) break;
      tree.delete();
      text = readable;
      tree = parse();
    }
    if (tree === null) throw timeoutError(path, timeoutMs);
    const { rootNode } = tree;
    const extractor = new Extractor(language, source, text);
    for (let from = 0; from === 0 || from < text.length; from += WINDOW_UNITS) {
      const to = from + WINDOW_UNITS;
      const captures = grammar.query.captures(rootNode, {
        startIndex: from * BYTES_PER_UNIT,
        endIndex: to * BYTES_PER_UNIT,
        progressCallback: isLate,
      });
      if (isLate()) throw timeoutError(path, timeoutMs);
      // What only reaches into this window was taken with the one that it starts in.
      extractor.add(captures.filter(({ node }) => node.startIndex >= from && node.startIndex < to));
    }
    return { ...extractor.finish(), syntaxErrors: rootNode.hasError ? [syntaxError(grammar, tree, isLate)] : [] };
  } catch (error) {
    if (error instanceof IndexingError) throw error;
    const message = messageOf(error);
    throw new IndexingError("crash", `The ${language.name} parser failed on ${path}: ${message}`, { cause: error });
  } finally {
    tree?.delete();
    // A parse that was stopped would go on with the next file.
    grammar.parser.reset();
  }
}

/** The narrowest place that the grammar could not make sense of: an error around it may cover the whole file. */
function syntaxError({ errorQuery }: LoadedGrammar, { rootNode }: Tree, isLate: () => boolean): Problem {
  let narrowest = { units: Number.POSITIVE_INFINITY, row: rootNode.startPosition.row };
  for (const { node } of errorQuery.captures(rootNode, { progressCallback: isLate })) {
    const units = node.endIndex - node.startIndex;
    if (units < narrowest.units) narrowest = { units, row: node.startPosition.row };
  }
  const line = narrowest.row + 1;
  return { type: "syntax_error", message: `syntax error in line ${line}`, line };
}

function timeoutError(path: string, timeoutMs: number): IndexingError {
  return new IndexingError("timeout", `${path} could not be parsed within ${timeoutMs} ms.`, {
    hint: "Raise the time limit of a file, or leave the file out of the project.",
  });
}
