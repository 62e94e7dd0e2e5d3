import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { IndexPhase, type IndexProgress } from "../../gen/code_analysis/driver/v1/index_pb.js";
import { reason, TestEngine } from "../support/engine.js";
import { until, workerPids } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";

/** Python source that takes some tenths of a second to parse: functions `NAME_0`, `NAME_1`, …. */
function slowSource(name: string, functions = 3_000): string {
  return Array.from({ length: functions }, (_, i) => `def ${name}_${i}(x):\n    return x + ${i} if x else ${i}\n`).join(
    "",
  );
}

describe("indexing", () => {
  const inFolder = useTempFolder();
  const started = new Map<number, Promise<TestEngine>>();
  let test: TestEngine;
  let root: string;
  let projectId: string;

  after(async () => {
    for (const engine of started.values()) await (await engine).stop();
  });

  /** A project of its own for each test, in an engine with so many parsers. */
  async function start(parsers = 2): Promise<void> {
    const engine = started.get(parsers) ?? TestEngine.start({ parsers });
    started.set(parsers, engine);
    test = await engine;
    mkdirSync(inFolder("project"));
    root = realpathSync(inFolder("project"));
    const { project } = await test.call("registerProject", { rootPath: root });
    projectId = project?.id ?? "";
    // Every parser runs, so that none of them is still starting when a call comes.
    write("warm.py", "");
    await Promise.all(Array.from({ length: parsers }, () => index("warm.py")));
  }

  const write = (name: string, content: string | Buffer): void => writeFileSync(`${root}/${name}`, content);
  const index = (filePath: string, context: { signal?: AbortSignal } = {}) =>
    test.call("indexFile", { projectId, filePath }, context);

  async function indexProject(onProgress: (progress: IndexProgress) => Promise<void> = async () => undefined) {
    let last: IndexProgress | undefined;
    for await (const { progress } of test.stream("indexProject", { projectId })) {
      if (progress === undefined) continue;
      last = progress;
      await onProgress(progress);
    }
    assert.ok(last);
    return last;
  }

  const errors = async () =>
    (await test.call("listIndexingErrors", { projectId })).errors.map(({ filePath, errorType }) => [
      filePath.slice(root.length + 1),
      errorType,
    ]);

  /** Bytes that the parsers have read in all, from files and from their channel. */
  function bytesReadByParsers(): number {
    return workerPids(test.databasePath, "parser")
      .map((pid) => Number(/rchar: (\d+)/.exec(readFileSync(`/proc/${pid}/io`, "utf8"))?.[1]))
      .reduce((sum, bytes) => sum + bytes, 0);
  }

  /** Begins `call` and resolves when a parser has read this file. */
  async function afterReadOf<T>(name: string, call: () => Promise<T>): Promise<{ readonly call: Promise<T> }> {
    const bytes = bytesReadByParsers() + readFileSync(`${root}/${name}`).length;
    const running = call();
    running.catch(() => undefined);
    await until(`${name} is read`, () => bytesReadByParsers() >= bytes);
    return { call: running };
  }

  /** First column of a query in which `:project` stands for the project of this test. */
  const values = (sql: string) => test.values(sql.replace(":project", `'${projectId}'`));
  const paths = () => values("SELECT relative_path FROM files WHERE project_id = :project ORDER BY 1");
  const functions = () =>
    values("SELECT name FROM functions JOIN files ON files.id = file_id WHERE project_id = :project ORDER BY 1");

  async function assertStored(name: string, content: string): Promise<void> {
    const hash = createHash("sha256").update(content).digest("hex");
    const stored = await test.values(
      `SELECT content_hash FROM indexed_files JOIN files ON id = file_id WHERE path = '${root}/${name}'`,
    );
    assert.deepEqual(stored, [hash]);
  }

  describe("of one file by two calls at the same time", () => {
    for (const caller of ["IndexFile", "IndexProject"]) {
      const slowCall = (): Promise<unknown> => (caller === "IndexFile" ? index("a.py") : indexProject());

      it(`leaves what the later read found when an earlier read of ${caller} takes longer`, async () => {
        await start();
        write("a.py", slowSource("old"));
        const { call } = await afterReadOf("a.py", slowCall);
        write("a.py", "def new(): pass\n");
        const second = await index("a.py");
        await call;
        assert.equal(second.unchanged, false);
        await assertStored("a.py", "def new(): pass\n");
        assert.deepEqual(await functions(), ["new"]);
        assert.deepEqual(await errors(), []);
      });

      it(`leaves what the later read found unchanged, while an earlier read of ${caller} found another content`, async () => {
        await start();
        write("a.py", "def kept(): pass\n");
        await index("a.py");
        write("a.py", slowSource("passing"));
        const { call } = await afterReadOf("a.py", slowCall);
        write("a.py", "def kept(): pass\n");
        await index("a.py");
        await call;
        await assertStored("a.py", "def kept(): pass\n");
        assert.deepEqual(await functions(), ["kept"]);
      });
    }

    it("leaves the failure of the later read", async () => {
      await start();
      write("a.py", slowSource("old"));
      const { call } = await afterReadOf("a.py", () => index("a.py"));
      write("a.py", Buffer.from("x = 1\0\n"));
      await assert.rejects(index("a.py"), reason("FILE_NOT_INDEXABLE"));
      await assert.rejects(call, reason("FILE_NOT_INDEXABLE"));
      assert.deepEqual(await errors(), [["a.py", "binary"]]);
    });

    it("stores nothing of a file that was found gone meanwhile", async () => {
      await start();
      write("a.py", "def before(): pass\n");
      await index("a.py");
      write("a.py", slowSource("old"));
      const { call } = await afterReadOf("a.py", () => index("a.py"));
      rmSync(`${root}/a.py`);
      assert.equal((await indexProject()).filesDeleted, 1n);
      await assert.rejects(call, reason("FILE_NOT_FOUND"));
      assert.deepEqual(await paths(), ["warm.py"]);
    });

    it("fails none of many calls, however the file changes", async () => {
      await start();
      let version = 0;
      const change = (): void => write("a.py", slowSource(`v${++version}`, 20 + (version % 3) * 100));
      change();
      const clients = Array.from({ length: 6 }, async () => {
        for (let round = 0; round < 5; round++) {
          change();
          await index("a.py");
        }
      });
      await Promise.all([...clients, indexProject(), indexProject()]);
      await assertStored("a.py", readFileSync(`${root}/a.py`, "utf8"));
      assert.deepEqual(await errors(), []);
    });
  });

  describe("of a project", () => {
    /** Runs `meanwhile` between the look for files and the removal of those that are gone. */
    async function indexProjectWith(meanwhile: () => void): Promise<IndexProgress> {
      // The removal waits for the transaction.
      const { transactionId } = await test.call("beginTransaction", {});
      return await indexProject(async ({ phase }) => {
        if (phase !== IndexPhase.FINISHING) return;
        meanwhile();
        await test.call("rollbackTransaction", { transactionId }).catch(reason("TRANSACTION_NOT_FOUND"));
      });
    }

    it("keeps and indexes a file that has come back when its rows are removed", async () => {
      await start();
      for (const name of ["gone.py", "back.py"]) write(name, "def before(): pass\n");
      await indexProject();
      for (const name of ["gone.py", "back.py"]) rmSync(`${root}/${name}`);
      const { filesDeleted, filesIndexed, filesUnchanged, filesDone, filesTotal } = await indexProjectWith(() =>
        write("back.py", "def after(): pass\n"),
      );
      assert.deepEqual([filesDeleted, filesIndexed, filesUnchanged], [1n, 1n, 1n]);
      assert.equal(filesDone, filesTotal);
      await assertStored("back.py", "def after(): pass\n");
      assert.deepEqual(await paths(), ["back.py", "warm.py"]);
      assert.deepEqual(await functions(), ["after"]);
    });

    it("ends with the reason when a file could be neither stored nor found to be at fault", async () => {
      const strict = await TestEngine.start({ parsers: 1, maxStatementMs: 500 });
      try {
        mkdirSync(inFolder("strict"));
        // Many more than wait to be stored at a time: the run goes on after the failure.
        const names = ["a", "b", "slow", ...Array.from({ length: 600 }, (_, i) => `z${i}`)];
        for (const name of names) writeFileSync(inFolder("strict", `${name}.py`), `class ${name}: pass\n`.repeat(20));
        const { project } = await strict.call("registerProject", { rootPath: realpathSync(inFolder("strict")) });
        const endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";
        await strict.sql(
          `CREATE TRIGGER endless AFTER INSERT ON classes WHEN NEW.name = 'slow' BEGIN SELECT count(*) FROM (${endless}); END`,
        );
        const run = async () => {
          for await (const _ of strict.stream("indexProject", { projectId: project?.id ?? "" }));
        };
        await assert.rejects(run(), reason("DEADLINE_EXCEEDED"));
        await strict.sql("DROP TRIGGER endless");
        await run();
        assert.deepEqual(await strict.values("SELECT count(*) FROM files"), [BigInt(names.length)]);
      } finally {
        await strict.stop();
      }
    });

    it("removes a file that is there but left out by now, also when it has come back", async () => {
      await start();
      for (const name of ["a.log", "b.log"]) write(name, "words\n");
      await indexProject();
      rmSync(`${root}/b.log`);
      write(".gitignore", "*.log\n");
      assert.equal((await indexProjectWith(() => write("b.log", "words\n"))).filesDeleted, 2n);
      assert.deepEqual(await paths(), [".gitignore", "warm.py"]);
    });
  });

  describe("when a parser dies", () => {
    const killParsers = (): void => {
      for (const pid of workerPids(test.databasePath, "parser")) process.kill(pid, "SIGKILL");
    };

    it("costs the file that it worked on", async () => {
      await start(1);
      write("slow.py", slowSource("slow", 15_000));
      write("next.py", "def next(): pass\n");
      const { call } = await afterReadOf("slow.py", () => index("slow.py"));
      const behind = index("next.py");
      killParsers();
      await assert.rejects(call, reason("FILE_NOT_INDEXABLE"));
      await behind;
      assert.deepEqual(await errors(), [["slow.py", "crash"]]);
    });

    it("costs no file when it worked for a call that was cancelled", async () => {
      await start(1);
      write("slow.py", slowSource("slow", 15_000));
      write("next.py", "def next(): pass\n");
      const abort = new AbortController();
      const { call } = await afterReadOf("slow.py", () => index("slow.py", { signal: abort.signal }));
      const behind = index("next.py");
      abort.abort();
      await assert.rejects(call, reason("CANCELLED"));
      killParsers();
      await behind;
      assert.deepEqual(await errors(), []);
      await assertStored("next.py", "def next(): pass\n");
    });

    it("does not cost the file before, whose result had not left the process yet", async () => {
      await start(1);
      // More rows than a socket takes at once; what is left is sent when the next file is done.
      write("a.py", slowSource("large", 4_000));
      write("b.py", slowSource("slow", 15_000));
      const { call } = await afterReadOf("b.py", () => indexProject());
      killParsers();
      assert.equal((await call).filesFailed, 1n);
      assert.deepEqual(await errors(), [["b.py", "crash"]]);
      await assertStored("a.py", readFileSync(`${root}/a.py`, "utf8"));
    });
  });
});
