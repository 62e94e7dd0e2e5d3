import assert from "node:assert/strict";
import { createClient, type DriverClient } from "../../src/client/client.js";
import { toValue } from "../../src/client/values.js";
import { DriverError } from "../../src/errors.js";
import { until } from "../support/processes.js";
import { Random } from "../support/random.js";
import { useTempFolder } from "../support/temp-folder.js";
import { beside, DriverProcess, killDrivers } from "./driver-process.js";

/** Set KILL_CYCLES for a longer run. */
const CYCLES = Number(process.env.KILL_CYCLES ?? 5);
const CLIENTS = 16;
/** Acknowledged writes of a cycle, about, before the driver is killed. */
const MAX_WRITES = 400;

/** A client that writes rows (client, seq) one after another, each exactly once, whatever becomes of the driver. */
class Writer {
  readonly acknowledged: number[] = [];
  readonly #name: number;

  constructor(name: number) {
    this.#name = name;
  }

  /** Writes until the driver is gone. The first write repeats the one of the last driver that was not acknowledged. */
  async run(client: DriverClient, onAcknowledged: () => void): Promise<void> {
    for (;;) {
      try {
        await this.#write(client);
      } catch (error) {
        const { reason, message } = DriverError.from(error);
        assert.ok(["DRIVER_UNREACHABLE", "INTERNAL", "CANCELLED"].includes(reason), `${reason}: ${message}`);
        return;
      }
      onAcknowledged();
    }
  }

  /** One write, by one of the ways there are; the next call is for the next row. */
  async #write(client: DriverClient): Promise<void> {
    const seq = this.acknowledged.length;
    const requestId = `${this.#name}-${seq}`;
    const sql = "INSERT INTO ledger (client, seq) VALUES (?, ?)";
    const parameters = [toValue(this.#name), toValue(seq)];
    const ways = [
      () => client.execute({ sql, parameters, requestId }),
      () => client.insert({ table: "ledger", columns: ["client", "seq"], rows: [{ values: parameters }], requestId }),
      () =>
        client.executeBatch({ statements: [{ sql, parameters }, { sql: "UPDATE total SET n = n + 1" }], requestId }),
    ];
    await ways[seq % ways.length]?.();
    this.acknowledged.push(seq);
  }
}

describe("a driver that is killed", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  it(`has every acknowledged write exactly once: ${CYCLES} cycles, ${CLIENTS} clients, seed ${seed}`, async function () {
    this.timeout(CYCLES * 20_000);
    const random = new Random(seed);
    const writers = Array.from({ length: CLIENTS }, (_, name) => new Writer(name));
    for (let cycle = 0; cycle <= CYCLES; cycle++) {
      const driver = await DriverProcess.start(inFolder(), { args: ["--log-level", "error"] });
      if (cycle === 0) {
        await driver.execute("CREATE TABLE ledger (id INTEGER PRIMARY KEY, client, seq)");
        await driver.execute("CREATE TABLE total (n)");
        await driver.execute("INSERT INTO total VALUES (0)");
      }
      check(driver.databasePath, writers);
      if (cycle === CYCLES) break;
      const wanted = 1 + random.below(MAX_WRITES);
      let acknowledged = 0;
      // A connection each, so that they do not share the fate of one.
      const clients = writers.map(() => createClient({ address: driver.address }));
      const runs = writers.map(async (writer, index) => {
        const client = clients[index];
        if (client === undefined) return;
        await writer.run(client, () => {
          if (++acknowledged === wanted) driver.program.child.kill("SIGKILL");
        });
      });
      await Promise.all(runs);
      await driver.kill();
      for (const client of clients) client.close();
    }
    const total = writers.reduce((sum, { acknowledged }) => sum + acknowledged.length, 0);
    assert.ok(total >= CYCLES);
  });

  it("tells a call that it broke off from one that never reached it", async () => {
    const driver = await DriverProcess.start(inFolder());
    // Without a request_id it is sent once; it waits for the writer, which the transaction holds.
    const client = createClient({ address: driver.address, createRequestId: () => "" });
    await client.beginTransaction({});
    const running = client.execute({ sql: "CREATE TABLE t (a)" });
    await until("the call waits", async () => (await driver.client.getDriverInfo({})).load?.queuedWrites === 1);
    driver.program.child.kill("SIGKILL");
    await assert.rejects(running, { reason: "DRIVER_UNREACHABLE", message: /^The call to unix:.* broke off \(/ });
    const next = client.execute({ sql: "CREATE TABLE t (a)" });
    await assert.rejects(next, { reason: "DRIVER_UNREACHABLE", message: /^No driver answers at unix:/ });
    client.close();
  });
});

/** Compares the database with what was acknowledged. */
function check(databasePath: string, writers: readonly Writer[]): void {
  beside(databasePath, (connection) => {
    const count = connection.prepare<[number, number], number>(
      "SELECT count(*) FROM ledger WHERE client = ? AND seq = ?",
    );
    let unacknowledged = 0;
    for (const [client, { acknowledged }] of writers.entries()) {
      for (const seq of acknowledged) assert.equal(count.pluck().get(client, seq), 1, `client ${client}, write ${seq}`);
      const pending = count.pluck().get(client, acknowledged.length) ?? 0;
      assert.ok(pending <= 1, `client ${client} has its unacknowledged write ${pending} times`);
      unacknowledged += pending;
    }
    const rows = connection.prepare<[], number>("SELECT count(*) FROM ledger").pluck().get();
    assert.equal(
      rows,
      writers.reduce((sum, { acknowledged }) => sum + acknowledged.length, unacknowledged),
    );
    const batches = "SELECT (SELECT n FROM total) - (SELECT count(*) FROM ledger WHERE seq % 3 = 2)";
    assert.equal(connection.prepare(batches).pluck().get(), 0, "a batch is there in part");
    assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
  });
}
