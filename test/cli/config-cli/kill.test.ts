import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Connection, openConnection } from "../../../src/sqlite/connection.js";
import { acquirePresence } from "../../../src/sqlite/presence-lock.js";
import { fillDatabase, interruptNaiveMigration } from "../../recovery/full-database.js";
import { amount, SEED } from "../../reliability/experiment.js";
import { scratchDirectory } from "../../support/scratch.js";
import { type Snapshot, snapshot } from "../../support/snapshot.js";

const PROGRAM = fileURLToPath(new URL("../../../src/bin/config-cli.js", import.meta.url));

/** Everything by which a file is changed, or a process speaks to another. */
const CALLS = ["openat", "pwrite64", "write", "read", "fsync", "fdatasync", "ftruncate", "unlink", "fcntl", "close"];

/** The long form kills at every system call; the short one draws a few calls of each kind. */
const isFull = amount(false, true);
const SAMPLES_PER_CALL = 1;

const OLD = `CREATE TABLE files (id INTEGER PRIMARY KEY AUTOINCREMENT, path TEXT, lines TEXT);
  CREATE INDEX by_path ON files (path); CREATE TABLE kids (file INT REFERENCES files ON DELETE CASCADE);
  CREATE TRIGGER on_files AFTER DELETE ON files BEGIN DELETE FROM kids WHERE file = OLD.id; END;
  WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)
  INSERT INTO files (path, lines) SELECT printf('src/%0200d.ts', i), i FROM n; INSERT INTO kids SELECT id FROM files;`;
const NEW = OLD.slice(0, OLD.indexOf("WITH RECURSIVE")).replace("lines TEXT", "lines INTEGER");

