import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { managedTables, wantedModel } from "../../src/schema/built-in-schema.js";
import { examine, fix } from "../../src/schema/doctor.js";
import { recover } from "../../src/schema/recovery.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { KilledProgram } from "../support/kill-points.js";
import { scratchDirectory } from "../support/scratch.js";
import { type Snapshot, snapshot } from "../support/snapshot.js";
import { fillDatabase, interruptNaiveMigration } from "./full-database.js";

const CHILD = new URL("./recover-child.js", import.meta.url);
const MANAGED = managedTables(wantedModel());
const SAMPLE = 3;

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
  this.timeout(3_600_000);
  const directory = scratchDirectory();
  const template = join(directory, "template.db");
  const path = join(directory, "killed.db");

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

  for (const [journal, role] of JOURNALS) {
    for (const [what, task, damage] of DAMAGES) {
      it(`loses nothing at any statement and any system call, ${what}, ${journal}`, () => {
        const [damaged, healed] = prepare(role, task, damage);
        assert.notDeepEqual(damaged.schema, healed.schema, "the damage is one");
        const program = new KilledProgram(template, path, CHILD, [path, role, task]);
        program.killAtEach(SAMPLE, (at) => assertWhole(role, task, damaged, healed, at));
      });
    }
  }

  it("is done once by two processes at the same moment", async () => {
    prepare("writer", "recover", (connection) => interruptNaiveMigration(connection, 2));
    restore();
    const lock = openConnection(path, { role: "writer" });
    lock.exec("BEGIN IMMEDIATE");
    const children = [1, 2].map(() =>
      spawn(process.execPath, [fileURLToPath(CHILD), path, "writer", "recover"], {
        stdio: ["ignore", "pipe", "ignore"],
      }),
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
