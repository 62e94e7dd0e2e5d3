import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import { DriverProcess, killDrivers } from "../driver/driver-process.js";
import { failsWith } from "../driver/failure.js";
import { ENDLESS } from "../support/engine.js";
import { until, workerPids } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";
import { report } from "./experiment.js";

const LIBRARIES = ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"].map(
  (folder) => `${folder}/faketime/libfaketime.so.1`,
);
const DAY_S = 86_400;

/** https://github.com/wolfcw/libfaketime: the wall clock of the processes is off by what a file says. */
describe("a wall clock that jumps", () => {
  const inFolder = useTempFolder();
  const library = LIBRARIES.find(existsSync);
  let driver: DriverProcess;

  before(function () {
    if (library !== undefined) return;
    process.stderr.write("      skipped: libfaketime is not installed\n");
    this.skip();
  });
  beforeEach(async () => {
    jump(0);
    const clock = `FAKETIME_TIMESTAMP_FILE=${inFolder("offset")}`;
    const wrapper = ["env", `LD_PRELOAD=${library}`, clock, "FAKETIME_NO_CACHE=1", "FAKETIME_DONT_FAKE_MONOTONIC=1"];
    driver = await DriverProcess.start(inFolder(), { args: ["--log-level", "error"], wrapper });
    await driver.execute("CREATE TABLE t (x)");
  });
  afterEach(killDrivers);

  function jump(seconds: number): void {
    writeFileSync(inFolder("offset"), `${seconds < 0 ? "" : "+"}${seconds}\n`);
  }

  /** The driver must see the jump, or nothing is tested. */
  async function assertJumped(seconds: number): Promise<void> {
    const [now] = await driver.values("SELECT unixepoch()");
    const offset = Number(now) - Date.now() / 1_000;
    assert.ok(Math.abs(offset - seconds) < 60, `its clock is ${Math.round(offset)} s off`);
  }

  for (const days of [1, -1]) {
    const name = days > 0 ? "a day ahead" : "a day back";

    it(`${name} ends no lease before its time and lets none live longer`, async () => {
      const { transactionId } = await driver.client.beginTransaction({ ttl: { seconds: 20n } });
      await driver.client.execute({ sql: "INSERT INTO t VALUES (1)", transactionId });
      jump(days * DAY_S);
      await driver.client.execute({ sql: "INSERT INTO t VALUES (2)", transactionId });
      await driver.client.commitTransaction({ transactionId });
      await assertJumped(days * DAY_S);

      jump(0);
      const startMs = performance.now();
      const short = await driver.client.beginTransaction({ ttl: { nanos: 400_000_000 } });
      jump(days * DAY_S);
      // This waits for the lease to end.
      await driver.execute("INSERT INTO t VALUES (3)");
      const lifeMs = performance.now() - startMs;
      await failsWith("TRANSACTION_EXPIRED", driver.client.commitTransaction({ transactionId: short.transactionId }));
      assert.ok(lifeMs >= 400 && lifeMs < 10_000, `${lifeMs} ms`);
      report(`${name}: a lease of 20 s lived on, one of 400 ms ended after ${Math.round(lifeMs)} ms`);
    });

    it(`${name} drops no write that waits, and stops a statement at its deadline`, async () => {
      const [writer = 0] = workerPids(driver.databasePath, "writer");
      process.kill(writer, "SIGSTOP");
      const waiting = driver.client.execute({ sql: "INSERT INTO t VALUES (1)" }, { timeoutMs: 30_000 });
      jump(days * DAY_S);
      process.kill(writer, "SIGCONT");
      await waiting;

      jump(0);
      const [reader = 0] = workerPids(driver.databasePath, "reader");
      const startMs = performance.now();
      const endless = failsWith("DEADLINE_EXCEEDED", driver.client.execute({ sql: ENDLESS }, { timeoutMs: 2_000 }));
      jump(days * DAY_S);
      await endless;
      await until("the reader was ended", () => !workerPids(driver.databasePath, "reader").includes(reader));
      assert.ok(performance.now() - startMs >= 1_900);
      await assertJumped(days * DAY_S);
    });
  }
});
