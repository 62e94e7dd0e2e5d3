import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { managedTables, wantedModel } from "../../src/schema/built-in-schema.js";
import { examine, fix } from "../../src/schema/doctor.js";
import { recover } from "../../src/schema/recovery.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { scratchDirectory } from "../support/new-database.js";
import { type Snapshot, snapshot } from "../support/snapshot.js";
import { fillDatabase, interruptNaiveMigration } from "./full-database.js";

const CHILD = fileURLToPath(new URL("./recover-child.js", import.meta.url));
const MANAGED = managedTables(wantedModel());
/** Everything by which SQLite changes a file. strace counts each system call for itself, so each has a loop of its own. */
const WRITES = ["pwrite64", "fsync", "fdatasync", "ftruncate", "unlink"];

type Task = "recover" | "fix";

const DAMAGES: readonly (readonly [name: string, task: Task, damage: (connection: Connection) => void])[] = [
  ["after RENAME, references rewritten", "recover", (connection) => interruptNaiveMigration(connection, 1)],
  ["after RENAME, references kept", "recover", (connection) => interruptNaiveMigration(connection, 1, true)],
  ["after CREATE", "recover", (connection) => interruptNaiveMigration(connection, 2)],
  ["after DROP: dangling references", "recover", (connection) => interruptNaiveMigration(connection, 4)],
  ["before DROP, by the doctor", "fix", (connection) => interruptNaiveMigration(connection, 3)],
];

const JOURNALS = [
  ["WAL", "writer"],
  ["DELETE", "migration"],
] as const;

describe("recovery that is killed", function () {
  this.timeout(600_000);
  const directory = scratchDirectory();
  const template = join(directory, "template.db");
  const path = join(directory, "killed.db");
  let points = 0;

  function restore(): void {
    for (const suffix of ["", "-wal", "-shm", "-journal"]) rmSync(path + suffix, { force: true });
    copyFileSync(template, path);
  }

  /** Damages a full database, and answers how it looks before and after an undisturbed run. */
  function prepare(
    role: "writer" | "migration",
    task: Task,
    damage: (connection: Connection) => void,
  ): [Snapshot, Snapshot] {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(template + suffix, { force: true });
    const connection = openConnection(template, { role, mustExist: false });
    fillDatabase(connection);
    damage(connection);
    if (role === "writer") connection.pragma("wal_checkpoint(TRUNCATE)");
    connection.close();
    restore();
    const scratch = openConnection(path, { role });
    const damaged = snapshot(scratch);
    run(scratch, task);
    const healed = snapshot(scratch);
    scratch.close();
    return [damaged, healed];
  }

  function run(connection: Connection, task: Task): void {
    if (task === "fix") fix(connection, wantedModel());
    else recover(connection, MANAGED);
  }

  /** What the killed process left must be the state before or the state after, and a run from there ends healed. */
  function assertWhole(
    role: "writer" | "migration",
    task: Task,
    damaged: Snapshot,
    healed: Snapshot,
    at: string,
  ): void {
    const connection = openConnection(path, { role });
    try {
      assert.equal(connection.pragma("quick_check", { simple: true }), "ok", at);
      const found = snapshot(connection);
      const isDamaged = JSON.stringify(found.schema) === JSON.stringify(damaged.schema);
      assert.deepEqual(found, isDamaged ? damaged : healed, at);
      run(connection, task);
      assert.deepEqual(snapshot(connection), healed, at);
      const kinds = examine(connection, wantedModel()).findings.map(({ kind }) => kind);
      assert.deepEqual(
        kinds.filter((kind) => kind !== "foreign_key"),
        [],
        at,
      );
    } finally {
      connection.close();
    }
  }

  after(() => void process.stdout.write(`      killed at ${points} points\n`));

  for (const [journal, role] of JOURNALS) {
    for (const [what, task, damage] of DAMAGES) {
      it(`loses nothing at any statement, ${what}, ${journal}`, () => {
        const [damaged, healed] = prepare(role, task, damage);
        assert.notDeepEqual(damaged.schema, healed.schema, "the damage is one");
        for (let killAt = 1; ; killAt++) {
          restore();
          const child = spawnSync(process.execPath, [CHILD, path, role, task, String(killAt)], { encoding: "utf8" });
          if (child.signal !== "SIGKILL") {
            assert.equal(child.status, 0, child.stderr);
            assert.ok(killAt > 4, `${killAt} statements`);
            break;
          }
          points++;
          assertWhole(role, task, damaged, healed, `killed before statement ${killAt}`);
        }
        assertWhole(role, task, damaged, healed, "not killed");
      });
    }

    for (const [what, task, damage] of DAMAGES.filter(([name]) => /CREATE|doctor/.test(name))) {
      it(`loses nothing at any system call, ${what}, ${journal}`, function () {
        if (spawnSync("strace", ["-V"]).status !== 0) this.skip();
        const [damaged, healed] = prepare(role, task, damage);
        let kills = 0;
        for (const call of WRITES) {
          for (let killAt = 1; runUnderStrace(call, killAt, role, task); killAt++) {
            kills++;
            assertWhole(role, task, damaged, healed, `killed at ${call} ${killAt}`);
          }
        }
        assert.ok(kills > 5, `${kills} system calls`);
        points += kills;
      });
    }
  }

  /** Runs the child until its system call number `killAt` of this kind on a file of the database. @returns whether it came to that. */
  function runUnderStrace(call: string, killAt: number, role: string, task: Task): boolean {
    restore();
    const files = ["", "-wal", "-shm", "-journal"].flatMap((suffix) => ["-P", path + suffix]);
    const inject = ["-e", `trace=${call}`, "-e", `inject=${call}:signal=SIGKILL:when=${killAt}`];
    const child = spawnSync(
      "strace",
      ["-f", "-qq", "-o", "/dev/null", ...files, ...inject, process.execPath, CHILD, path, role, task],
      { encoding: "utf8" },
    );
    const isKilled = child.signal === "SIGKILL" || child.status === 137;
    assert.ok(isKilled || child.status === 0, child.stderr);
    return isKilled;
  }

  it("is done once by two processes at the same moment", async () => {
    prepare("writer", "recover", (connection) => interruptNaiveMigration(connection, 2));
    restore();
    const lock = openConnection(path, { role: "writer" });
    lock.exec("BEGIN IMMEDIATE");
    const children = [1, 2].map(() =>
      spawn(process.execPath, [CHILD, path, "writer", "recover"], { stdio: ["ignore", "pipe", "inherit"] }),
    );
    const lines = children.map((child) => createInterface({ input: child.stdout })[Symbol.asyncIterator]());
    // Both have seen the damage and wait for the lock.
    for (const line of lines) assert.equal((await line.next()).value, "begin");
    lock.exec("COMMIT");
    const messages = await Promise.all(lines.map(async (line) => JSON.parse(String((await line.next()).value))));
    await Promise.all(children.map((child) => child.exitCode ?? once(child, "exit")));
    assert.deepEqual(messages.map((list) => list.length).sort(), [0, 1]);
    assert.equal(lock.prepare("SELECT count(*) FROM files").pluck().get(), 3);
    lock.close();
  });
});
