import assert from "node:assert/strict";
import { createClient, type DriverClient } from "../../src/client/client.js";
import { DriverError } from "../../src/errors.js";
import { DriverProcess, killDrivers } from "../driver/driver-process.js";
import { failsWith } from "../driver/failure.js";
import { until, workerPids } from "../support/processes.js";
import { Random } from "../support/random.js";
import { useTempFolder } from "../support/temp-folder.js";
import { amount, pause, report, SEED } from "./experiment.js";

const PAUSES = amount(8, 150);
const CLIENTS = 8;
const MAX_PAUSE_MS = 400;
const MAX_REST_MS = 200;
const LATE_MS = 200;

describe("a driver that is stopped for a while", function () {
  this.timeout(600_000);
  const inFolder = useTempFolder();
  const stopped = new Set<number>();
  let driver: DriverProcess;

  beforeEach(async () => {
    driver = await DriverProcess.start(inFolder(), { args: ["--log-level", "error"] });
    await driver.execute("CREATE TABLE t (client, seq)");
  });
  afterEach(async () => {
    for (const pid of stopped) resume(pid);
    await killDrivers();
  });

  /** @param what the main process, or the first worker of a kind */
  async function stop(what: "main" | "writer" | "reader"): Promise<number> {
    const find = () => (what === "main" ? driver.program.child.pid : workerPids(driver.databasePath, what)[0]) ?? 0;
    // One that was stopped in the middle of a statement is ended for its deadline when it goes on, and another one starts.
    await until(`there is a ${what} process`, () => find() !== 0);
    const pid = find();
    process.kill(pid, "SIGSTOP");
    stopped.add(pid);
    return pid;
  }

  function resume(pid: number): void {
    stopped.delete(pid);
    process.kill(pid, "SIGCONT");
  }

  for (const what of ["main", "writer"] as const) {
    it(`has rolled back a transaction whose lease ran out meanwhile (${what} process)`, async () => {
      const { transactionId } = await driver.client.beginTransaction({ ttl: { nanos: 300_000_000 } });
      await driver.client.execute({ sql: "INSERT INTO t VALUES (1, 1)", transactionId });
      const pid = await stop(what);
      const other = driver.execute("INSERT INTO t VALUES (2, 2)");
      await pause(600);
      resume(pid);
      await failsWith("TRANSACTION_EXPIRED", driver.client.commitTransaction({ transactionId }));
      await other;
      assert.deepEqual(await driver.values("SELECT client FROM t"), [2n]);
    });
  }

  it("does not run a write whose deadline passed while its writer was stopped, and runs the others", async () => {
    const pid = await stop("writer");
    const late = [1, 2, 3].map((seq) =>
      failsWith(
        "DEADLINE_EXCEEDED",
        driver.client.execute({ sql: `INSERT INTO t VALUES (1, ${seq})` }, { timeoutMs: LATE_MS }),
      ),
    );
    const others = [1, 2, 3].map((seq) => driver.execute("INSERT INTO t VALUES (2, ?)", seq));
    await Promise.all(late);
    // The driver counts from when it has read the calls, which it had when it answers one behind them.
    await driver.values("SELECT 1");
    await pause(LATE_MS);
    resume(pid);
    await Promise.all(others);
    assert.deepEqual(await driver.values("SELECT count(*) FROM t WHERE client = 1"), [0n]);
    assert.deepEqual(await driver.values("SELECT count(*) FROM t WHERE client = 2"), [3n]);
  });

  it("ends a read at its deadline while its reader is stopped, and answers the next", async () => {
    await driver.values("SELECT 1");
    const pid = await stop("reader");
    await failsWith("DEADLINE_EXCEEDED", driver.client.execute({ sql: "SELECT 1" }, { timeoutMs: 200 }));
    resume(pid);
    assert.deepEqual(await driver.values("SELECT 2"), [2n]);
  });

  it(`has every acknowledged write once after ${PAUSES} pauses of its processes (seed ${SEED})`, async () => {
    const random = new Random(SEED);
    let isOver = false;
    const counts = Array.from({ length: CLIENTS }, async (_, client) => {
      const connection = createClient({ address: driver.address });
      let acknowledged = 0;
      for (let seq = 0; !isOver; seq++) acknowledged += await writeOnce(connection, client, seq);
      connection.close();
      return acknowledged;
    });
    try {
      for (let i = 0; i < PAUSES; i++) {
        const pid = await stop(random.pick(["main", "writer", "reader"]));
        await pause(random.next() * MAX_PAUSE_MS);
        resume(pid);
        await pause(random.next() * MAX_REST_MS);
      }
    } finally {
      isOver = true;
    }
    const acknowledged = (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
    assert.deepEqual(await driver.values("SELECT count(*) FROM t"), [BigInt(acknowledged)]);
    assert.deepEqual(await driver.values("SELECT count(*) FROM (SELECT DISTINCT client, seq FROM t)"), [
      BigInt(acknowledged),
    ]);
    assert.ok(acknowledged > PAUSES);
    report(`${PAUSES} pauses, ${acknowledged} writes, each once`);
  });
});

/** Writes with a deadline that pauses exceed, again with the same id until it is acknowledged. */
async function writeOnce(client: DriverClient, name: number, seq: number): Promise<1> {
  for (;;) {
    try {
      await client.execute(
        { sql: `INSERT INTO t VALUES (${name}, ${seq})`, requestId: `${name}-${seq}` },
        { timeoutMs: 150 },
      );
      return 1;
    } catch (error) {
      const { reason, message } = DriverError.from(error);
      assert.ok(["DEADLINE_EXCEEDED", "CANCELLED"].includes(reason), `${reason}: ${message}`);
    }
  }
}
