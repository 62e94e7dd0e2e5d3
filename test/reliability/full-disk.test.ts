import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { rmSync, writeFileSync } from "node:fs";
import { DriverError } from "../../src/errors.js";
import { DriverProcess, killDrivers } from "../driver/driver-process.js";
import { useTempFolder } from "../support/temp-folder.js";
import { report } from "./experiment.js";

const DISK = "size=16m";
const BALLAST_BYTES = 4 * 2 ** 20;
const ROW_BYTES = 100_000;

describe("a disk that is full", () => {
  let isMounted = false;
  // Before the folder is removed.
  afterEach(async () => {
    await killDrivers();
    if (isMounted) execFileSync("umount", [inFolder()]);
    isMounted = false;
  });
  const inFolder = useTempFolder();

  beforeEach(function () {
    try {
      execFileSync("mount", ["-t", "tmpfs", "-o", DISK, "tmpfs", inFolder()], { stdio: "pipe" });
      isMounted = true;
    } catch (error) {
      process.stderr.write(`      skipped: no disk can be mounted here: ${String(error).split("\n", 1)[0]}\n`);
      this.skip();
    }
  });
  it("refuses writes as DISK_FULL, keeps and answers what it has, and goes on when there is room again", async () => {
    writeFileSync(inFolder("ballast"), Buffer.alloc(BALLAST_BYTES));
    const driver = await DriverProcess.start(inFolder(), { args: ["--log-level", "error"] });
    await driver.execute("CREATE TABLE t (x)");
    const insert = () => driver.execute(`INSERT INTO t VALUES (randomblob(${ROW_BYTES}))`);
    let rows = 0n;
    let refusal: DriverError | undefined;
    while (refusal === undefined) {
      await insert().then(
        () => rows++,
        (error: unknown) => {
          refusal = DriverError.from(error);
        },
      );
    }
    assert.equal(refusal.reason, "DISK_FULL", refusal.message);
    await assert.rejects(insert(), { reason: "DISK_FULL" });
    assert.deepEqual(await driver.values("SELECT count(*) FROM t"), [rows]);
    rmSync(inFolder("ballast"));
    await insert();
    assert.deepEqual(await driver.values("SELECT count(*) FROM t"), [rows + 1n]);
    assert.deepEqual(await driver.values("PRAGMA integrity_check"), ["ok"]);
    assert.equal((await driver.stop()).exitCode, 0);
    report(`full after ${rows} rows of ${ROW_BYTES} bytes; one more when there was room`);
  });
});
