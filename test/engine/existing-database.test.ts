import assert from "node:assert/strict";
import { mkdirSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { openConnection } from "../../src/sqlite/connection.js";
import { TestEngine } from "../support/engine.js";
import { readSchemaFacts, schemaOfFacts } from "../support/schema-facts.js";
import { useTempFolder } from "../support/temp-folder.js";

describe("the engine on a database of another program", () => {
  const folder = useTempFolder();
  let test: TestEngine;
  let root: string;

  beforeEach(async () => {
    mkdirSync(folder("project"));
    root = realpathSync(folder("project"));
    writeFileSync(`${root}/a.py`, "def main():\n    pass\n");
    test = await TestEngine.start({ maxFileBytes: 1_000 }, (path) => {
      const connection = openConnection(path, { role: "migration", mustExist: false });
      connection.exec(schemaOfFacts(readSchemaFacts()));
      connection.prepare("INSERT INTO projects (id, root_path) VALUES ('p', ?)").run(root);
      connection
        .prepare("INSERT INTO files (id, project_id, path, needs_chunking) VALUES (7, 'p', ?, 1)")
        .run(`${root}/a.py`);
      connection.close();
    });
  });
  afterEach(() => test.stop());

  const index = (filePath: string) => test.call("indexFile", { projectId: "p", filePath });
  const errorPaths = async (): Promise<string[]> =>
    (await test.call("listIndexingErrors", { projectId: "p" })).errors.map(({ filePath }) => filePath);

  it("indexes its files without a migration", async () => {
    const first = await index("a.py");
    assert.deepEqual([first.fileId, first.filePath, first.unchanged], [7n, "a.py", false]);
    const again = await index("a.py");
    assert.equal(again.unchanged, true);
    assert.deepEqual(
      [again.language, again.lines, again.counts],
      [first.language, first.lines, first.counts],
      "the counts are those of the index",
    );
    assert.deepEqual(
      (await test.call("searchCode", { query: "main" })).hits.map(({ entityName }) => entityName),
      ["main"],
    );
  });

  it("indexes an unchanged file again when needs_chunking asks for it", async () => {
    await index("a.py");
    await test.call("execute", { sql: "UPDATE files SET needs_chunking = 1" });
    assert.equal((await index("a.py")).unchanged, false);
    assert.deepEqual(await test.values("SELECT needs_chunking FROM files"), [0n]);
  });

  it("stores errors under the absolute path, as files has it, and clears them", async () => {
    symlinkSync("a.py", `${root}/link.py`);
    await index("a.py");
    for (const name of ["a.py", "link.py", `${root}/a.py`]) {
      writeFileSync(`${root}/a.py`, "#".repeat(2_000));
      await assert.rejects(index(name), { reason: "FILE_NOT_INDEXABLE" });
      assert.deepEqual(await errorPaths(), [`${root}/a.py`], name);
      // What it was before the failure, but an error is to be cleared.
      writeFileSync(`${root}/a.py`, "def main():\n    pass\n");
      assert.equal((await index(name)).unchanged, false);
      assert.deepEqual(await errorPaths(), [], name);
    }
    rmSync(`${root}/link.py`);
    await assert.rejects(index("./link.py"), { reason: "FILE_NOT_FOUND" });
    assert.deepEqual(await errorPaths(), [`${root}/link.py`]);
  });

  it("stores what IndexProject could not index under its absolute path, and reports it relative to the root", async () => {
    mkdirSync(`${root}/sub`);
    writeFileSync(`${root}/sub/large.py`, "#".repeat(2_000));
    const reported: string[] = [];
    for await (const { failures } of test.stream("indexProject", { projectId: "p" })) {
      reported.push(...failures.map(({ filePath }) => filePath));
    }
    assert.deepEqual(reported, ["sub/large.py"]);
    assert.deepEqual(await errorPaths(), [`${root}/sub/large.py`]);
  });
});
