import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import {
  type IndexFailure,
  IndexPhase,
  type IndexProgress,
  type IndexSummary,
} from "../../gen/code_analysis/driver/v1/index_pb.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { dumpIndex } from "../support/indexed-project.js";
import { runScript, startProgram } from "../support/program.js";
import { useTempFolder } from "../support/temp-folder.js";
import { beside, DATABASE, DriverProcess, killDrivers, PROGRAM } from "./driver-process.js";
import { failsWith } from "./failure.js";

interface Run {
  readonly progress: IndexProgress;
  readonly summary: IndexSummary;
  readonly failures: readonly IndexFailure[];
  readonly phases: readonly IndexPhase[];
}

const LARGE = `# ${"x".repeat(30_000)}\n`;

describe("IndexProject", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  function write(files: Record<string, string | Buffer>): void {
    for (const [name, content] of Object.entries(files)) {
      mkdirSync(dirname(inFolder("source", name)), { recursive: true });
      writeFileSync(inFolder("source", name), content);
    }
  }

  async function start(...args: string[]): Promise<DriverProcess> {
    const driver = await DriverProcess.start(inFolder(), { args });
    await driver.register(inFolder("source"));
    return driver;
  }

  async function index(driver: DriverProcess, request: { paths?: string[]; force?: boolean } = {}): Promise<Run> {
    const failures: IndexFailure[] = [];
    const phases: IndexPhase[] = [];
    for await (const message of driver.client.indexProject({ projectId: "p", ...request })) {
      const { progress, summary } = message;
      assert.ok(progress);
      if (phases.at(-1) !== progress.phase) phases.push(progress.phase);
      failures.push(...message.failures);
      if (summary === undefined) continue;
      const { filesDone, filesTotal, filesIndexed, filesUnchanged, filesFailed, filesSkipped } = progress;
      assert.equal(filesDone, filesTotal);
      assert.equal(filesDone, filesIndexed + filesUnchanged + filesFailed + filesSkipped);
      return { progress, summary, failures, phases };
    }
    throw new assert.AssertionError({ message: "the stream has no summary" });
  }

  const paths = (driver: DriverProcess) => driver.values("SELECT relative_path FROM files ORDER BY 1");

  it("follows the rules of .gitignore, parses nothing twice, and removes what is gone", async () => {
    write({
      ".gitignore": "*.log\n/build/\n!keep.log\n",
      "a.py": "class A:\n    pass\n",
      "b.ts": "export function b(): void {}\n",
      "notes.txt": "some words\n",
      "x.log": "noise\n",
      "keep.log": "wanted\n",
      "build/out.py": "out = 1\n",
      "pkg/.gitignore": "generated.py\n",
      "pkg/generated.py": "g = 1\n",
      "pkg/build/c.py": "from a import A\n\n\ndef c():\n    return A()\n",
      "node_modules/m/index.js": "export const m = 1;\n",
    });
    const driver = await start();
    const first = await index(driver);
    const expected = [".gitignore", "a.py", "b.ts", "keep.log", "notes.txt", "pkg/.gitignore", "pkg/build/c.py"];
    assert.deepEqual(await paths(driver), expected);
    assert.equal(first.progress.filesIndexed, BigInt(expected.length));
    assert.deepEqual({ ...first.summary.filesByLanguage }, { python: 2n, typescript: 1n, text: 4n });
    assert.deepEqual(first.phases, [IndexPhase.SCANNING, IndexPhase.INDEXING, IndexPhase.FINISHING, IndexPhase.DONE]);
    assert.deepEqual(first.failures, []);
    const sizes = await driver.values(
      "SELECT sum(length(CAST(content AS BLOB))) FROM code_content WHERE entity_type = 'file'",
    );
    assert.equal(first.progress.bytesRead, sizes[0]);
    assert.deepEqual(await driver.values("SELECT ref_type FROM entity_cross_ref"), ["instantiation"]);

    const ids = await driver.values("SELECT id FROM files ORDER BY 1");
    const second = await index(driver);
    assert.equal(second.progress.filesUnchanged, BigInt(expected.length));
    assert.equal(second.progress.filesIndexed, 0n);
    assert.equal(second.progress.bytesRead, first.progress.bytesRead);
    assert.deepEqual(await driver.values("SELECT id FROM files ORDER BY 1"), ids);

    rmSync(inFolder("source", "a.py"));
    rmSync(inFolder("source", "pkg", "build"), { recursive: true });
    write({ "b.ts": "export class B {}\n" });
    // Only what lies below is looked at.
    assert.equal((await index(driver, { paths: ["pkg"] })).progress.filesDeleted, 1n);
    const third = await index(driver);
    assert.deepEqual([third.progress.filesDeleted, third.progress.filesIndexed], [1n, 1n]);
    assert.deepEqual(await paths(driver), [".gitignore", "b.ts", "keep.log", "notes.txt", "pkg/.gitignore"]);
    assert.deepEqual(await driver.values("SELECT name FROM classes"), ["B"]);
    assert.deepEqual(await driver.values("SELECT count(*) FROM entity_cross_ref"), [0n]);
    const orphans = "SELECT count(*) FROM code_content WHERE file_id NOT IN (SELECT id FROM files)";
    assert.deepEqual(await driver.values(orphans), [0n]);
  });

  it("lists what it cannot index, and skips what is no source file", async () => {
    write({
      "good.py": "def good(): pass\n",
      "broken.py": "def before(): pass\n\n\ndef broken(:\n    pass\n\n\ndef after(): pass\n",
      "binary.py": Buffer.from("x = 1\0\n"),
      "large.py": LARGE,
      "picture.png": Buffer.from([0x89, 0x50, 0, 0, 1]),
      "large.txt": LARGE,
    });
    const driver = await start("--max-file-bytes", "20000");
    const { progress, failures, summary } = await index(driver);
    const { filesIndexed, filesFailed, filesSkipped } = progress;
    assert.deepEqual(
      { filesIndexed, filesFailed, filesSkipped },
      { filesIndexed: 2n, filesFailed: 2n, filesSkipped: 2n },
    );
    const told = failures
      .map(({ filePath, errorType, line, isIndexed }) => ({ filePath, errorType, line, isIndexed }))
      .sort((a, b) => (a.filePath < b.filePath ? -1 : 1));
    assert.deepEqual(told, [
      { filePath: "binary.py", errorType: "binary", line: undefined, isIndexed: false },
      { filePath: "broken.py", errorType: "syntax_error", line: 4, isIndexed: true },
      { filePath: "large.py", errorType: "too_large", line: undefined, isIndexed: false },
    ]);
    assert.equal(summary.filesWithProblems, 1n);
    assert.match(failures.find(({ errorType }) => errorType === "syntax_error")?.message ?? "", /line 4/);
    assert.deepEqual(
      await driver.values("SELECT name FROM functions WHERE name IN ('good', 'before', 'after') ORDER BY 1"),
      ["after", "before", "good"],
    );
    const { errors } = await driver.client.listIndexingErrors({ projectId: "p" });
    assert.deepEqual(errors.map(({ filePath, errorType, line }) => [filePath, errorType, line]).sort(), [
      [inFolder("source", "binary.py"), "binary", undefined],
      [inFolder("source", "broken.py"), "syntax_error", 4],
      [inFolder("source", "large.py"), "too_large", undefined],
    ]);

    // Asked for by name, what a walk skips is refused, and says why.
    for (const [path, type] of [
      ["picture.png", "binary"],
      ["large.txt", "too_large"],
      ["binary.py", "binary"],
      ["large.py", "too_large"],
    ]) {
      await failsWith("FILE_NOT_INDEXABLE", driver.indexFile(path ?? ""));
      assert.deepEqual(await driver.values(`SELECT error_type FROM indexing_errors WHERE file_path LIKE '%/${path}'`), [
        type,
      ]);
    }
    const { problems } = await driver.indexFile("broken.py", true);
    assert.deepEqual(
      problems.map(({ errorType, line }) => ({ errorType, line })),
      [{ errorType: "syntax_error", line: 4 }],
    );

    // What it said of a file it says again while the file stays as it is.
    const again = await index(driver);
    assert.equal(again.progress.filesUnchanged, 2n);
    assert.equal(again.summary.filesWithProblems, 1n);
    const unchanged = await driver.indexFile("broken.py");
    assert.equal(unchanged.unchanged, true);
    for (const [first, second] of [
      [failures.filter(({ isIndexed }) => isIndexed), again.failures.filter(({ isIndexed }) => isIndexed)],
      [problems, unchanged.problems],
    ])
      assert.deepEqual(second, first);

    // Repaired, it is no longer listed; spoilt, a file keeps its last good rows.
    write({ "broken.py": "def repaired(): pass\n", "good.py": Buffer.from("def worse(): pass\0\n") });
    await index(driver);
    assert.deepEqual(await driver.values("SELECT count(*) FROM indexing_errors WHERE file_path LIKE '%/broken.py'"), [
      0n,
    ]);
    assert.deepEqual(await driver.values("SELECT name FROM functions ORDER BY 1"), ["good", "repaired"]);

    // What is gone is listed no more, whether it was ever indexed or not, nor is what no walk looks at.
    for (const name of ["binary.py", "large.py", "good.py"]) rmSync(inFolder("source", name));
    assert.deepEqual((await index(driver)).progress.filesDeleted, 1n);
    assert.deepEqual(await driver.values("SELECT count(*) FROM indexing_errors"), [0n]);
  });

  it("tells and stores what of the tree could not be read, until it can be", async () => {
    write({ "a.py": "def a(): pass\n", ".git/info/exclude/file": "" });
    const driver = await start();
    const place = ".git/info/exclude";
    const { failures } = await index(driver);
    assert.deepEqual(
      failures.map(({ filePath, errorType }) => [filePath, errorType]),
      [[place, "io_error"]],
    );
    const stored = "SELECT file_path FROM indexing_errors";
    assert.deepEqual(await driver.values(stored), [inFolder("source", place)]);
    await index(driver, { paths: ["a.py"] });
    assert.deepEqual(await driver.values(stored), [inFolder("source", place)]);
    rmSync(inFolder("source", place), { recursive: true });
    await index(driver);
    assert.deepEqual(await driver.values(stored), []);
  });

  it("leaves alone what other programs say of files", async () => {
    write({ "a.py": "def a(): pass\n" });
    const driver = await start();
    for (const [path, type] of [
      ["relative.py", "chunking_error"],
      [inFolder("source", "gone.py"), "chunking_error"],
    ] as const)
      await driver.execute(
        `INSERT INTO indexing_errors (project_id, file_path, error_type, error_message) VALUES ('p', '${path}', '${type}', 'theirs')`,
      );
    await index(driver);
    assert.deepEqual(await driver.values("SELECT count(*) FROM indexing_errors"), [2n]);
  });

  it("removes a text file that has become binary or too large: a clean index would not have it", async () => {
    write({ "notes.txt": "some words\n", "more.txt": "other words\n", "code.py": "def kept(): pass\n" });
    const driver = await start("--max-file-bytes", "20000");
    await index(driver);
    write({ "notes.txt": Buffer.from("some\0words\n"), "more.txt": LARGE, "code.py": LARGE });
    const { progress } = await index(driver);
    assert.deepEqual([progress.filesSkipped, progress.filesFailed], [2n, 1n]);
    // A source file keeps its last good rows.
    assert.deepEqual(await paths(driver), ["code.py"]);
    assert.deepEqual(await driver.values("SELECT count(*) FROM code_content WHERE content LIKE '%words%'"), [0n]);
  });

  it("counts the rows that there are, those that lead from one file to another too", async () => {
    write({
      "a.py": "def callee(): pass\n\ndef caller(): callee()\n",
      "b.py": "from a import callee\n\ndef other(): callee()\n",
    });
    const driver = await start();
    const { summary } = await index(driver);
    const tables = {
      classes: "classes",
      methods: "methods",
      functions: "functions",
      imports: "imports",
      usages: "usages",
    };
    for (const [name, table] of Object.entries({
      ...tables,
      content: "code_content",
      crossReferences: "entity_cross_ref",
    })) {
      const [count] = await driver.values(`SELECT count(*) FROM ${table}`);
      assert.equal(summary.counts?.[name as "classes"], count, name);
    }
    assert.equal(summary.counts?.crossReferences, 2n);
  });

  it("parses again, once, what another build made by other rules", async () => {
    write({ "a.py": "def a(): pass\n", "b.py": "def b(): pass\n", "words.txt": "words\n" });
    const driver = await start();
    await index(driver);
    await driver.client.executeBatch({
      statements: [
        {
          sql: "UPDATE extractions SET rules = 'older' WHERE file_id IN (SELECT id FROM files WHERE path LIKE '%/b.py')",
        },
        { sql: "DELETE FROM functions" },
      ],
    });
    const { progress } = await index(driver);
    assert.deepEqual([progress.filesIndexed, progress.filesUnchanged], [1n, 2n]);
    // The control: a file of the same rules is left as it is, whatever its rows.
    assert.deepEqual(await driver.values("SELECT name FROM functions"), ["b"]);
    assert.equal((await index(driver)).progress.filesUnchanged, 3n);
  });

  /** Modules that call each other: every one the next and the one before. */
  function chain(count: number): Record<string, string> {
    const padding = Array.from({ length: 40 }, (_, i) => `\n\ndef pad_${i}(x):\n    return helper(x, ${i})\n`).join("");
    return Object.fromEntries(
      Array.from({ length: count }, (_, i) => [
        `m${i}.py`,
        `import m${(i + 1) % count}\n\n\ndef f${i}():\n    return m${(i + 1) % count}.f${(i + 1) % count}()\n${padding}`,
      ]),
    );
  }

  it("keeps what is stored when it is cancelled, and connects it; a later run does the rest", async () => {
    // So many that the cancellation arrives in their midst however quick the machine is.
    const count = 600;
    write(chain(count));
    const driver = await start();
    const abort = new AbortController();
    const run = (async () => {
      for await (const { progress } of driver.client.indexProject({ projectId: "p" }, { signal: abort.signal })) {
        if ((progress?.filesIndexed ?? 0n) >= 1n) abort.abort();
      }
    })();
    await failsWith("CANCELLED", run);
    // The driver is still ending it: the next write waits for that.
    let unresolved: unknown;
    do unresolved = (await driver.values("SELECT count(*) FROM driver_unresolved"))[0];
    while (unresolved !== 0n);
    const [stored] = await driver.values("SELECT count(*) FROM files");
    assert.ok(typeof stored === "bigint" && stored > 0n && stored < BigInt(count), `${stored} files are stored`);
    // Every edge between two stored files is there.
    const edges = `SELECT count(*) FROM files a JOIN files b
      ON CAST(substr(b.relative_path, 2) AS INTEGER) = (CAST(substr(a.relative_path, 2) AS INTEGER) + 1) % ${count}`;
    assert.deepEqual(await driver.values("SELECT count(*) FROM entity_cross_ref"), await driver.values(edges));

    const { progress } = await index(driver);
    assert.equal(progress.filesUnchanged, stored);
    assert.equal(progress.filesIndexed, BigInt(count) - stored);
    assert.deepEqual(await driver.values("SELECT count(*) FROM entity_cross_ref"), [BigInt(count)]);
  });

  it("may run twice at the same time", async () => {
    const count = 60;
    write(chain(count));
    const driver = await start();
    const runs = await Promise.all([index(driver), index(driver), driver.indexFile("m0.py")]);
    for (const { failures } of runs.slice(0, 2) as Run[]) assert.deepEqual(failures, []);
    assert.deepEqual(await driver.values("SELECT count(*) FROM entity_cross_ref"), [BigInt(count)]);
    assert.deepEqual(await driver.values("SELECT count(*) FROM driver_unresolved"), [0n]);
    const dump = () => {
      const connection = openConnection(driver.databasePath, { role: "reader" });
      try {
        return dumpIndex(connection);
      } finally {
        connection.close();
      }
    };
    const twice = dump();
    await index(driver, { force: true });
    assert.deepEqual(dump(), twice);
  });

  it("`serve --index` prints where it listens and what it found, and goes on serving", async () => {
    write({ "a.py": "class A:\n    def m(self): pass\n", "bad.py": "def (:\n" });
    const program = startProgram(PROGRAM, ["serve", "--db", DATABASE, "--index", "source"], { cwd: inFolder() });
    try {
      await program.waitFor("stdout", /^ {2}npx code-analysis-driver search .*\n/m);
      const answer = await runScript(PROGRAM, ["sql", "--db", DATABASE, "SELECT name FROM classes", "--json"], {
        cwd: inFolder(),
      });
      assert.deepEqual(JSON.parse(answer.stdout).rows, [{ name: "A" }]);
    } finally {
      program.child.kill("SIGTERM");
    }
    const { exitCode, stdout } = await program.ended;
    assert.equal(exitCode, 0);
    assert.match(stdout, /^listening unix:\S+a\.db\.sock\n\S+\/source: 2 files in [\d.]+ s\n {2}indexed +2\n/);
    assert.match(stdout, /\n {2}bad\.py:1 {2}syntax_error {2}syntax error in line 1\n/);
    beside(inFolder(DATABASE), (connection) => assert.equal(connection.pragma("quick_check", { simple: true }), "ok"));
  });
});
