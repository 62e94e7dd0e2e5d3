import assert from "node:assert/strict";
import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";
import { failsWith } from "./failure.js";

describe("IndexFile with reconcile", () => {
  const inFolder = useTempFolder();
  let driver: DriverProcess;
  afterEach(killDrivers);

  function write(files: Record<string, string | Buffer>): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(inFolder("source", name)), { recursive: true });
      writeFileSync(inFolder("source", name), content);
    }
  }

  beforeEach(async () => {
    write({ "a.py": "def a(): pass\n", "b.py": "from a import a\ndef b(): a()\n", "pkg/c.py": "def c(): pass\n" });
    driver = await DriverProcess.start(inFolder(), { args: ["--max-file-bytes", "1000"] });
    await driver.register(inFolder("source"));
    for (const path of ["a.py", "b.py", "pkg/c.py"]) await driver.indexFile(path);
  });

  async function reconcile(filePath: string) {
    const { removed, skipped, unchanged, language } = await driver.client.indexFile({
      ...{ projectId: "p", filePath, reconcile: true },
    });
    return removed ? "removed" : skipped ? "skipped" : unchanged ? "unchanged" : `indexed ${language}`;
  }
  const files = () => driver.values("SELECT relative_path FROM files ORDER BY 1");
  const errors = () => driver.values("SELECT file_path || ' ' || error_type FROM indexing_errors ORDER BY 1");

  it("removes the rows of a file that is gone, with its edges and its error; without it they stay", async () => {
    assert.deepEqual(await driver.values("SELECT ref_type FROM entity_cross_ref"), ["call"]);
    rmSync(inFolder("source", "a.py"));
    await failsWith("FILE_NOT_FOUND", driver.indexFile("a.py"));
    assert.deepEqual(await files(), ["a.py", "b.py", "pkg/c.py"]);
    assert.deepEqual(await errors(), [`${inFolder("source", "a.py")} io_error`]);

    assert.equal(await reconcile("a.py"), "removed");
    assert.deepEqual(await files(), ["b.py", "pkg/c.py"]);
    assert.deepEqual(await driver.values("SELECT ref_type FROM entity_cross_ref"), []);
    assert.deepEqual(await errors(), []);
    // Nothing is there to remove, nor was there ever.
    for (const path of ["a.py", "never.py", "pkg/c.py/d.py"]) assert.equal(await reconcile(path), "removed");
    assert.deepEqual(await errors(), []);

    write({ "a.py": "def a(): pass\n" });
    assert.equal(await reconcile("a.py"), "indexed python");
    assert.equal(await reconcile("a.py"), "unchanged");
    assert.deepEqual(await driver.values("SELECT ref_type FROM entity_cross_ref"), ["call"]);
  });

  it("removes what a walk would not find: ignored files, links, a directory in its place", async () => {
    write({ ".gitignore": "/b.py\n" });
    assert.equal(await reconcile("b.py"), "removed");
    renameSync(inFolder("source", "pkg"), inFolder("source", "moved"));
    symlinkSync(inFolder("source", "moved"), inFolder("source", "pkg"));
    assert.equal(await reconcile("pkg/c.py"), "removed");
    assert.equal(await reconcile("moved/c.py"), "indexed python");
    rmSync(inFolder("source", "a.py"));
    mkdirSync(inFolder("source", "a.py"));
    assert.equal(await reconcile("a.py"), "removed");
    assert.deepEqual(await files(), ["moved/c.py"]);
  });

  it("passes over what is no source file, and refuses what it refuses anyway", async () => {
    write({
      "picture.png": Buffer.from([0x89, 0x50, 0, 0]),
      "large.txt": "x".repeat(2_000),
      "large.py": "#".repeat(2_000),
    });
    assert.equal(await reconcile("picture.png"), "skipped");
    assert.equal(await reconcile("large.txt"), "skipped");
    assert.deepEqual(await errors(), []);
    await failsWith("FILE_NOT_INDEXABLE", reconcile("large.py"));
    await failsWith("PATH_OUTSIDE_PROJECT", reconcile("../outside.py"));
    await failsWith("PROJECT_NOT_FOUND", driver.client.indexFile({ projectId: "q", filePath: "a", reconcile: true }));
  });

  it("keeps all rows when the root directory itself is gone", async () => {
    renameSync(inFolder("source"), inFolder("elsewhere"));
    await failsWith("FILE_NOT_READABLE", reconcile("a.py"));
    assert.deepEqual(await files(), ["a.py", "b.py", "pkg/c.py"]);
  });
});
