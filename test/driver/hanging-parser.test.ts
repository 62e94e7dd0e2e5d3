import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";
import { failsWith } from "./failure.js";

const HANG_ON = "never to be parsed";
const HANGING_PARSER = new URL("../support/hanging-parser.js", import.meta.url).href;

describe("A parser that hangs", function () {
  this.timeout(60_000);
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  function write(name: string, content: string): void {
    mkdirSync(inFolder("source"), { recursive: true });
    writeFileSync(inFolder("source", name), content);
  }

  it("costs one file, which keeps its last good rows; the others of the run are indexed, and the driver goes on", async () => {
    for (const name of ["a", "b", "c", "d"]) write(`${name}.py`, `def ${name}(): pass\n`);
    const driver = await DriverProcess.start(inFolder(), {
      args: ["--parsers", "1", "--file-timeout", "1s"],
      wrapper: ["env", `HANG_ON=${HANG_ON}`, `NODE_OPTIONS=--import=${HANGING_PARSER}`],
    });
    await driver.register(inFolder("source"));
    await driver.indexFile("b.py");
    write("b.py", `def changed(): "${HANG_ON}"\n`);

    let failed: bigint | undefined;
    for await (const { progress } of driver.client.indexProject({ projectId: "p" })) failed = progress?.filesFailed;
    assert.equal(failed, 1n);
    assert.deepEqual(await driver.values("SELECT name FROM functions ORDER BY 1"), ["a", "b", "c", "d"]);
    assert.deepEqual(await errors(driver), [[inFolder("source", "b.py"), "timeout"]]);

    const error = await failsWith("FILE_NOT_INDEXABLE", driver.indexFile("b.py"));
    assert.match(error.message, /too long/);
    write("a.py", "def next(): pass\n");
    await driver.indexFile("a.py");
    assert.deepEqual(await driver.values("SELECT name FROM functions ORDER BY 1"), ["b", "c", "d", "next"]);

    write("b.py", "def mended(): pass\n");
    await driver.indexFile("b.py");
    assert.deepEqual(await errors(driver), []);
    assert.equal((await driver.stop()).exitCode, 0);
  });
});

async function errors(driver: DriverProcess): Promise<string[][]> {
  const { errors } = await driver.client.listIndexingErrors({ projectId: "p" });
  return errors.map(({ filePath, errorType }) => [filePath, errorType]);
}
