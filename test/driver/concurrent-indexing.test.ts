import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import type { IndexFileResponse } from "../../gen/code_analysis/driver/v1/index_pb.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { dumpIndex } from "../support/indexed-project.js";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";
import { sourceFiles } from "./source-files.js";

const FILES = 800;

describe("IndexFile from many clients", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  /** Indexes `paths` with `concurrency` calls in flight; the dump of what is stored then. */
  async function index(name: string, root: string, paths: readonly string[], concurrency: number) {
    mkdirSync(inFolder(name));
    const driver = await DriverProcess.start(inFolder(name));
    await driver.register(root);
    const waiting = [...paths];
    const answers: IndexFileResponse[] = [];
    const work = async () => {
      for (let path = waiting.shift(); path !== undefined; path = waiting.shift()) {
        answers.push(await driver.indexFile(path));
      }
    };
    await Promise.all(Array.from({ length: concurrency }, work));
    const { exitCode, stderr } = await driver.stop();
    assert.equal(exitCode, 0, stderr);
    assert.doesNotMatch(stderr, /lock|busy/i);
    const connection = openConnection(driver.databasePath, { role: "reader" });
    try {
      assert.deepEqual(connection.pragma("foreign_key_check"), []);
      return { answers, dump: dumpIndex(connection) };
    } finally {
      connection.close();
    }
  }

  it(`stores with 64 calls at a time what it stores with one: ${FILES} files`, async function () {
    this.timeout(180_000);
    const { root, paths } = sourceFiles(FILES);
    // Both ends in turn, so that files meet each other in an order that is not that of the paths.
    const mixed = paths.map((_, i) => paths[i % 2 === 0 ? i / 2 : paths.length - (i + 1) / 2] ?? "");
    assert.equal(new Set(mixed).size, FILES);
    // Two drivers with a database each; both at the same time, because the one call mostly waits for the disk.
    const [many, one] = await Promise.all([index("many", root, mixed, 64), index("one", root, paths, 1)]);
    assert.equal(many.answers.length, FILES);
    assert.equal(many.answers.filter(({ unchanged }) => unchanged).length, 0);
    assert.equal(one.dump.files?.length, FILES);
    for (const [table, rows] of Object.entries(one.dump)) {
      assert.deepEqual(many.dump[table], rows, table);
    }
    for (const table of ["classes", "methods", "functions", "imports", "usages", "entity_cross_ref", "code_content"]) {
      assert.ok((one.dump[table]?.length ?? 0) > FILES / 10, `${table} is hardly filled`);
    }
  });
});
