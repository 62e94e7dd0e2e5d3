import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { ensureTable, useEngines } from "../support/engine.js";
import { until } from "../support/processes.js";

describe("getDriverInfo", () => {
  const start = useEngines();

  it("tells what waits, which transactions are open and how large the WAL is", async () => {
    const test = await start();
    await ensureTable(test, "t", "x");
    const load = async () => (await test.call("getDriverInfo", {})).load;
    const { transactionId } = await test.call("beginTransaction", {});
    const waiting = [1n, 2n, 3n].map((x) => test.sql("INSERT INTO t VALUES (?)", x));
    await until("three writes wait", async () => (await load())?.queuedWrites === 3);
    const busy = await load();
    assert.equal(busy?.openTransactions, 1);
    assert.equal(busy?.queuedReads, 0);
    assert.equal(busy?.walBytes, BigInt(statSync(`${test.databasePath}-wal`).size));
    await test.call("rollbackTransaction", { transactionId });
    await Promise.all(waiting);
    const idle = await load();
    assert.deepEqual([idle?.queuedWrites, idle?.openTransactions], [0, 0]);
  });
});
