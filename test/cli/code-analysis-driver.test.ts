import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { type ProgramResult, type RunningProgram, runScript, startProgram } from "../support/program.js";
import { useTempFolder } from "../support/temp-folder.js";

const PROGRAM = "test/support/scripted-program.js";

describe("code-analysis-driver", () => {
  const inFolder = useTempFolder();
  let driver: RunningProgram | undefined;

  afterEach(async () => {
    driver?.child.kill("SIGKILL");
    await driver?.ended;
    driver = undefined;
  });

  /** Runs a command in a folder of its own, on the database `a.db` in it. */
  function run(...args: string[]): Promise<ProgramResult> {
    return runScript(PROGRAM, args, { cwd: inFolder(), environment: { CODE_ANALYSIS_DRIVER_DB: "a.db" } });
  }

  async function serve(...args: string[]): Promise<RunningProgram> {
    driver = startProgram(PROGRAM, ["serve", ...args], {
      cwd: inFolder(),
      environment: { CODE_ANALYSIS_DRIVER_DB: "a.db" },
    });
    await driver.waitFor("stdout", /^listening .*\n/m);
    return driver;
  }

  describe("usage", () => {
    for (const args of [
      [],
      ["bogus"],
      ["serve", "--bogus"],
      ["sql"],
      ["serve", "--drain-timeout", "5"],
      ["search", "x", "--limit", "0"],
      ["sql", "SELECT ?", "--param", "9223372036854775808"],
      ["sql", "SELECT 1", "--address", "nonsense"],
    ]) {
      it(`ends with 2 and says why on stderr: ${args.join(" ") || "nothing at all"}`, async () => {
        const { exitCode, stdout, stderr } = await run(...args);
        assert.equal(exitCode, 2);
        assert.equal(stdout, "");
        assert.match(stderr, args.length === 0 ? /Usage:/ : /^error: /m);
      });
    }

    it("explains itself with --help and ends with 0", async () => {
      const top = await run("--help");
      assert.equal(top.exitCode, 0);
      for (const name of ["serve", "index", "sql", "search", "load"])
        assert.match(top.stdout, new RegExp(`^  ${name} `, "m"));
      const { exitCode, stdout } = await run("serve", "--help");
      assert.equal(exitCode, 0);
      assert.match(stdout, /--drain-timeout <DURATION> +How long running calls/);
      assert.match(stdout, /\[default: 10s;/);
      assert.match(stdout, /CODE_ANALYSIS_DRIVER_DRAIN_TIMEOUT/);
    });

    it("ends with 1 for a wrong value that no flag gave", async () => {
      const environment = { CODE_ANALYSIS_DRIVER_READERS: "many" };
      const { exitCode, stderr } = await runScript(PROGRAM, ["serve"], { cwd: inFolder(), environment });
      assert.equal(exitCode, 1);
      assert.equal(stderr, 'error: CODE_ANALYSIS_DRIVER_READERS is "many"; it must be a whole number from 1 to 256.\n');
    });
  });

  describe("serve", () => {
    it("prints a line for each listener and nothing else on stdout, and ends with 0 on SIGTERM and SIGINT", async () => {
      for (const signal of ["SIGTERM", "SIGINT"] as const) {
        const { child, ended } = await serve("--listen", `unix:${inFolder("x.sock")}`, "--listen", "127.0.0.1:0");
        child.kill(signal);
        const { exitCode, stdout, stderr } = await ended;
        assert.equal(exitCode, 0);
        assert.match(stdout, /^listening unix:.*x\.sock\nlistening 127\.0\.0\.1:[1-9]\d*\n$/);
        for (const line of stderr.trim().split("\n")) assert.equal(typeof JSON.parse(line), "object");
      }
    });

    it("drains for as long as it was told", async () => {
      const { child, ended } = await serve("--drain-timeout", "2m");
      child.kill("SIGTERM");
      assert.match((await ended).stderr, /"drainTimeoutMs":120000/);
    });

    it("ends at once at the second signal", async () => {
      const { child, ended, waitFor } = await serve("--max-streams", "15");
      child.kill("SIGTERM");
      await waitFor("stderr", /stopping/);
      child.kill("SIGTERM");
      assert.equal((await ended).exitCode, 130);
    });

    it("ends with 1 and one sentence when it cannot start", async () => {
      const { exitCode, stdout, stderr } = await run("serve", "--max-streams", "13");
      assert.deepEqual(
        { exitCode, stdout, stderr },
        { exitCode: 1, stdout: "", stderr: "error: Another driver has the database open. Stop it.\n" },
      );
    });

    it("ends with 1 when the driver cannot go on", async () => {
      const { exitCode, stderr } = await run("serve", "--max-streams", "14");
      assert.equal(exitCode, 1);
      assert.match(stderr, /"msg":"the driver cannot go on"/);
      assert.match(stderr, /"message":"the disk is gone"/);
    });

    it("indexes a folder when it is told to, says how to go on, and goes on serving", async () => {
      mkdirSync(inFolder("source"));
      const { child, ended, waitFor } = await serve("--index", "source");
      await waitFor("stdout", /npx code-analysis-driver search/);
      assert.equal((await run("sql", "SELECT 1")).exitCode, 0);
      child.kill("SIGTERM");
      const { exitCode, stdout } = await ended;
      assert.equal(exitCode, 0);
      assert.match(stdout, /^listening .*\n.*source: 7 files in 1\.5 s\n/);
    });

    it("does not start for a folder that is not there", async () => {
      const { exitCode, stderr } = await run("serve", "--index", "nowhere");
      assert.equal(exitCode, 1);
      assert.match(stderr, /^error: There is no folder \S+nowhere\.\n$/);
    });
  });

  describe("index", () => {
    beforeEach(() => mkdirSync(inFolder("source")));

    it("lists languages, rows and every failure with its reason", async () => {
      await serve();
      const { exitCode, stdout, stderr } = await run("index", "source");
      assert.equal(exitCode, 0);
      assert.equal(stderr, "");
      assert.match(stdout, /^ {2}indexed +2$/m);
      assert.match(stdout, /^ {2}failed +1$/m);
      assert.match(stdout, /^ {2}skipped +4$/m);
      assert.match(stdout, /^ {2}languages +python 1, text 1$/m);
      assert.match(stdout, /classes 4, methods 1,234, functions 0/);
      assert.match(stdout, /^Not indexed:\n {2}bad\.bin {2}binary {2}It has a NUL byte on line 1\.$/m);
      assert.match(
        stdout,
        /^Indexed as far as their errors allow:\n {2}half\.py:7 {2}syntax_error {2}unexpected \) in line 7$/m,
      );
      assert.match(stdout, /Query it, from another terminal:\n {2}npx code-analysis-driver sql --db .*a\.db '/);
    });

    it("prints one JSON document with --json", async () => {
      await serve();
      const { exitCode, stdout } = await run("index", "source", "--json");
      assert.equal(exitCode, 0);
      const { project, files, rows, failures, duration_ms } = JSON.parse(stdout);
      assert.deepEqual(project, { id: "p1", root_path: inFolder("source"), name: "demo" });
      assert.deepEqual(files, {
        ...{ total: 7, indexed: 2, unchanged: 0, failed: 1, skipped: 4, deleted: 0, with_problems: 1 },
        by_language: { python: 1, text: 1 },
      });
      assert.equal(rows.methods, 1_234);
      assert.equal(duration_ms, 1_500);
      assert.deepEqual(failures[1], {
        ...{ file_path: "half.py", line: 7, error_type: "syntax_error", message: "unexpected ) in line 7" },
        is_indexed: true,
      });
      assert.equal(failures[0].line, null);
    });

    it("starts a driver for the run when none answers, and stops it afterwards", async () => {
      const { exitCode, stdout } = await run("index", "source");
      assert.equal(exitCode, 0);
      assert.match(stdout, /Start the driver, then query it/);
      const after = await run("sql", "SELECT 1");
      assert.equal(after.exitCode, 1);
      assert.match(
        after.stderr,
        /^error: No driver answers at unix:.*a\.db\.sock .*Start one with: code-analysis-driver serve\n$/,
      );
    });

    it("starts none at an address that the user named", async () => {
      const { exitCode, stderr } = await run("index", "source", "--address", `unix:${inFolder("other.sock")}`);
      assert.equal(exitCode, 1);
      assert.match(stderr, /No driver answers at unix:.*other\.sock/);
      assert.ok(!existsSync(inFolder("other.sock")));
    });

    it("says why the driver that it started did not start", async () => {
      writeFileSync(inFolder("config.json"), JSON.stringify({ code_analysis: { driver: { max_streams: 13 } } }));
      const { exitCode, stderr } = await run("index", "source");
      assert.equal(exitCode, 1);
      assert.match(
        stderr,
        /^error: The driver for .*a\.db did not start: error: Another driver has the database open\. Stop it\.\n$/,
      );
    });

    it("refuses a file and what is not there", async () => {
      writeFileSync(inFolder("file"), "");
      assert.match((await run("index", "file")).stderr, /file is not a folder/);
      assert.match((await run("index", "nowhere")).stderr, /There is no folder \S+nowhere\./);
    });
  });

  describe("sql", () => {
    beforeEach(() => serve());

    it("prints rows as a table, without control characters", async () => {
      const { exitCode, stdout } = await run("sql", "SELECT * FROM t WHERE a = ?", "--param", "'42'");
      assert.equal(exitCode, 0);
      assert.match(stdout, /│ +id +│ +name +│ +id +│/);
      assert.match(stdout, /│ +1 │ ünï␛\[2J +│ 42 +│/);
      assert.match(stdout, /│ 9223372036854775807 │ x'01ff' +│ 0\.5 +│/);
      assert.match(stdout, /\n2 rows\n$/);
    });

    it("prints one JSON document with exact integers and columns of equal names", async () => {
      const { stdout } = await run("sql", "SELECT 1", "--json", "--param", "4.0");
      assert.deepEqual(JSON.parse(stdout), {
        columns: ["id", "name", "id:1"],
        rows: [
          { id: 1, name: "ünï\u001b[2J", "id:1": 4 },
          { id: "9223372036854775807", name: { base64: "Af8=" }, "id:1": 0.5 },
        ],
        affected_rows: 0,
        last_insert_rowid: null,
        truncated: false,
      });
    });

    it("executes a statement that writes", async () => {
      assert.equal(
        (await run("sql", "DELETE FROM t")).stdout,
        "3 rows affected, last insert rowid 1152921504606846976\n",
      );
      const { affected_rows, last_insert_rowid, rows } = JSON.parse(
        (await run("sql", "DELETE FROM t", "--json")).stdout,
      );
      assert.deepEqual(
        { affected_rows, last_insert_rowid, rows },
        { affected_rows: 3, last_insert_rowid: "1152921504606846976", rows: [] },
      );
    });

    it("ends with 1 and the driver's sentence when the statement fails", async () => {
      const { exitCode, stdout, stderr } = await run("sql", "SELECT bad");
      assert.deepEqual(
        { exitCode, stdout, stderr },
        { exitCode: 1, stdout: "", stderr: "error: no such column: bad. Name another.\n" },
      );
    });

    it("ends with 130 when it is interrupted", async () => {
      const environment = { CODE_ANALYSIS_DRIVER_DB: inFolder("a.db") };
      const program = startProgram(PROGRAM, ["sql", "hang"], { environment });
      await driver?.waitFor("stderr", /a statement hangs/);
      program.child.kill("SIGINT");
      assert.deepEqual(await program.ended, { exitCode: 130, stdout: "", stderr: "" });
    });
  });

  describe("search", () => {
    beforeEach(() => serve());

    it("prints file, line, name and the lines around the match", async () => {
      const { exitCode, stdout } = await run("search", "open");
      assert.equal(exitCode, 0);
      assert.equal(
        stdout,
        "io/file.py:12  method File.öffnen\n     12  def öffnen(path):\n     13      return open(path)\n",
      );
    });

    it("prints one JSON document with --json", async () => {
      const { hits, has_more } = JSON.parse((await run("search", "more", "--json", "--limit", "7")).stdout);
      assert.equal(has_more, true);
      assert.equal(hits.length, 7, "however few a page has");
      assert.equal(hits[0].score, 7);
      assert.deepEqual(hits[0].matches, [{ start: 4, end: 11 }]);
    });

    it("says on stderr that nothing was found or that there is more", async () => {
      const nothing = await run("search", "nothing");
      assert.deepEqual([nothing.exitCode, nothing.stdout], [0, ""]);
      assert.match(nothing.stderr, /^Nothing found/);
      assert.match((await run("search", "more")).stderr, /--limit shows more/);
    });
  });
});
