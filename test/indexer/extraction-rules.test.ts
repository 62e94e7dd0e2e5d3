import assert from "node:assert/strict";
import { appendFileSync, cpSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import { extractionRules } from "../../src/indexer/extraction-rules.js";
import { useTempFolder } from "../support/temp-folder.js";

const INDEXER = fileURLToPath(new URL("../../src/indexer", import.meta.url));
const NODE_MODULES = fileURLToPath(new URL("../../../node_modules", import.meta.url));
const PROGRAM_OR_RULES = /\/\w+$|\.js$|\/(?:python|go)\/[^/]+$/;

describe("extractionRules()", () => {
  const inFolder = useTempFolder();

  /** The rules of Python, Go and plain text in another build, which differs from this one by what `change` does to its files. */
  async function rulesOfBuild(change: (folder: string) => void): Promise<string[]> {
    const folder = inFolder("indexer");
    rmSync(folder, { recursive: true, force: true });
    cpSync(INDEXER, folder, { recursive: true, filter: (path) => PROGRAM_OR_RULES.test(path) });
    change(folder);
    // Node keeps a module by its URL.
    const url = `${pathToFileURL(folder).href}/extraction-rules.js?${Math.random()}`;
    const build = (await import(url)) as typeof import("../../src/indexer/extraction-rules.js");
    return ["python", "go", null].map(build.extractionRules);
  }

  it("names the same rules alike, and those of a build that would make other rows differently", async () => {
    writeFileSync(inFolder("package.json"), '{ "type": "module" }');
    symlinkSync(NODE_MODULES, inFolder("node_modules"));
    const own = ["python", "go", null].map(extractionRules);
    assert.equal(new Set(own).size, 3);
    for (const rules of own) assert.match(rules, /^[0-9a-f]{16}$/);

    const changesOf = async (change: (folder: string) => void): Promise<boolean[]> =>
      (await rulesOfBuild(change)).map((rules, index) => rules !== own[index]);
    assert.deepEqual(await changesOf(() => undefined), [false, false, false]);
    assert.deepEqual(await changesOf((it) => appendFileSync(`${it}/languages/go/queries.scm`, ";")), [
      ...[false, true, false],
    ]);
    assert.deepEqual(await changesOf((it) => appendFileSync(`${it}/languages/python/grammar.wasm`, "0")), [
      ...[true, false, false],
    ]);
    assert.deepEqual(await changesOf((it) => appendFileSync(`${it}/content-store.js`, ";")), [true, true, true]);
  });
});
