import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { parseSource } from "../../../src/indexer/parse.js";
import { type CtagsLanguage, differencesOf, hasCtags, ownDefinitions, runCtags, taggedDefinitions } from "./ctags.js";
import { DIFFERENCES } from "./ctags-differences.js";
import { report } from "./sample.js";

const LIMITS = { maxBytes: 10_000_000, timeoutMs: 60_000 };
const FIXTURES = new URL("../../../../test/fixtures/ctags/", import.meta.url).pathname;

const LANGUAGES: Readonly<Record<string, CtagsLanguage>> = {
  bash: { name: "Sh", kinds: "f" },
  c: { name: "C", kinds: "dfgstu" },
  cpp: { name: "C++", kinds: "cdfgstu" },
  csharp: { name: "C#", kinds: "cgims" },
  go: { name: "Go", kinds: "finst" },
  java: { name: "Java", kinds: "acgim" },
  php: { name: "PHP", kinds: "cfit" },
  ruby: { name: "Ruby", kinds: "Scfm" },
  rust: { name: "Rust", kinds: "MPfgis" },
};

/** Every file that is compared: with the tags beside it, which ctags made, or with what the installed ctags says. */
const FIXTURE_FILES = readdirSync(FIXTURES, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".tags"))
  .map((file) => file.slice(0, -".tags".length))
  .sort();

function languageOf(file: string): CtagsLanguage {
  const language = LANGUAGES[file.split("/")[0] ?? ""];
  assert.ok(language, file);
  return language;
}

/** Fails unless what differs is exactly what is listed for the file. */
async function compare(name: string, path: string, language: CtagsLanguage, tags: string): Promise<void> {
  const { definitions } = await parseSource(readFileSync(path), path, LIMITS);
  const tagged = taggedDefinitions(tags, language);
  const found = differencesOf(tagged, ownDefinitions(definitions));
  const listed = DIFFERENCES[name]?.flatMap(({ entries }) => entries) ?? [];
  report(`${name}: ${tagged.length} definitions of ctags, ${definitions.length} of ours, ${listed.length} listed`);
  assert.ok(tagged.length > 0, "ctags found something");
  assert.deepEqual(found.toSorted(), listed.toSorted());
}

describe("parseSource() against universal-ctags", function () {
  this.timeout(60_000);

  for (const file of FIXTURE_FILES) {
    it(`has the definitions of ${file}, but for the differences that are listed`, () =>
      compare(file, FIXTURES + file, languageOf(file), readFileSync(`${FIXTURES}${file}.tags`, "utf8")));
  }

  it("has tags that the installed ctags makes", function () {
    if (!hasCtags()) this.skip();
    for (const file of FIXTURE_FILES) {
      assert.equal(readFileSync(`${FIXTURES}${file}.tags`, "utf8"), runCtags(FIXTURES + file, languageOf(file)), file);
    }
  });

  it("lists differences of no file that is not compared", () => {
    assert.deepEqual(
      Object.keys(DIFFERENCES).filter((file) => !FIXTURE_FILES.includes(file)),
      [],
    );
  });
});
