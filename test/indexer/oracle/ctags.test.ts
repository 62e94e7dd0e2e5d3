import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseSource } from "../../../src/indexer/parse.js";
import {
  CTAGS_LANGUAGES,
  CTAGS_RELEASE,
  type CtagsLanguage,
  differencesOf,
  hasCtags,
  ownDefinitions,
  runCtags,
  taggedDefinitions,
} from "./ctags.js";
import { DIFFERENCES } from "./ctags-differences.js";
import { goEnv } from "./go-toolchain.js";
import { report } from "./sample.js";

const LIMITS = { maxBytes: 10_000_000, timeoutMs: 60_000 };
const FIXTURES = new URL("../../../../test/fixtures/ctags/", import.meta.url).pathname;

/** The fixtures: each has its tags beside it, so that they are compared also where ctags is not installed. */
const FIXTURE_FILES = readdirSync(FIXTURES, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".tags"))
  .map((file) => file.slice(0, -".tags".length))
  .sort();

/** Sources that others wrote and that are not ours to ship, compared where they and ctags are installed. */
interface Installed {
  /** Of the paths in DIFFERENCES; has the version, because lines are of one version. */
  readonly name: string;
  readonly root: () => string;
  /** Files and folders in the root, and which files count in a folder. */
  readonly paths: readonly string[];
  readonly pattern: RegExp;
}

const INSTALLED: readonly Installed[] = [
  {
    name: "better-sqlite3",
    root: () => new URL("../../../../node_modules/better-sqlite3/", import.meta.url).pathname,
    paths: ["src", "deps/sqlite3"],
    // SQLite itself is one file of 9 MB, more than is indexed.
    pattern: /\.[ch]pp$|\.h$/,
  },
  {
    name: "go1.26.8",
    root: () => join(goEnv("GOROOT"), "src"),
    paths: [
      "bufio",
      "container",
      "encoding/json",
      "errors",
      "go/ast",
      "io",
      "net/http",
      "path",
      "sort",
      "strings",
      "sync",
    ],
    pattern: /^(?!.*(?:_test\.go$|\/(?:testdata|internal)\/)).*\.go$/,
  },
];

const LANGUAGE_OF_EXTENSION: Readonly<Record<string, string>> = { cpp: "cpp", hpp: "cpp", h: "c", go: "go" };

function languageOf(file: string): CtagsLanguage {
  const language = CTAGS_LANGUAGES[file.split("/")[0] ?? ""];
  assert.ok(language, file);
  return language;
}

/** How many definitions ctags has; fails unless what differs is exactly what is listed for the file. */
async function compare(name: string, path: string, language: CtagsLanguage, tags: string): Promise<number> {
  const { definitions } = await parseSource(readFileSync(path), path, LIMITS);
  const tagged = taggedDefinitions(tags, language);
  const listed = DIFFERENCES[name]?.flatMap(({ entries }) => entries) ?? [];
  assert.deepEqual(differencesOf(tagged, ownDefinitions(definitions)).toSorted(), listed.toSorted(), name);
  return tagged.length;
}

/** Why the sources cannot be compared here, or null when they can. */
function whyNotCompared({ name, root, paths }: Installed): string | null {
  if (!hasCtags()) return `${CTAGS_RELEASE} is not installed`;
  if (!paths.every((path) => existsSync(join(root(), path)))) return `${name} is not installed`;
  if (!name.startsWith("go")) return null;
  const version = goEnv("GOVERSION");
  return version === name ? null : `the differences are listed for ${name}, installed is ${version}`;
}

describe("parseSource() against universal-ctags", function () {
  this.timeout(60_000);

  for (const file of FIXTURE_FILES) {
    it(`has the definitions of ${file}, but for the differences that are listed`, async () => {
      const tags = readFileSync(`${FIXTURES}${file}.tags`, "utf8");
      const count = await compare(file, FIXTURES + file, languageOf(file), tags);
      assert.ok(count > 30, "a fixture of real size");
    });
  }

  it("has tags that the installed ctags makes", function () {
    if (!hasCtags()) {
      report(`skipped: ${CTAGS_RELEASE} is not installed`);
      this.skip();
    }
    for (const file of FIXTURE_FILES) {
      assert.equal(readFileSync(`${FIXTURES}${file}.tags`, "utf8"), runCtags(FIXTURES + file, languageOf(file)), file);
    }
  });

  for (const installed of INSTALLED) {
    const { name, root, paths, pattern } = installed;
    it(`has the definitions of the sources of ${name}, but for the differences that are listed`, async function () {
      const reason = whyNotCompared(installed);
      if (reason !== null) {
        report(`skipped: ${reason}`);
        this.skip();
      }
      const files = paths
        .flatMap((path) =>
          readdirSync(join(root(), path), { recursive: true, encoding: "utf8" }).map((it) => join(path, it)),
        )
        .filter((file) => pattern.test(file));
      let count = 0;
      for (const file of files) {
        const language = CTAGS_LANGUAGES[LANGUAGE_OF_EXTENSION[basename(file).split(".").at(-1) ?? ""] ?? ""];
        assert.ok(language, file);
        const path = join(root(), file);
        count += await compare(`${name}/${file}`, path, language, runCtags(path, language));
      }
      report(`${files.length} files, ${count} definitions of ctags`);
      const listed = Object.keys(DIFFERENCES).filter((file) => file.startsWith(`${name}/`));
      assert.deepEqual(
        listed.filter((file) => !files.includes(file.slice(name.length + 1))),
        [],
      );
    });
  }

  it("lists differences of no file that is not compared", () => {
    const compared = (file: string) =>
      FIXTURE_FILES.includes(file) || INSTALLED.some(({ name }) => file.startsWith(`${name}/`));
    assert.deepEqual(
      Object.keys(DIFFERENCES).filter((file) => !compared(file)),
      [],
    );
  });
});
