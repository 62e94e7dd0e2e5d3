import assert from "node:assert/strict";
import { mkdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import type { CallContext } from "../../src/engine/call.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { ENDLESS, reason, TestEngine, within } from "../support/engine.js";
import { until } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";

const MAX_STATEMENT_MS = 1_500;
const NOT_CONNECTED = "the files of an unfinished IndexProject are not connected yet";

/** Each has the one before twice: to find the columns of the last takes longer than anybody lives. */
const EXPONENTIAL_VIEWS = Array.from({ length: 60 }, (_, i) =>
  i === 0
    ? "CREATE VIEW v0(x) AS SELECT 1;"
    : `CREATE VIEW v${i} AS SELECT x FROM v${i - 1} UNION ALL SELECT x FROM v${i - 1};`,
).join("\n");
const ENDLESS_VIEW =
  "CREATE VIEW endless(x) AS WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n";

function endlessTrigger(event: string): string {
  return `CREATE TRIGGER endless AFTER ${event} BEGIN SELECT count(*) FROM (${ENDLESS}); END`;
}

describe("an exclusive operation without an end", function () {
  this.timeout(60_000);
  const inFolder = useTempFolder();
  let test: TestEngine;
  let projectId: string;

  beforeEach(async () => {
    test = await TestEngine.start({ maxStatementMs: MAX_STATEMENT_MS, parsers: 1 });
    mkdirSync(inFolder("source"));
    writeFileSync(inFolder("source", "a.py"), "from b import f\n\n\ndef g():\n    return f()\n");
    writeFileSync(inFolder("source", "b.py"), "def f():\n    return 1\n");
    const { project } = await test.call("registerProject", { rootPath: realpathSync(inFolder("source")) });
    projectId = project?.id ?? "";
  });
  afterEach(() => test.stop());

  async function indexProject(context: Partial<CallContext> = {}): Promise<void> {
    for await (const _ of test.stream("indexProject", { projectId }, context));
  }

  const edges = () => test.values("SELECT count(*) FROM entity_cross_ref WHERE callee_function_id IS NOT NULL");

  /** Is stopped, and a write that waits behind it runs all the same. */
  async function isStopped(call: Promise<unknown>): Promise<void> {
    const stopped = assert.rejects(call, reason("DEADLINE_EXCEEDED"));
    await test.sql("CREATE TABLE others(x)");
    await stopped;
  }

  it("is stopped while it reads the schema that SyncSchema is sent", async () => {
    await isStopped(test.call("syncSchema", { schemaSql: EXPONENTIAL_VIEWS }, within(1_000)));
  });

  it("is stopped while SyncSchema fills what it creates, of which nothing stays", async () => {
    await test.sql(ENDLESS_VIEW);
    const schemaSql = `${ENDLESS_VIEW}; CREATE TABLE first(x); CREATE VIRTUAL TABLE words USING fts5(x, content=endless, content_rowid=x);`;
    await isStopped(test.call("syncSchema", { schemaSql }, within(1_000)));
    assert.deepEqual(await test.values("SELECT name FROM sqlite_schema WHERE name IN ('first', 'words')"), []);
  });

  it("is stopped when the time of a statement is over, without a deadline", async () => {
    await isStopped(test.call("syncSchema", { schemaSql: EXPONENTIAL_VIEWS }));
  });

  it("is stopped while IndexProject removes files that are gone", async () => {
    await indexProject();
    await test.sql(endlessTrigger("DELETE ON files"));
    rmSync(inFolder("source", "b.py"));
    await isStopped(indexProject());
    assert.deepEqual(await test.values("SELECT count(*) FROM files"), [2n]);
  });

  it("does not keep the driver from starting, and costs the writer one process", async () => {
    await test.sql(endlessTrigger("INSERT ON entity_cross_ref"));
    const run = indexProject();
    run.catch(() => undefined);
    await until(
      "files are stored",
      async () => (await test.values("SELECT count(*) FROM driver_unresolved"))[0] === 1n,
    );
    test.engine.kill();
    await assert.rejects(run);

    test = await TestEngine.open(test.databasePath, { maxStatementMs: MAX_STATEMENT_MS, parsers: 1 });
    await test.sql("CREATE TABLE others(x)");
    await until("it is given up", () => test.log.some(({ message }) => message === NOT_CONNECTED));
    const ended = "the writer process ended and is started again";
    await until("the writer is back", () => test.log.some(({ message }) => message === ended));
    await test.sql("DROP TRIGGER endless");
    assert.equal(test.log.filter(({ message }) => message === ended).length, 1);
    assert.deepEqual(await edges(), [0n]);

    // Nothing is parsed again; what was left open is connected.
    await indexProject();
    assert.deepEqual(await edges(), [1n]);
    assert.deepEqual(await test.values("SELECT count(*) FROM driver_unresolved"), [0n]);
  });

  it("connects what an earlier process has left open after it has started", async () => {
    await indexProject();
    await test.sql("DELETE FROM entity_cross_ref");
    await test.engine.close();
    const connection = openConnection(test.databasePath, { role: "writer" });
    connection.prepare("INSERT INTO driver_unresolved (project_id) VALUES (?)").run(projectId);
    connection.close();
    test = await TestEngine.open(test.databasePath, { parsers: 1 });
    await until("it is connected", async () => (await edges())[0] === 1n);
    assert.deepEqual(await test.values("SELECT count(*) FROM driver_unresolved"), [0n]);
  });

  it("is none that makes many statements, each in its time", async () => {
    for (let i = 0; i < 30; i++) writeFileSync(inFolder("source", `gone${i}.py`), "");
    await indexProject();
    const slow = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n LIMIT 700000) SELECT count(*) FROM n";
    await test.sql(`CREATE TRIGGER slow AFTER DELETE ON files BEGIN SELECT count(*) FROM (${slow}); END`);
    for (let i = 0; i < 30; i++) rmSync(inFolder("source", `gone${i}.py`));
    const begunMs = performance.now();
    await indexProject();
    assert.ok(performance.now() - begunMs > MAX_STATEMENT_MS, "too quick to prove anything");
    assert.deepEqual(await test.values("SELECT count(*) FROM files"), [2n]);
  });
});
