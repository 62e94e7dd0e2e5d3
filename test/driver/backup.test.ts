import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";
import type { BackupResponse, BackupSummary } from "../../gen/code_analysis/driver/v1/backup_pb.js";
import { BUILT_IN_SCHEMA } from "../../src/schema/built-in-schema.js";
import { until } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";
import { beside, DATABASE, DriverProcess, killDrivers } from "./driver-process.js";
import { failsWith } from "./failure.js";

/** About 16 MB, so that a copy takes several rounds. */
const LARGE = `CREATE TABLE large AS
  WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 4000) SELECT i, randomblob(4000) AS data FROM n;`;

/** A few pages that are copied at once, and of which the check takes milliseconds for each row: more than a minute. */
const SLOW_TO_CHECK = `PRAGMA ignore_check_constraints = ON;
  CREATE TABLE slow (x CHECK (length(replace(hex(zeroblob(400000)), '0', '12')) > x));
  INSERT INTO slow WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) SELECT i FROM n;`;

describe("Backup", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  async function start(sql = LARGE, ...args: string[]): Promise<DriverProcess> {
    beside(inFolder(DATABASE), (connection) => connection.exec(BUILT_IN_SCHEMA + sql));
    mkdirSync(inFolder("backups"));
    return await DriverProcess.start(inFolder(), { args });
  }

  const files = () => readdirSync(inFolder("backups"));

  /** Reads `backup` to its end; `work` is done when everything is copied and the check has begun. */
  async function whenCopied(backup: AsyncIterable<BackupResponse>, work: () => Promise<void>): Promise<void> {
    for await (const { progress } of backup) {
      if (progress !== undefined && progress.pagesDone === progress.pagesTotal) await work();
    }
  }

  /** Waits until nothing is in the folder of the backups; the test's own timeout ends it otherwise. */
  async function untilEmpty(): Promise<void> {
    while (files().length > 0) await pause(10);
  }

  it("copies one moment of a database that is written and read meanwhile, and proves the copy", async () => {
    const driver = await start(`${LARGE} CREATE TABLE pairs (id INTEGER PRIMARY KEY, half);`);
    const destinationPath = inFolder("backups", "a.backup");
    // The process of the reads starts with the first of them, and a small backup would be over by then.
    await driver.values("SELECT 1");
    const counts = { writes: 0, reads: 0 };
    let isDone = false;
    const goOn = async (work: () => Promise<unknown>, count: () => void) => {
      while (!isDone) {
        await work();
        count();
      }
    };
    const insert = { sql: "INSERT INTO pairs (half) VALUES (1)" };
    const work = [
      goOn(
        () => driver.client.executeBatch({ statements: [insert, insert] }),
        () => counts.writes++,
      ),
      goOn(
        () => driver.values("SELECT count(*) FROM pairs"),
        () => counts.reads++,
      ),
    ];
    const progress: number[] = [];
    const during = { writes: 0, reads: 0 };
    let before = 0;
    let summary: BackupSummary | undefined;
    for await (const message of driver.client.backup({ destinationPath })) {
      assert.equal(summary, undefined, "nothing comes after the summary");
      if (progress.length === 0) before = counts.writes;
      if (message.progress !== undefined) progress.push(Number(message.progress.pagesDone));
      summary = message.summary;
      during.writes = counts.writes - before;
      during.reads = counts.reads;
    }
    const after = counts.writes;
    isDone = true;
    await Promise.all(work);

    assert.ok(progress.length > 2, `${progress.length} messages`);
    assert.deepEqual(
      progress,
      [...progress].sort((a, b) => a - b),
      "progress grows",
    );
    assert.ok(during.writes > 0 && during.reads > 0, JSON.stringify(during));
    assert.deepEqual(files(), ["a.backup"]);
    assert.deepEqual(summary, {
      $typeName: "code_analysis.driver.v1.BackupSummary",
      destinationPath,
      sizeBytes: BigInt(statSync(destinationPath).size),
      isVerified: true,
      sha256: createHash("sha256").update(readFileSync(destinationPath)).digest("hex"),
    });
    assert.equal(statSync(destinationPath).mode & 0o777, 0o600);

    const large = "SELECT count(*), sum(i), max(hex(data)) FROM large";
    const [copied, pairs] = beside(destinationPath, (copy) => {
      assert.equal(copy.pragma("integrity_check", { simple: true }), "ok");
      return [copy.prepare(large).raw().get(), copy.prepare("SELECT count(*) FROM pairs").pluck().get()];
    });
    assert.deepEqual(
      copied,
      beside(driver.databasePath, (connection) => connection.prepare(large).raw().get()),
    );
    const count = Number(pairs);
    assert.equal(count % 2, 0, "a transaction is in the copy whole or not at all");
    assert.ok(count / 2 <= after + 1, `${count / 2} of ${after}`);
  });

  it("leaves no file when its client cancels, and makes the next one", async () => {
    const driver = await start();
    const destinationPath = inFolder("backups", "a.backup");
    const cancellation = new AbortController();
    const cancelled = driver.client
      .backup({ destinationPath }, { signal: cancellation.signal })
      [Symbol.asyncIterator]();
    assert.ok((await cancelled.next()).value?.progress !== undefined);
    assert.ok(files().length > 0, "the control: there was something to remove");
    cancellation.abort();
    await failsWith("CANCELLED", { [Symbol.asyncIterator]: () => cancelled });
    await untilEmpty();
    for await (const { progress } of driver.client.backup({ destinationPath })) if (progress !== undefined) break;
    await untilEmpty();
    for await (const _ of driver.client.backup({ destinationPath }));
    assert.deepEqual(files(), ["a.backup"]);
  });

  it("leaves no file when its deadline passes or the driver goes down", async () => {
    const driver = await start();
    const destinationPath = inFolder("backups", "a.backup");
    await failsWith("DEADLINE_EXCEEDED", driver.client.backup({ destinationPath }, { timeoutMs: 1 }));
    await untilEmpty();
    for await (const { progress } of driver.client.backup({ destinationPath })) {
      if (progress === undefined) continue;
      driver.program.child.kill("SIGINT");
      driver.program.child.kill("SIGTERM");
      await driver.program.ended;
      break;
    }
    await untilEmpty();
  });

  it("leaves no file when the driver is killed while the copy is checked, which its process cannot leave off", async () => {
    const driver = await start(SLOW_TO_CHECK);
    const backup = driver.client.backup({ destinationPath: inFolder("backups", "a.backup") });
    const work = whenCopied(backup, async () => {
      assert.ok(files().length > 0, "the control: there is something to remove");
      driver.program.child.kill("SIGKILL");
    });
    await failsWith("DRIVER_UNREACHABLE", work);
    await untilEmpty();
  });

  it("is answered DRAINING, as no defect, when the driver goes down and waits for it no longer", async () => {
    const driver = await start(SLOW_TO_CHECK, "--drain-timeout", "100ms");
    const backup = driver.client.backup({ destinationPath: inFolder("backups", "a.backup") });
    const work = whenCopied(backup, async () => void driver.program.child.kill("SIGTERM"));
    const { retryAfterMs = 0 } = await failsWith("DRAINING", work);
    assert.ok(retryAfterMs > 0, "it says when to come back");
    const { exitCode, stderr } = await driver.program.ended;
    assert.equal(exitCode, 0);
    assert.doesNotMatch(stderr, /"level":"(?:error|fatal)"|"stack"/);
    assert.deepEqual(files(), []);
  });

  it("keeps the write-ahead log from shrinking only while it copies", async () => {
    const driver = await start(SLOW_TO_CHECK);
    await driver.execute("INSERT INTO slow VALUES (1)");
    const backup = driver.client.backup({ destinationPath: inFolder("backups", "a.backup") });
    const work = whenCopied(backup, async () => {
      const { load } = await driver.client.getDriverInfo({});
      assert.equal(load?.oldestSnapshotAge, undefined, "it is no oldest reader any more");
      // The writer may be at it, too.
      await until("the write-ahead log is emptied", () =>
        beside(driver.databasePath, (connection) => {
          const [result] = connection.pragma("wal_checkpoint(TRUNCATE)") as { busy: number }[];
          return result?.busy === 0;
        }),
      );
      assert.ok(!files().includes("a.backup"), "the control: the check goes on");
      driver.program.child.kill("SIGKILL");
    });
    await failsWith("DRIVER_UNREACHABLE", work);
  });

  it("refuses a destination that is none, is there, or belongs to the database, and serves on", async () => {
    const driver = await start("");
    writeFileSync(inFolder("backups", "mine"), "mine");
    const before = readdirSync(inFolder(), { recursive: true });
    for (const destinationPath of ["a.backup", inFolder("backups", "mine"), `${driver.databasePath}-journal`]) {
      const { field } = await failsWith("INVALID_REQUEST", driver.client.backup({ destinationPath }));
      assert.equal(field, "destination_path", destinationPath);
    }
    assert.deepEqual(readdirSync(inFolder(), { recursive: true }), before);
    assert.equal(readFileSync(inFolder("backups", "mine"), "utf8"), "mine");
    assert.deepEqual(await driver.values("SELECT 1"), [1n], "the driver serves");
  });

  it("says that the disk is full, and leaves nothing on it", async function () {
    const driver = await start();
    if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=4m", "tmpfs", inFolder("backups")]).status !== 0) this.skip();
    try {
      const destinationPath = inFolder("backups", "a.backup");
      const error = await failsWith("DISK_FULL", driver.client.backup({ destinationPath }));
      assert.match(error.message, /A backup in .* cannot be written: database or disk is full\./);
      assert.deepEqual(files(), []);
      assert.deepEqual(await driver.values("SELECT count(*) FROM large"), [4000n], "the driver serves");
    } finally {
      spawnSync("umount", [inFolder("backups")]);
    }
  });
});
