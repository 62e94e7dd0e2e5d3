/** Parses the files named on stdin, one path a line, and takes their captures: what indexing costs at the very least. */
import { readFileSync } from "node:fs";
import { loadGrammar } from "../../src/indexer/languages/grammar.js";
import { languageOf } from "../../src/indexer/languages/registry.js";

let captures = 0;
for (const path of readFileSync(0, "utf8").split("\n").filter(Boolean)) {
  const bytes = readFileSync(path);
  const language = languageOf(path, () => bytes.subarray(0, 256).toString("latin1"));
  if (language === null) continue;
  const { parser, query } = await loadGrammar(language);
  const tree = parser.parse(bytes.toString("utf8"));
  if (tree === null) continue;
  captures += query.captures(tree.rootNode).length;
  tree.delete();
}
process.stdout.write(String(captures));
