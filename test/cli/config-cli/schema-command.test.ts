import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { type Connection, openConnection } from "../../../src/sqlite/connection.js";
import { acquirePresence } from "../../../src/sqlite/presence-lock.js";
import { runConfigCli } from "../../support/config-cli.js";
import type { ProgramResult } from "../../support/program.js";
import { snapshot } from "../../support/snapshot.js";
import { useTempFolder } from "../../support/temp-folder.js";

const OLD = `CREATE TABLE files (id INTEGER PRIMARY KEY, path TEXT, lines TEXT, note TEXT);
  CREATE TABLE kids (file INT REFERENCES files ON DELETE CASCADE);`;
const ROWS = `INSERT INTO files VALUES (1, 'a', '12', NULL), (2, 'a', '7', 'keep'), (3, NULL, '1', NULL);
  INSERT INTO kids VALUES (1), (2);`;
const SAFE = OLD.replace("lines TEXT", "lines INTEGER");
const LOSSY = OLD.replace(", note TEXT", "");

describe("config_cli schema", () => {
  const inFolder = useTempFolder();
  let path: string;

  beforeEach(() => {
    path = inFolder("a.db");
    const connection = openConnection(path, { role: "migration", mustExist: false });
    connection.exec(`PRAGMA journal_mode = wal; ${OLD} ${ROWS}`);
    connection.close();
  });

  /** Runs it on the database of the test, with this text as the wanted schema. */
  function run(wanted: string, ...args: string[]): Promise<ProgramResult> {
    writeFileSync(inFolder("wanted.sql"), wanted);
    return runConfigCli(["schema", "--db", path, "--schema", inFolder("wanted.sql"), ...args], { cwd: inFolder() });
  }

  function use<T>(body: (connection: Connection) => T): T {
    const connection = openConnection(path, { role: "migration" });
    try {
      return body(connection);
    } finally {
      connection.close();
    }
  }

  const bytes = () => createHash("sha256").update(readFileSync(path)).digest("hex");
  const backups = () => readdirSync(inFolder()).filter((name) => name.includes(".backup"));

  /** Asserts that the run ends with `exitCode` and one sentence on stderr, and leaves the file as it was, byte for byte. */
  async function assertRefused(running: () => Promise<ProgramResult>, exitCode: number, sentence: RegExp) {
    const before = [bytes(), use(snapshot), readdirSync(inFolder()).filter((name) => !/lock|wanted/.test(name))];
    const result = await running();
    assert.equal(result.exitCode, exitCode, result.stdout + result.stderr);
    assert.match(result.stderr, sentence);
    assert.equal(result.stderr.trimEnd().split("\n").length, 1, result.stderr);
    const after = [bytes(), use(snapshot), readdirSync(inFolder()).filter((name) => !/lock|wanted/.test(name))];
    assert.deepEqual(after, before);
  }

  describe("exit codes", () => {
    it("0 when the schema is as wanted, without a backup", async () => {
      const before = bytes();
      const { exitCode, stdout, stderr } = await run(OLD);
      assert.deepEqual([exitCode, stdout, stderr], [0, "The schema is as wanted.\n", ""]);
      assert.equal(bytes(), before);
      assert.deepEqual(backups(), []);
    });

    it("0 when the schema was made so, with a backup of the old state; then there is nothing to do", async () => {
      const before = use(snapshot);
      const { exitCode, stdout, stderr } = await run(SAFE);
      assert.equal(exitCode, 0, stderr);
      assert.equal(
        use((db) => db.prepare("SELECT sum(lines) FROM files WHERE typeof(lines) = 'integer'").pluck().get()),
        20,
      );
      assert.equal(
        use((db) => db.prepare("SELECT count(*) FROM kids").pluck().get()),
        2,
      );
      const [backup = ""] = backups();
      assert.match(stdout, new RegExp(`^Backup: .*${backup}$`, "m"));
      const copy = openConnection(inFolder(backup), { role: "migration" });
      assert.deepEqual(snapshot(copy), before);
      copy.close();
      assert.equal((await run(SAFE)).exitCode, 0);
      assert.equal(backups().length, 1);
    });

    for (const flag of ["--check", "--dry-run"]) {
      it(`2 for ${flag} when the difference can be applied safely; the text is that of the run that applies it`, async () => {
        const before = bytes();
        const { exitCode, stdout } = await run(SAFE, flag);
        assert.equal(exitCode, 2);
        assert.equal(bytes(), before);
        assert.deepEqual(backups(), []);
        assert.match(stdout, /1\. rebuild table files: column lines: type TEXT → INTEGER \(writes 3 rows, [\d.]+ kB\)/);
        const applied = await run(SAFE, "--no-backup");
        assert.ok(applied.stdout.startsWith(stdout), applied.stdout);
        assert.deepEqual(backups(), []);
        assert.equal((await run(SAFE, flag)).exitCode, 0);
      });
    }

    it("3 when changes need consent; what is listed permits it", async () => {
      const before = bytes();
      for (const mode of [[], ["--check"], ["--dry-run"], ["--allow", "drop-column:files.path"]]) {
        const { exitCode, stdout } = await run(LOSSY, ...mode);
        assert.equal(exitCode, 3, stdout);
        assert.match(stdout, /needed +drop-column:files\.note .*in 1 rows. Rowids: 2/);
        assert.match(stdout, /^To allow all of it: --allow drop-column:files\.note$/m);
      }
      assert.equal(bytes(), before);
      assert.deepEqual(backups(), []);
      assert.equal((await run(LOSSY, "--allow", "drop-column:files.note", "--check")).exitCode, 2);
      assert.equal((await run(LOSSY, "--allow", "drop-column:files.note")).exitCode, 0);
      assert.equal((await run(LOSSY)).exitCode, 0);
    });

    it("1 for an --allow of no known kind, which says the kinds", async () => {
      const before = bytes();
      const { exitCode, stderr } = await run(
        LOSSY,
        "--allow",
        "drop-column:files.note",
        "--allow",
        "column:files.note",
      );
      assert.equal(exitCode, 1);
      assert.match(stderr, /'column:files\.note' is invalid.*kinds are drop-column, .*backfill, lossy\./);
      assert.equal(bytes(), before);
      assert.equal((await run(LOSSY, "--allow", "DROP-COLUMN:Files.Note")).exitCode, 0);
    });

    it("3 with the flags in a form that a shell takes, whatever the names", async () => {
      use((db) =>
        db.exec(`CREATE TABLE "it's $HOME" (id INTEGER PRIMARY KEY, x); INSERT INTO "it's $HOME" VALUES (1, 2)`),
      );
      const wanted = `${OLD} CREATE TABLE "it's $HOME" (id INTEGER PRIMARY KEY);`;
      const { exitCode, stdout } = await run(wanted, "--check");
      assert.equal(exitCode, 3);
      const [, flags = ""] = /^To allow all of it: (.+)$/m.exec(stdout) ?? [];
      const words = spawnSync("sh", ["-c", `printf '%s\\n' ${flags}`], { encoding: "utf8" })
        .stdout.trimEnd()
        .split("\n");
      assert.deepEqual(words, ["--allow", "drop-column:it's $home.x"]);
      assert.equal((await run(wanted, ...words)).exitCode, 0);
    });

    it("4 when another process holds the write lock (F4)", async () => {
      const other = openConnection(path, { role: "migration" });
      other.exec("BEGIN IMMEDIATE");
      const result = await run(SAFE, "--no-backup");
      other.exec("ROLLBACK");
      other.close();
      assert.equal(result.exitCode, 4, result.stderr);
      assert.equal(
        result.stderr,
        `error: The database ${path} cannot be worked on: database is locked. Another process holds the database; try again.\n`,
      );
      assert.deepEqual(
        use((db) => db.prepare("SELECT DISTINCT typeof(lines) FROM files").pluck().all()),
        ["text"],
      );
    });

    it("4 in DELETE mode when a reader blocks the COMMIT (F5)", async () => {
      use((db) => db.pragma("journal_mode = delete"));
      const reader = openConnection(path, { role: "migration" });
      reader.exec("BEGIN; SELECT count(*) FROM files");
      const result = await run(SAFE, "--no-backup");
      reader.exec("COMMIT");
      reader.close();
      assert.equal(result.exitCode, 4, result.stderr);
      assert.match(result.stdout, /journal mode is delete/);
      assert.deepEqual(
        use((db) => db.prepare("SELECT DISTINCT typeof(lines) FROM files").pluck().all()),
        ["text"],
      );
    });

    it("0 in WAL mode beside a reader, which goes on in its snapshot (F6)", async () => {
      const reader = openConnection(path, { role: "migration" });
      reader.exec("BEGIN; SELECT count(*) FROM files");
      assert.equal((await run(SAFE)).exitCode, 0);
      assert.equal(reader.prepare("SELECT typeof(lines) FROM files").pluck().get(), "text");
      reader.exec("COMMIT");
      assert.equal(reader.prepare("SELECT typeof(lines) FROM files").pluck().get(), "integer");
      reader.close();
    });

    it("4 while another migration runs, and 0 as soon as it has ended within --wait", async () => {
      const lock = await acquirePresence(path, "exclusive", 0);
      await assertRefused(() => run(SAFE), 4, /^error: The database .*a\.db is open in another process\. Stop it/);
      const waiting = run(SAFE, "--wait", "60");
      lock.release();
      assert.equal((await waiting).exitCode, 0);
    });

    for (const args of [
      ["--bogus"],
      ["--dry-run", "--check"],
      ["--wait", "soon"],
      ["--rename", "files"],
      ["--rename", 'fi"les.a=b'],
      ["--rename", "files.a.b=c"],
      ["--allow", "nonsense"],
      ["--allow", "drop-column:"],
      ["--config", "x"],
    ]) {
      it(`1 for wrong usage: ${args.join(" ")}`, async () => {
        const { exitCode, stdout, stderr } = await run(SAFE, ...args);
        assert.equal(exitCode, 1);
        assert.equal(stdout, "");
        assert.match(stderr, /^error: /);
      });
    }
  });

  describe("flags", () => {
    it("--json prints one document with plan, backup and result", async () => {
      const check = JSON.parse((await run(LOSSY, "--json", "--check")).stdout);
      assert.deepEqual(
        [check.exitCode, check.status, check.consents[0].id],
        [3, "needs-consent", "drop-column:files.note"],
      );
      const done = JSON.parse((await run(SAFE, "--json")).stdout);
      assert.equal(done.database, path);
      assert.deepEqual([done.exitCode, done.status, done.result.copiedRows], [0, "ready", { files: 3 }]);
      assert.ok(existsSync(done.backup.path));
      const failed = JSON.parse((await run("CREATE TABEL x (y)", "--json")).stdout);
      assert.deepEqual([failed.exitCode, failed.error.reason], [1, "SQL_ERROR"]);
    });

    it("--schema takes a file that begins with a byte order mark", async () => {
      assert.equal((await run(`\uFEFF${OLD}`)).stdout, "The schema is as wanted.\n");
    });

    it("--backup-dir makes the folder; --no-backup makes no backup", async () => {
      assert.equal((await run(SAFE, "--backup-dir", inFolder("b", "c"))).exitCode, 0);
      assert.equal(readdirSync(inFolder("b", "c")).length, 1);
      assert.deepEqual(backups(), []);
    });

    it("--rename keeps the values of a column, whose loss would need consent", async () => {
      const wanted = OLD.replace("note TEXT", "remark TEXT");
      assert.equal((await run(wanted)).exitCode, 3);
      assert.equal((await run(wanted, "--rename", "files.note=remark")).exitCode, 0);
      assert.deepEqual(
        use((db) => db.prepare("SELECT remark FROM files").pluck().all()),
        [null, "keep", null],
      );
    });

    it("--rename takes names in double quotes, as SQL does", async () => {
      use((db) => db.exec(`CREATE TABLE "a.b" ("x=""y" TEXT); INSERT INTO "a.b" VALUES ('kept')`));
      const wanted = `${OLD}; CREATE TABLE "a.b" ("n.m" TEXT)`;
      assert.equal((await run(wanted, "--rename", '"a.b"."x=""y"="n.m"')).exitCode, 0);
      assert.equal(
        use((db) => db.prepare('SELECT "n.m" FROM "a.b"').pluck().get()),
        "kept",
      );
    });

    for (const [title, config] of [
      ["db_path", { code_analysis: { db_path: "a.db", database: { driver: { config: { path: "b.db" } } } } }],
      ["database.driver.config.path", { code_analysis: { database: { driver: { config: { path: "a.db" } } } } }],
    ] as const) {
      it(`takes the database from ${title} of config.json`, async () => {
        writeFileSync(inFolder("config.json"), JSON.stringify(config));
        writeFileSync(inFolder("wanted.sql"), SAFE);
        for (const args of [[], ["--config", "config.json"]]) {
          const { stdout } = await runConfigCli(["schema", "--schema", "wanted.sql", "--check", "--json", ...args], {
            cwd: inFolder(),
          });
          assert.equal(JSON.parse(stdout).database, path);
        }
      });
    }
  });

  describe("errors, each of which leaves the file as it was", () => {
    it("a missing file", async () => {
      const { exitCode, stderr } = await runConfigCli(["schema", "--db", inFolder("none.db")]);
      assert.equal(exitCode, 1);
      assert.match(stderr, /^error: The database .*none\.db does not exist\. Name another with --db/);
      assert.ok(!existsSync(inFolder("none.db")));
      assert.ok(!existsSync(inFolder("none.db.lock")));
    });

    it("a file that is no database, and a folder", async () => {
      writeFileSync(
        path,
        "some text that is long enough to be looked at as a database header, which it is not".repeat(9),
      );
      const before = bytes();
      const { exitCode, stderr } = await run(SAFE);
      assert.deepEqual([exitCode, bytes()], [1, before]);
      assert.match(stderr, /^error: .*a\.db is not a SQLite database\. Name a database with --db\.\n$/);
      const folder = await runConfigCli(["schema", "--db", inFolder()]);
      assert.match(folder.stderr, /is a folder/);
    });

    it("a mistake in the wanted schema, with its line", () =>
      assertRefused(
        () => run(`${OLD}\nCREATE TABLE x (\n  y INTEGER,,\n  z);`),
        1,
        /wrong at line 4, column 13: .*syntax error/,
      ));

    it("a statement that is no CREATE, and a schema file that is missing", async () => {
      await assertRefused(() => run(`${SAFE}\nDROP TABLE files;`), 1, /line 3, column 1: only CREATE/);
      await assertRefused(
        () => runConfigCli(["schema", "--db", path, "--schema", inFolder("none.sql")]),
        1,
        /The schema file .*none\.sql cannot be read/,
      );
    });

    it("duplicate values for a new UNIQUE", async () => {
      const before = use(snapshot);
      const { exitCode, stdout, stderr } = await run(`${OLD} CREATE UNIQUE INDEX one ON files (path);`);
      assert.equal(exitCode, 1);
      assert.match(stdout, /1 values of \(path\) occur more than once in files, where they must be unique/);
      assert.match(stderr, /^error: .*path.*more than once.*\n$/);
      assert.deepEqual(use(snapshot), before);
    });

    it("NULLs for a new NOT NULL", async () => {
      const before = use(snapshot);
      const { exitCode, stderr } = await run(OLD.replace("path TEXT", "path TEXT NOT NULL"));
      assert.equal(exitCode, 1);
      assert.match(stderr, /^error: .*files\.path.*NULL.*\n$/);
      assert.deepEqual(use(snapshot), before);
    });

    it("NULLs for a new NOT NULL with --no-backup, which only SQLite looks for before they are counted", async () => {
      const before = use(snapshot);
      const strict = await run(OLD.replace("path TEXT", "path TEXT NOT NULL"), "--no-backup");
      assert.equal(strict.exitCode, 1);
      assert.match(strict.stdout, /can be migrated:[\s\S]*SQLite refused a row; nothing was changed[\s\S]*Rowids: 3\./);
      assert.match(strict.stderr, /^error: .*files\.path.*NULL in 1 rows.*\n$/);
      const filling = OLD.replace("path TEXT", "path TEXT NOT NULL DEFAULT 'x'");
      const unaware = await run(OLD.replace("note TEXT", "note TEXT NOT NULL"), "--no-backup", "--json");
      assert.equal(unaware.exitCode, 1);
      assert.equal((JSON.parse(unaware.stdout) as { problems: unknown[] }).problems.length, 1);
      assert.equal((await run(filling, "--no-backup")).exitCode, 3);
      assert.deepEqual(use(snapshot), before);
    });

    it("a lock file that is not ours (F10)", async () => {
      writeFileSync(
        `${path}.lock`,
        "pid 1234 of some other program has locked this database, says this file".repeat(20),
      );
      await assertRefused(
        () => run(SAFE),
        1,
        /The lock file .*a\.db\.lock cannot be used: file is not a database\. If no driver runs, remove it\./,
      );
    });

    it("a state that an interrupted migration left behind", async () => {
      use((db) => db.exec("ALTER TABLE files RENAME TO temp_files"));
      await assertRefused(() => run(SAFE), 1, /temp_files exists.*doctor --fix/);
    });

    it("a read-only file and a read-only folder (F10)", async function () {
      if (process.getuid?.() === 0) {
        if (spawnSync("setpriv", ["--version"]).status !== 0) this.skip();
        chmodSync(inFolder(), 0o755);
      }
      writeFileSync(inFolder("wanted.sql"), SAFE);
      const before = bytes();
      chmodSync(path, 0o444);
      const file = asUser(["schema", "--db", path, "--schema", inFolder("wanted.sql")]);
      assert.equal(file.status, 1, file.stderr);
      assert.match(file.stderr, /^error: The database .*a\.db is read-only\. Change the permissions/);
      mkdirSync(inFolder("shut"));
      writeFileSync(inFolder("shut", "b.db"), readFileSync(path));
      chmodSync(inFolder("shut", "b.db"), 0o666);
      chmodSync(inFolder("shut"), 0o555);
      const folder = asUser(["schema", "--db", inFolder("shut", "b.db"), "--schema", inFolder("wanted.sql")]);
      chmodSync(inFolder("shut"), 0o755);
      assert.equal(folder.status, 1, folder.stderr);
      assert.match(folder.stderr, /^error: The folder .*shut is read-only, where SQLite must write a journal/);
      chmodSync(path, 0o644);
      assert.equal(bytes(), before);
    });

    it("no space for the backup", function () {
      this.timeout(60_000);
      use((db) => db.exec("CREATE TABLE big AS SELECT zeroblob(3000000) AS b"));
      use((db) => db.pragma("wal_checkpoint(TRUNCATE)"));
      writeFileSync(inFolder("wanted.sql"), SAFE);
      mkdirSync(inFolder("small"));
      const before = use(snapshot);
      const script = `mount -t tmpfs -o size=1m tmpfs "$1" || exit 77; shift; "$@"; code=$?; ls "${inFolder("small")}" | wc -l; exit $code`;
      const { status, stdout, stderr } = spawnSync(
        "unshare",
        ["-m", "sh", "-c", script, "sh", inFolder("small"), process.execPath, PROGRAM, "schema", "--db", path].concat([
          "--schema",
          inFolder("wanted.sql"),
          "--backup-dir",
          inFolder("small"),
        ]),
        { encoding: "utf8" },
      );
      if (status === null || status === 77 || /unshare:/.test(stderr)) this.skip();
      assert.equal(status, 1, stderr);
      assert.match(stderr, /^error: .*(full|space).*\n$/);
      assert.match(stdout, /\n0\n$/, "no part of a backup is left");
      assert.deepEqual(use(snapshot), before);
    });
  });

  /** Runs the program as somebody for whom permissions count: root may write everything. */
  function asUser(args: readonly string[]): ReturnType<typeof spawnSync> & { stderr: string } {
    const command = [process.execPath, PROGRAM, ...args];
    const [program = "", ...rest] =
      process.getuid?.() === 0 ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", ...command] : command;
    return spawnSync(program, rest, { encoding: "utf8", cwd: dirname(path) });
  }
});

const PROGRAM = fileURLToPath(new URL("../../../src/bin/config-cli.js", import.meta.url));
