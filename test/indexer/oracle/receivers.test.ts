import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Node } from "web-tree-sitter";
import { loadGrammar } from "../../../src/indexer/languages/grammar.js";
import type { Language } from "../../../src/indexer/languages/language.js";
import { LANGUAGES } from "../../../src/indexer/languages/registry.js";
import { parseSource } from "../../../src/indexer/parse.js";
import { report, sample, seed } from "./sample.js";

const LIMITS = { maxBytes: 10_000_000, timeoutMs: 60_000 };
const FIXTURES = new URL("../../../../test/fixtures/", import.meta.url).pathname;

/** A language in which receiver and name are nodes of their own. */
interface Grammar {
  /** Of the nodes of calls, by their type: the fields of receiver and name. */
  readonly calls: Readonly<Record<string, readonly [receiver: string, name: string]>>;
  /** The types of nodes that are names; what else can be called has none (`$f()`, `a.+(b)`). */
  readonly names: readonly string[];
  readonly extension: string;
  /** Sources that are often installed; passed over where they are not. */
  readonly folders: readonly string[];
}

const GRAMMARS: Readonly<Record<string, Grammar>> = {
  java: {
    calls: { method_invocation: ["object", "name"] },
    names: ["identifier"],
    extension: ".java",
    folders: [],
  },
  php: {
    calls: {
      function_call_expression: ["", "function"],
      member_call_expression: ["object", "name"],
      nullsafe_member_call_expression: ["object", "name"],
      scoped_call_expression: ["scope", "name"],
    },
    names: ["name", "qualified_name"],
    extension: ".php",
    folders: ["/usr/share/php"],
  },
  ruby: {
    calls: { call: ["receiver", "method"] },
    names: ["identifier", "constant"],
    extension: ".rb",
    folders: ["/usr/lib/ruby"],
  },
};

/** A receiver that is more than names is none in the index. */
const PLAIN = /^[\p{ID_Continue}$@#.:\\>-]+$/u;

/** Every call in the tree, as `LINE NAME on RECEIVER`, read from the fields of its node. */
function callsIn(root: Node, { calls, names }: Grammar): string[] {
  const found: string[] = [];
  const pending = [root];
  for (let node = pending.pop(); node !== undefined; node = pending.pop()) {
    pending.push(...node.namedChildren);
    const [receiverField, nameField] = calls[node.type] ?? [];
    const name = nameField === undefined ? null : node.childForFieldName(nameField);
    if (name === null || name.text === "" || !names.includes(name.type)) continue;
    const receiver = receiverField ? (node.childForFieldName(receiverField)?.text ?? null) : null;
    const target = receiver === null ? "function" : "method";
    const line = name.startPosition.row + 1;
    const [, namespace = "", simple] = /^(?:(.*)\\)?(.*)$/s.exec(name.text) ?? [];
    const before = receiver ?? namespace;
    found.push(`${line} ${target} ${simple}${PLAIN.test(before) ? ` on ${before}` : ""}`);
  }
  return found;
}

/** How many calls there are; fails unless the index has exactly those of the tree. */
async function compare(path: string, language: Language, grammar: Grammar): Promise<number> {
  const { text, usages } = await parseSource(readFileSync(path), path, LIMITS);
  const { parser } = await loadGrammar(language);
  const tree = parser.parse(text.replace(/\r\n?/g, "\n"));
  assert.ok(tree);
  const creation = language.constructorCall;
  const expected = callsIn(tree.rootNode, grammar)
    .filter((call) => creation === undefined || !new RegExp(` ${creation} on `).test(call))
    .map((call) => (language.isBareCallMethod ? call.replace(" function ", " method ") : call));
  tree.delete();
  const actual = usages
    .filter(({ type }) => type === "call")
    .map(({ line, targetType, targetName, receiver }) =>
      [line, targetType, targetName, ...(receiver === null ? [] : ["on", receiver])].join(" "),
    );
  assert.deepEqual(actual.toSorted(), expected.toSorted(), path);
  return expected.length;
}

function sourcesBelow(folder: string, extension: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(extension))
    .map((file) => join(folder, file))
    .sort();
}

describe("parseSource() against the fields of the nodes of calls", () => {
  for (const [name, grammar] of Object.entries(GRAMMARS)) {
    it(`has every call of ${name} with its own receiver and no other's`, async () => {
      const language = LANGUAGES.find((it) => it.name === name);
      assert.ok(language);
      const { extension, folders } = grammar;
      const installed = folders.filter(existsSync).flatMap((folder) => sourcesBelow(folder, extension));
      const files = [...sourcesBelow(FIXTURES, extension), ...sample(installed, 60)];
      let count = 0;
      for (const file of files) count += await compare(file, language, grammar);
      report(`${files.length} files (seed ${seed}), ${count} calls`);
      assert.ok(count > 30);
    }).timeout(120_000);
  }
});
