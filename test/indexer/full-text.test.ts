import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { partsOfName } from "../../src/indexer/name-words.js";
import { type CodeSearch, createCodeSearch, type EntityKind } from "../../src/indexer/search.js";
import { IndexedProject } from "../support/indexed-project.js";
import { report, sample, seed } from "./oracle/sample.js";

const KINDS: readonly EntityKind[] = ["class", "method", "function"];
const NOT_LIBRARY = /(^|\/)(test|tests|idle_test|site-packages|__pycache__)\//;
/** Of the standard library, unless ORACLE=full. */
const FILES = 40;

interface Entity {
  readonly kind: EntityKind;
  readonly name: string;
  readonly path: string;
  readonly line: number;
}

const keyOf = ({ kind, name, path, line }: Entity): string => `${kind} ${name} ${path}:${line}`;

/** What a search finds by name, page by page; hits by text, which come after, are not asked for. */
function foundByName(codeSearch: CodeSearch, query: string): Set<string> {
  const found = new Set<string>();
  const request = { query, projectId: "p", language: null, kinds: KINDS, pathPrefix: "", pageSize: 1_000 };
  for (let pageToken = ""; ; ) {
    const page = codeSearch.search({ ...request, pageToken });
    for (const { kind, entityName, relativePath, line, score } of page.hits) {
      if (score < 1) return found;
      found.add(keyOf({ kind, name: entityName, path: relativePath, line }));
    }
    if (page.nextPageToken === "") return found;
    pageToken = page.nextPageToken;
  }
}

function entities(project: IndexedProject): Entity[] {
  return project.connection
    .prepare<[], Entity>(
      `SELECT s.entity_type AS kind, s.name, f.relative_path AS path, s.line FROM symbols s JOIN files f ON f.id = s.file_id
       WHERE s.entity_type <> 'file'`,
    )
    .all();
}

describe("SearchCode over the Python standard library", () => {
  it("finds every entity by its name and by each part of it, and nothing that was deleted", async function () {
    this.timeout(3_600_000);
    const root = execFileSync("python3", ["-c", "import sysconfig; print(sysconfig.get_paths()['stdlib'])"], {
      encoding: "utf8",
    }).trim();
    const all = readdirSync(root, { recursive: true, encoding: "utf8" });
    const files = all.filter((file) => file.endsWith(".py") && !NOT_LIBRARY.test(file)).sort();
    const chosen = sample(files, FILES);
    const project = new IndexedProject();
    try {
      for (const file of chosen) await project.write(file, readFileSync(join(root, file), "latin1"));
      const codeSearch = createCodeSearch(project.connection);

      /** Every entity that answers to a word, by the word as it is typed. */
      const expected = new Map<string, string[]>();
      const before = entities(project);
      for (const entity of before) {
        for (const word of new Set([entity.name, ...partsOfName(entity.name)])) {
          // A name of underscores alone has nothing that could be searched for.
          if (!/[\p{L}\p{N}]/u.test(word)) continue;
          expected.set(word, [...(expected.get(word) ?? []), keyOf(entity)]);
        }
      }
      for (const [word, keys] of expected) {
        const found = foundByName(codeSearch, word);
        assert.deepEqual(
          keys.filter((key) => !found.has(key)),
          [],
          `by ${word}, seed ${seed}`,
        );
      }

      // Every second file goes, every fourth becomes another.
      for (const [index, file] of chosen.entries()) {
        if (index % 2 === 0) project.remove(file);
        else if (index % 4 === 1) await project.write(file, "def replaced(): pass\n");
      }
      const left = new Set(entities(project).map(keyOf));
      const gone = new Set(before.filter((entity) => !left.has(keyOf(entity))).map(({ name }) => name));
      assert.ok(gone.size > before.length / 10);
      for (const name of gone) {
        if (!expected.has(name)) continue;
        const ghosts = [...foundByName(codeSearch, name)].filter((key) => !left.has(key));
        assert.deepEqual(ghosts, [], `by ${name}, seed ${seed}`);
      }
      project.assertFullTextIsWhole();
      report(
        `${chosen.length} of ${files.length} files (seed ${seed}), ${before.length} entities by ${expected.size} words, ` +
          `${gone.size} deleted names`,
      );
    } finally {
      project.close();
    }
  });
});
