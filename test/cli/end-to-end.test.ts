import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { type ProgramResult, type RunningProgram, runScript, startProgram } from "../support/program.js";
import { useTempFolder } from "../support/temp-folder.js";

const PROGRAM = "src/bin/code-analysis-driver.js";

describe("code-analysis-driver with its engine", () => {
  const inFolder = useTempFolder();
  let driver: RunningProgram | undefined;

  beforeEach(() => {
    mkdirSync(inFolder("source"));
    writeFileSync(inFolder("source", "shapes.py"), "class Circle:\n    def area(self):\n        return scale(1)\n");
    writeFileSync(inFolder("source", "scale.py"), "def scale(x):\n    return 2 * x\n");
  });

  afterEach(async () => {
    driver?.child.kill("SIGKILL");
    await driver?.ended;
    driver = undefined;
  });

  function run(...args: string[]): Promise<ProgramResult> {
    return runScript(PROGRAM, args, { cwd: inFolder() });
  }

  it("indexes a folder with a driver of its own, parses nothing twice, and serves what it found", async () => {
    const files = async () => {
      const { exitCode, stdout, stderr } = await run("index", "source", "--json");
      assert.equal(exitCode, 0, stderr);
      const { total, indexed, unchanged, failed } = JSON.parse(stdout).files;
      return { total, indexed, unchanged, failed };
    };
    assert.deepEqual(await files(), { total: 2, indexed: 2, unchanged: 0, failed: 0 });
    assert.deepEqual(await files(), { total: 2, indexed: 0, unchanged: 2, failed: 0 });

    driver = startProgram(PROGRAM, ["serve"], { cwd: inFolder() });
    await driver.waitFor("stdout", /^listening unix:.*code_analysis\.db\.sock\n/);
    const sql = `SELECT c.name AS class, m.name AS method, m.line FROM methods m JOIN classes c ON c.id = m.class_id
      JOIN files f ON f.id = c.file_id WHERE f.path LIKE ?`;
    const answer = JSON.parse((await run("sql", sql, "--param", "%shapes.py", "--json")).stdout);
    assert.deepEqual(answer.rows, [{ class: "Circle", method: "area", line: 2 }]);
    const names = async (...args: string[]): Promise<string[]> => {
      const { exitCode, stdout, stderr } = await run("search", ...args, "--json");
      assert.equal(exitCode, 0, stderr);
      return JSON.parse(stdout).hits.map(({ kind, name }: { kind: string; name: string }) => `${kind} ${name}`);
    };
    assert.deepEqual((await names("scale")).sort(), ["file scale.py", "function scale", "method area"]);
    // Without its method, the class is the innermost entity with the word in its text.
    assert.deepEqual(await names("scale", "--kind", "function", "--kind", "class"), ["function scale", "class Circle"]);
    assert.deepEqual(await names("scale", "--path", "shapes", "--language", "python"), ["method area"]);
    assert.deepEqual(await names("scale", "--language", "go"), []);
    assert.equal((await names("scale", "--project", "source")).length, 3);
    assert.match(
      (await run("search", "scale", "--project", ".")).stderr,
      /is no project of this driver\. Index it with/,
    );
    assert.equal((await run("search", "scale", "--kind", "thing")).exitCode, 2);

    const wrong = await run("sql", "SELECT nonsense FROM files");
    assert.equal(wrong.exitCode, 1);
    assert.match(wrong.stderr, /^error: .*nonsense/);

    driver.child.kill("SIGTERM");
    assert.equal((await driver.ended).exitCode, 0);
  });
});
