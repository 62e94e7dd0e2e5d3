import assert from "node:assert/strict";
import { once } from "node:events";
import { copyFileSync, existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Connection, openConnection } from "../../../src/sqlite/connection.js";
import { acquirePresence } from "../../../src/sqlite/presence-lock.js";
import { readPresenceNotes } from "../../../src/sqlite/presence-note.js";
import { startConfigCli } from "../../support/config-cli.js";
import { scratchDirectory } from "../../support/scratch.js";
import { type Snapshot, snapshot } from "../../support/snapshot.js";
import { useTempFolder } from "../../support/temp-folder.js";

const OLD = `CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, lines TEXT);
  CREATE INDEX by_path ON files (path); CREATE INDEX by_lines ON files (lines, path);`;
const NEW = OLD.replace("lines TEXT", "lines INTEGER");
const ROWS = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)
  INSERT INTO files (path, lines) SELECT printf('%0100d', i * 7919 % 100000), i FROM n;`;

describe("config_cli schema, interrupted", function () {
  this.timeout(120_000);
  const inFolder = useTempFolder();

  for (const journalMode of ["wal", "delete"]) {
    const template = join(scratchDirectory(), "template.db");
    let before: Snapshot;

    it(`(a database in ${journalMode} mode, large enough to be caught at work)`, () => {
      before = use(template, (connection) => {
        connection.exec(`PRAGMA journal_mode = ${journalMode}; ${OLD} ${ROWS}`);
        return snapshot(connection);
      });
    });

    for (const [signal, target] of [
      ["SIGINT", "itself"],
      ["SIGTERM", "itself"],
      ["SIGINT", "its process group"],
      ["SIGKILL", "itself"],
      ["SIGKILL", "the process that does the work"],
    ] as const) {
      it(`leaves the old state and no trace after ${signal} to ${target} during the copy (${journalMode})`, async () => {
        const path = inFolder("a.db");
        copyFileSync(template, path);
        writeFileSync(inFolder("wanted.sql"), NEW);
        const running = startConfigCli(["schema", "--db", path, "--schema", inFolder("wanted.sql"), "--no-backup"], {
          isGroupLeader: true,
        });
        await running.waitFor("stdout", /rebuild table files/);
        await untilLocked(path);
        const pid = running.child.pid ?? 0;
        const worker = readPresenceNotes(path)[0]?.pid ?? 0;
        const receiver = { itself: pid, "its process group": -pid, "the process that does the work": worker }[target];
        process.kill(receiver, signal);
        const startedAt = performance.now();
        const { exitCode, stdout, stderr } = await running.ended;
        if (signal === "SIGKILL") {
          assert.equal(exitCode, target === "itself" ? null : 1);
          if (target !== "itself") assert.match(stderr, /^error: The process .* SIGKILL\. Nothing was changed\.\n$/);
        } else {
          assert.equal(exitCode, 130, stderr);
          assert.equal(stderr, "Interrupted; nothing was changed.\n");
          assert.ok(performance.now() - startedAt < 5_000);
        }
        assert.doesNotMatch(stdout, /Migrated/);
        (await acquirePresence(path, "exclusive", 60_000)).release();
        if (signal !== "SIGKILL") {
          for (const suffix of ["-journal", "-wal"]) assert.ok(!existsSync(path + suffix), suffix);
        }
        const after = use(path, snapshot);
        assert.deepEqual(after, before);
        assert.deepEqual(use(path, integrity), ["ok"]);
      });
    }
  }

  it("removes an unfinished backup", async () => {
    const path = inFolder("a.db");
    use(path, (connection) => connection.exec(`${OLD} ${ROWS}`));
    const before: Snapshot = use(path, snapshot);
    writeFileSync(inFolder("wanted.sql"), NEW);
    const running = startConfigCli(["schema", "--db", path, "--schema", inFolder("wanted.sql")]);
    while (!readdirSync(inFolder()).some((name) => name.endsWith(".partial"))) await pause();
    running.child.kill("SIGINT");
    assert.equal((await running.ended).exitCode, 130);
    assert.deepEqual(
      readdirSync(inFolder()).filter((name) => name.includes("backup")),
      [],
    );
    assert.deepEqual(use(path, snapshot), before);
  });
});

function use<T>(path: string, body: (connection: Connection) => T): T {
  const connection = openConnection(path, { role: "migration", mustExist: false });
  try {
    return body(connection);
  } finally {
    connection.close();
  }
}

function integrity(connection: Connection): unknown[] {
  return connection.prepare("PRAGMA integrity_check").pluck().all();
}

/** Resolves when another process holds the write lock of the database. */
async function untilLocked(path: string): Promise<void> {
  const connection = openConnection(path, { role: "migration" });
  connection.pragma("busy_timeout = 0");
  try {
    for (;;) {
      try {
        connection.exec("BEGIN IMMEDIATE; ROLLBACK");
      } catch {
        return;
      }
      await pause();
    }
  } finally {
    connection.close();
  }
}

function pause(): Promise<unknown> {
  return once(AbortSignal.timeout(2), "abort");
}
