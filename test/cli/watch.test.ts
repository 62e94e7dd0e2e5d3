import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openConnection } from "../../src/sqlite/connection.js";
import { dumpIndex } from "../support/indexed-project.js";
import { type RunningProgram, runScript, startProgram } from "../support/program.js";
import { Random } from "../support/random.js";
import { startScriptedDriver } from "../support/scripted-driver.js";
import { useTempFolder } from "../support/temp-folder.js";

const PROGRAM = "src/bin/code-analysis-driver.js";
const SEED = Number(process.env.WATCH_SEED ?? Date.now() % 2 ** 31);

describe("code-analysis-driver index --watch", function () {
  this.timeout(180_000);
  const inFolder = useTempFolder();
  const running = new Set<RunningProgram>();
  let sentinels = 0;

  beforeEach(() => mkdirSync(inFolder("source")));
  afterEach(async () => {
    for (const { child, ended } of running) {
      child.kill("SIGKILL");
      await ended;
    }
    running.clear();
  });

  function start(...args: string[]): RunningProgram {
    const program = startProgram(PROGRAM, args, { cwd: inFolder() });
    running.add(program);
    return program;
  }

  async function watch(...args: string[]): Promise<RunningProgram> {
    const program = start("index", "source", "--watch", "--json", ...args);
    await program.waitFor("stdout", /^\{"project".*\n/);
    return program;
  }

  function write(path: string, text: string): void {
    mkdirSync(dirname(inFolder("source", path)), { recursive: true });
    writeFileSync(inFolder("source", path), text);
  }

  /** Waits until everything that was done before is in the index: what comes after it in the root directory is. */
  async function settled(program: RunningProgram): Promise<void> {
    const name = `sentinel${++sentinels}.py`;
    write(name, name);
    await program.waitFor("stdout", new RegExp(`^.*"event":"indexed","file_path":"${name}".*\\n`, "m"));
  }

  /** All rows but those that name the project by its random id. */
  function dump(database: string): Record<string, string[]> {
    const connection = openConnection(inFolder(database), { role: "reader" });
    try {
      const { indexing_errors: _, ...rest } = dumpIndex(connection);
      return rest;
    } finally {
      connection.close();
    }
  }

  /** Ends the program as Ctrl-C does, and compares its index with a clean one of what is there now. */
  async function assertFresh(program: RunningProgram, database: string): Promise<void> {
    program.child.kill("SIGINT");
    const { exitCode, stderr } = await program.ended;
    assert.equal(exitCode, 0, stderr);
    assert.equal(stderr, "");
    const clean = await runScript(PROGRAM, ["index", "source", "--db", "clean.db", "--json"], { cwd: inFolder() });
    assert.equal(clean.exitCode, 0, clean.stderr);
    assert.deepEqual(dump(database), dump("clean.db"));
  }

  it("follows files that appear, change, are renamed, ignored and deleted, one document each", async () => {
    write("a.py", "def a(): pass\n");
    write("b.py", "from a import a\ndef b(): a()\n");
    const program = await watch("--db", "a.db");
    const told = (event: string, path: string) =>
      program.waitFor("stdout", new RegExp(`^\\{"event":"${event}","file_path":"${path}".*\\n`, "m"));
    write("new/c.ts", "export function c() {}\n");
    await told("indexed", "new/c.ts");
    write("a.py", "def a2(): pass\n");
    await told("indexed", "a.py");
    renameSync(inFolder("source", "b.py"), inFolder("source", "d.py"));
    await told("indexed", "d.py");
    await told("removed", "b.py");
    renameSync(inFolder("source", "new"), inFolder("away"));
    await told("removed", "new/c.ts");
    renameSync(inFolder("away"), inFolder("source", "back"));
    await told("indexed", "back/c.ts");
    // The directory is watched where it is now.
    write("back/e.ts", "export function e() {}\n");
    await told("indexed", "back/e.ts");
    write("broken.py", "def (:\n");
    const [document] = await told("indexed", "broken.py");
    assert.deepEqual(JSON.parse(document).problems, [
      { error_type: "syntax_error", message: "syntax error in line 1", line: 1 },
    ]);
    write("binary.py", "\0");
    const [failure] = await told("failed", "binary.py");
    assert.equal(JSON.parse(failure).reason, "FILE_NOT_INDEXABLE");
    rmSync(inFolder("source", "binary.py"));
    await told("removed", "binary.py");
    write(".gitignore", "/back/\n");
    await told("removed", "back/e.ts");
    await assertFresh(program, "a.db");
  });

  it("survives branch switches and a directory that is moved away and back", async () => {
    const git = (...args: string[]) =>
      execFileSync("git", ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "core.hooksPath=/dev/null", ...args], {
        cwd: inFolder("source"),
        env: { ...process.env, GIT_CONFIG_GLOBAL: "/dev/null", GIT_CONFIG_SYSTEM: "/dev/null" },
      });
    const fill = (branch: number): void => {
      for (let n = 0; n < 600; n++) {
        // A third is there on one branch only, a third the same on both.
        if (n % 3 === branch) continue;
        write(`d${n % 40}/f${n}.py`, `def f${n}_${n % 3 === 2 ? 0 : branch}(): pass\n`);
      }
    };
    git("init", "-q", "-b", "one");
    fill(0);
    git("add", "-A");
    git("commit", "-qm", "one");
    git("checkout", "-qb", "two");
    git("rm", "-rqf", ".");
    fill(1);
    git("add", "-A");
    git("commit", "-qm", "two");

    const program = await watch("--db", "a.db");
    for (const branch of ["one", "two", "one", "two", "one"]) git("checkout", "-q", branch);
    await settled(program);
    renameSync(inFolder("source", "d1"), inFolder("d1"));
    renameSync(inFolder("source", "d2"), inFolder("source", "d3", "d2"));
    git("checkout", "-qf", "two");
    renameSync(inFolder("d1"), inFolder("source", "d1 again"));
    await settled(program);
    await assertFresh(program, "a.db");
  });

  it(`ends with a clean index after any changes (seed ${SEED})`, async () => {
    const random = new Random(SEED);
    const directories = ["", "a/", "b/", "a/deep/", "a/deep/er/", "c/"];
    const place = () =>
      `${random.pick(directories)}${random.pick(["x", "y", "z"])}.${random.pick(["py", "ts", "txt"])}`;
    const move = (from: string, to: string): void => {
      try {
        mkdirSync(dirname(to), { recursive: true });
        renameSync(from, to);
      } catch {
        // Nothing is there, or something is in the way: as it may be.
      }
    };
    for (let n = 0; n < 10; n++) write(place(), `x${n} = f(${n})\n`);
    const program = await watch("--db", "a.db");
    for (let n = 0; n < 300; n++) {
      const [one, other] = [inFolder("source", place()), inFolder("source", place())];
      const directory = inFolder("source", random.pick(directories.slice(1)));
      random.pick([
        () => write(place(), `def f${random.below(5)}(): f${random.below(5)}()\n`),
        () => write(place(), `def f${random.below(5)}(): f${random.below(5)}()\n`),
        () => rmSync(one, { force: true }),
        () => move(one, other),
        () => move(directory, inFolder("outside")),
        () => move(inFolder("outside"), directory),
        () => move(directory, inFolder("source", "moved")),
        () => move(inFolder("source", "moved"), directory),
        () => rmSync(directory, { recursive: true, force: true }),
        () => write(".gitignore", `${random.pick(["*.txt", "b/", "x.*", "deep/"])}\n`),
        () => rmSync(inFolder("source", ".gitignore"), { force: true }),
        // Comes and goes before anybody can look.
        () => write("gone.py", "") === undefined && rmSync(inFolder("source", "gone.py")),
      ])();
      if (random.chance(0.02)) await settled(program);
    }
    // No rule may hide the last one.
    rmSync(inFolder("source", ".gitignore"), { force: true });
    await settled(program);
    assert.ok(readdirSync(inFolder("source")).length > 1);
    await assertFresh(program, "a.db");
  });

  it("stops its own driver cleanly at Ctrl-C, which a terminal sends to the whole group, and when the terminal goes away", async () => {
    for (const signal of ["SIGINT", "SIGHUP"] as const) {
      const args = ["index", "source", "--watch", "--json", "--db", "a.db"];
      const program = startProgram(PROGRAM, args, { cwd: inFolder(), isGroupLeader: true });
      running.add(program);
      await program.waitFor("stdout", /^\{"project".*\n/);
      assert.ok(existsSync(inFolder("a.db.sock")));
      process.kill(-(program.child.pid ?? 0), signal);
      assert.equal((await program.ended).exitCode, 0);
      // What a driver leaves that has ended by itself: no WAL, no socket, no note of its presence.
      for (const left of ["a.db.sock", "a.db-wal", "a.db.lock.json"]) assert.ok(!existsSync(inFolder(left)), left);
    }
  });

  it("ends its own driver when nobody reads what it says", async () => {
    const program = startProgram(PROGRAM, ["index", "source", "--watch", "--json", "--db", "a.db"], {
      cwd: inFolder(),
    });
    running.add(program);
    await program.waitFor("stdout", /^\{"project".*\n/);
    program.child.stdout.destroy();
    for (let n = 0; program.child.exitCode === null; n++) {
      write(`more${n}.py`, "");
      await delay(50);
    }
    while (existsSync(inFolder("a.db.sock"))) await delay(20);
  });

  it("waits for a driver that ends, and finds one that has another database, or an older one", async () => {
    write("a.py", "def a(): pass\n");
    const address = `unix:${inFolder("d.sock")}`;
    const serve = async (database: string) => {
      const driver = start("serve", "--db", database, "--listen", address);
      await driver.waitFor("stdout", /^listening /);
      return driver;
    };
    const first = await serve("a.db");
    const program = await watch("--address", address);
    first.child.kill("SIGKILL");
    await first.ended;
    for (const copy of ["old.db", "older.db"])
      for (const end of ["", "-wal"]) copyFileSync(inFolder(`a.db${end}`), inFolder(`${copy}${end}`));
    write("b.py", "def b(): pass\n");
    rmSync(inFolder("source", "a.py"));
    await program.waitFor("stderr", /^\{"event":"waiting".*\n/m);
    const second = await serve("a.db");
    await program.waitFor("stdout", /"event":"indexed","file_path":"b\.py"/);
    await program.waitFor("stdout", /"event":"removed","file_path":"a\.py"/);
    await program.waitFor("stderr", /^\{"event":"resumed"\}\n/m);
    second.child.kill("SIGTERM");
    await second.ended;
    const third = await serve("other.db");
    write("c.py", "def c(): pass\n");
    await program.waitFor("stdout", /"file_path":"c\.py"/);
    await settled(program);
    third.child.kill("SIGTERM");
    await third.ended;
    const fourth = await serve("old.db");
    await settled(program);
    fourth.child.kill("SIGTERM");
    await fourth.ended;
    // With another copy in its place, the driver knows the project, and answers as if nothing had been.
    for (const end of ["", "-wal"]) copyFileSync(inFolder(`older.db${end}`), inFolder(`old.db${end}`));
    await serve("old.db");
    await settled(program);
    write("last.py", "");
    await program.waitFor("stdout", /"event":"indexed","file_path":"last\.py"/);
    program.child.kill("SIGINT");
    assert.equal((await program.ended).exitCode, 0);
    for (const database of ["other.db", "old.db"]) {
      const names = dump(database).functions?.map((row) => JSON.parse(row).name);
      assert.deepEqual(names?.filter((name) => name !== "a").sort(), ["b", "c"], database);
    }
  });

  it("calls nothing but IndexFile after the first run, and tells people what happened", async () => {
    const calls: string[] = [];
    const driver = await startScriptedDriver(`unix:${inFolder("s.sock")}`, {
      getDriverInfo: () => ({}),
      registerProject: ({ rootPath }) => ({ project: { id: "p", rootPath } }),
      async *indexProject() {
        yield { progress: {}, summary: {} };
      },
      indexFile: ({ filePath, projectId, reconcile }) => {
        calls.push(`${projectId} ${filePath} ${reconcile}`);
        return {
          language: existsSync(join(inFolder("source"), filePath)) ? "python" : "",
          removed: !filePath.endsWith("y"),
        };
      },
    });
    try {
      const program = start("index", "source", "--watch", "--address", driver.address);
      await program.waitFor("stdout", /\nWatching 1 directory; Ctrl-C ends it\.\n$/);
      write("a.py", "");
      await program.waitFor("stdout", /^\d\d:\d\d:\d\d {2}indexed {2}a\.py {2}python\n/m);
      for (let n = 0; n < 30; n++) write(`many/${n}.py`, "");
      await program.waitFor("stdout", /^\S+ {2}3\d files: 3\d indexed\n|(?:^\S+ {2}indexed {2}many.*\n){3}/m);
      program.child.kill("SIGINT");
      assert.equal((await program.ended).exitCode, 0);
    } finally {
      driver.close();
    }
    assert.ok(calls.length >= 31);
    assert.ok(
      calls.every((call) => /^p \S+ true$/.test(call)),
      calls[0],
    );
  });
});