describe("config_cli, killed or failed at a system call", function () {
  this.timeout(isFull ? 14_400_000 : 300_000);
  const directory = scratchDirectory();
  const template = join(directory, "template.db");
  const path = join(directory, "killed.db");
  const wanted = join(directory, "wanted.sql");
  let points = 0;

  before(function () {
    if (spawnSync("strace", ["-V"]).status !== 0) this.skip();
    writeFileSync(wanted, NEW);
  });
  after(() => void process.stdout.write(`      killed at ${points} points (seed ${SEED})\n`));

  const rebuild = {
    args: ["schema", "--db", path, "--schema", wanted, "--no-backup"],
    prepare: (connection: Connection) => void connection.exec(OLD),
  };
  const doctor = {
    args: ["doctor", "--db", path, "--fix"],
    prepare: (connection: Connection) => {
      fillDatabase(connection);
      interruptNaiveMigration(connection, 3);
    },
  };

  for (const journalMode of ["wal", "delete"]) {
    for (const [name, { args, prepare }] of Object.entries({ rebuild, doctor })) {
      it(`has the old or the new state: ${name}, ${journalMode}${isFull ? ", every call" : ""}`, async () => {
        const [before, after] = seedTemplate(journalMode, prepare, args);
        const kills = { old: 0, new: 0 };
        for (const [call, total] of countCalls(args)) {
          for (const at of isFull ? allUpTo(total) : sample(total, `${journalMode}${name}${call}`)) {
            restore();
            if (!(await killAt(call, at, args))) continue;
            kills[await assertWhole(before, after, `killed at ${call} ${at} of ${total}`)]++;
            points++;
          }
        }
        assert.ok(kills.old > 0 && kills.new > 0, JSON.stringify(kills));
      });
    }
  }

  for (const journalMode of ["wal", "delete"]) {
    it(`does not say that nothing was changed when the disk fails its COMMIT: ${journalMode}`, async () => {
      const [before, after] = seedTemplate(journalMode, rebuild.prepare, rebuild.args);
      restore();
      const inject = ["-e", "inject=fsync,fdatasync:error=EIO"];
      const { status, stderr } = spawnSync(
        "strace",
        [
          "-f",
          "-qq",
          "-o",
          "/dev/null",
          ...filter(["fsync", "fdatasync"]),
          ...inject,
          process.execPath,
          PROGRAM,
        ].concat(rebuild.args),
        { encoding: "utf8" },
      );
      const sentence = `error: The database ${path} may be changed or not, because its COMMIT failed: disk I/O error. `;
      assert.equal(stderr.slice(0, sentence.length), sentence);
      assert.equal(status, 1);
      await assertWhole(before, after, "after the failure");
      assert.equal(spawnSync(process.execPath, [PROGRAM, ...rebuild.args]).status, 0);
      assert.deepEqual(look(), after);
    });
  }

  /** Makes the template; answers how it looks, and how it looks after an undisturbed run. */
  function seedTemplate(
    journalMode: string,
    prepare: (connection: Connection) => void,
    args: readonly string[],
  ): [Snapshot, Snapshot] {
    rmSync(template, { force: true });
    const connection = openConnection(template, { role: "migration", mustExist: false });
    connection.pragma(`journal_mode = ${journalMode}`);
    prepare(connection);
    connection.close();
    restore();
    const old = look();
    assert.equal(spawnSync(process.execPath, [PROGRAM, ...args]).status, 0);
    return [old, look()];
  }

  function restore(): void {
    for (const suffix of ["", "-wal", "-shm", "-journal", ".lock", ".lock.json"])
      rmSync(path + suffix, { force: true });
    copyFileSync(template, path);
  }

  function look(): Snapshot {
    const connection = openConnection(path, { role: "migration" });
    try {
      assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
      return snapshot(connection);
    } finally {
      connection.close();
    }
  }

  /** How often the process that makes most of them makes each system call on a file of the database. */
  function countCalls(args: readonly string[]): Map<string, number> {
    restore();
    const trace = join(directory, "trace");
    spawnSync("strace", ["-ff", "-qq", "-o", trace, ...filter(CALLS), process.execPath, PROGRAM, ...args]);
    const counts = new Map<string, number>();
    const { stdout } = spawnSync("sh", ["-c", `cat ${trace}.* | sed 's/(.*//' | sort | uniq -c; rm ${trace}.*`], {
      encoding: "utf8",
    });
    for (const [, count, call] of stdout.matchAll(/^ *(\d+) (\w+)$/gm)) counts.set(String(call), Number(count));
    assert.ok(counts.size >= 5, stdout);
    return counts;
  }

  /** Runs until a process makes its call number `at`. @returns whether it came to that. */
  async function killAt(call: string, at: number, args: readonly string[]): Promise<boolean> {
    const inject = ["-e", `inject=${call}:signal=SIGKILL:when=${at}`];
    const command = [
      "-f",
      "-qq",
      "-o",
      join(directory, "log"),
      ...filter([call]),
      ...inject,
      process.execPath,
      PROGRAM,
    ];
    const child = spawn("strace", [...command, ...args], { stdio: "ignore" });
    await once(child, "exit");
    return readFileSync(join(directory, "log"), "utf8").includes("killed by SIGKILL");
  }

  function filter(calls: readonly string[]): string[] {
    const files = ["", "-wal", "-shm", "-journal", ".lock"].flatMap((suffix) => ["-P", path + suffix]);
    return [...files, "-e", `trace=${calls.join()}`];
  }

  async function assertWhole(before: Snapshot, after: Snapshot, at: string): Promise<"old" | "new"> {
    // A child whose parent was killed gives up at its next step.
    if (existsSync(`${path}.lock`)) (await acquirePresence(path, "exclusive", 30_000)).release();
    const found = look();
    const isOld = JSON.stringify(found.schema) === JSON.stringify(before.schema);
    assert.deepEqual(found, isOld ? before : after, at);
    return isOld ? "old" : "new";
  }

  function sample(total: number, name: string): number[] {
    // Spread over the calls by a simple generator, so that the seed tells which they were.
    let state = [...name].reduce((sum, letter) => (sum * 31 + letter.charCodeAt(0)) % 65_521, SEED);
    const drawn = new Set<number>([total]);
    while (drawn.size < Math.min(SAMPLES_PER_CALL, total)) {
      state = (state * 75 + 74) % 65_537;
      drawn.add(1 + (state % total));
    }
    return [...drawn];
  }

  function allUpTo(total: number): number[] {
    return Array.from({ length: total }, (_, index) => index + 1);
  }
});
