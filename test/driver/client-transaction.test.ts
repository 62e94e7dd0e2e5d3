import assert from "node:assert/strict";
import { toValue } from "../../src/client/values.js";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";

describe("transaction() of the client", () => {
  const inFolder = useTempFolder();
  let driver: DriverProcess;
  beforeEach(async () => {
    driver = await DriverProcess.start(inFolder());
    await driver.execute("CREATE TABLE t (a INTEGER PRIMARY KEY)");
  });
  afterEach(killDrivers);

  const rows = () => driver.values("SELECT a FROM t ORDER BY a");

  it("commits what the function did, and answers what it answered", async () => {
    const seen = await driver.client.transaction(async (tx) => {
      await tx.execute({ sql: "INSERT INTO t VALUES (1)" });
      await tx.insert({ table: "t", rows: [{ values: [toValue(2)] }] });
      await tx.executeBatch({ statements: [{ sql: "INSERT INTO t VALUES (3)" }] });
      const found: unknown[] = [];
      for await (const message of tx.query({ sql: "SELECT a FROM t ORDER BY a" })) {
        found.push(...message.rows.map(({ values }) => values[0]?.kind.value));
      }
      assert.deepEqual(await rows(), [], "nobody else sees it yet");
      return found;
    });
    assert.deepEqual(seen, [1n, 2n, 3n]);
    assert.deepEqual(await rows(), [1n, 2n, 3n]);
  });

  it("rolls back when the function throws, throws that error, and lets the next writer in", async () => {
    const cause = new Error("mine");
    const work = driver.client.transaction(async (tx) => {
      await tx.execute({ sql: "INSERT INTO t VALUES (1)" });
      throw cause;
    });
    await assert.rejects(work, (error) => error === cause);
    await driver.execute("INSERT INTO t VALUES (2)");
    assert.deepEqual(await rows(), [2n]);
  });

  it("rolls back when a call in it fails", async () => {
    const work = driver.client.transaction(async (tx) => {
      await tx.execute({ sql: "INSERT INTO t VALUES (1)" });
      await tx.execute({ sql: "INSERT INTO t VALUES (1)" });
    });
    await assert.rejects(work, { reason: "CONSTRAINT_UNIQUE", sqliteCode: "SQLITE_CONSTRAINT_PRIMARYKEY" });
    assert.deepEqual(await rows(), []);
  });

  it("rolls back when it is cancelled before its commit, and lets the next writer in", async () => {
    const controller = new AbortController();
    const work = driver.client.transaction(
      async (tx) => {
        await tx.execute({ sql: "INSERT INTO t VALUES (1)" });
        controller.abort();
      },
      { signal: controller.signal },
    );
    await assert.rejects(work, { reason: "CANCELLED" });
    // The lease is longer than this call may take: only the rollback lets it in.
    await driver.client.execute({ sql: "INSERT INTO t VALUES (2)" }, { timeoutMs: 15_000 });
    assert.deepEqual(await rows(), [2n]);
  });

  it("says that it came too late, and nothing was written", async () => {
    const work = driver.client.transaction(
      async (tx) => {
        await tx.execute({ sql: "INSERT INTO t VALUES (1)" });
        // Waits for the writer, which the transaction holds until it expires.
        await driver.execute("INSERT INTO t VALUES (2)");
      },
      { ttlMs: 200 },
    );
    await assert.rejects(work, { reason: "TRANSACTION_EXPIRED" });
    assert.deepEqual(await rows(), [2n]);
  });
});
