import assert from "node:assert/strict";
import { TableState } from "../../gen/code_analysis/driver/v1/recovery_pb.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { MAX_REMEMBERED_REQUESTS } from "../../src/workers/driver-tables.js";
import { ENDLESS, type TestEngine, useEngines, within } from "../support/engine.js";

describe("GetDriverInfo", () => {
  const start = useEngines();

  /** Runs SQL as another program would, `config_cli schema --online` for example. */
  function beside(test: TestEngine, sql: string): void {
    const connection = openConnection(test.databasePath, { role: "migration" });
    try {
      connection.exec(sql);
    } finally {
      connection.close();
    }
  }

  const info = (test: TestEngine) => test.call("getDriverInfo", {});
  const hash = async (test: TestEngine) => (await info(test)).schemaHash;

  it("has the hash of the schema of now, whoever changed it", async () => {
    const test = await start();
    const first = await hash(test);
    assert.match(first, /^[0-9a-f]{64}$/);
    await test.sql("CREATE TABLE of_execute (x)");
    const second = await hash(test);
    assert.notEqual(second, first);
    await test.call("syncSchema", { schemaSql: "CREATE TABLE of_sync (x)" });
    const third = await hash(test);
    assert.ok(![first, second].includes(third));
    beside(test, "ALTER TABLE of_sync ADD COLUMN y");
    const fourth = await hash(test);
    assert.ok(![first, second, third].includes(fourth));
    await test.call("dropTable", { table: "of_execute" });
    await test.call("dropTable", { table: "of_sync" });
    assert.equal(await hash(test), first);
    await test.sql("INSERT INTO projects (id, root_path) VALUES ('p', '/p')");
    assert.equal(await hash(test), first, "rows are no schema");
  });

  it("is answered while every reader is busy, and the log says so once", async () => {
    const test = await start({ readers: 1 });
    await info(test);
    const busy = test.call("execute", { sql: ENDLESS }, within(4_000));
    busy.catch(() => undefined);
    const known = await hash(test);
    await Promise.all(Array.from({ length: 20 }, () => info(test)));
    assert.equal(await hash(test), known);
    assert.deepEqual(
      test.log.filter(({ message }) => message === "the schema could not be read"),
      [
        {
          level: "warn",
          message: "the schema could not be read",
          fields: { reason: "No reader was free within 1000 ms." },
        },
      ],
    );
    await assert.rejects(busy);
  });

  it("tells how many writes with a request_id are remembered", async () => {
    const { limits } = await info(await start());
    assert.equal(limits?.maxRememberedRequests, MAX_REMEMBERED_REQUESTS);
  });

  it("names the tables that are in between now, and what recovery did last", async () => {
    const test = await start();
    assert.deepEqual((await info(test)).unresolvedTables, []);
    beside(
      test,
      `CREATE TABLE temp_watch_dirs AS SELECT * FROM watch_dirs;
       INSERT INTO temp_watch_dirs (id) VALUES ('old');
       INSERT INTO watch_dirs (id, name) VALUES ('new', 'n')`,
    );
    assert.deepEqual((await info(test)).unresolvedTables, ["watch_dirs"]);
    const { report } = await test.call("recover", {});
    assert.deepEqual(
      report?.actions.map(({ table, state }) => [table, state]),
      [["watch_dirs", TableState.BOTH_HAVE_ROWS]],
    );
    assert.deepEqual((await info(test)).lastRecovery, report);
    beside(test, "DROP TABLE temp_watch_dirs");
    assert.deepEqual((await info(test)).unresolvedTables, []);
    await test.call("recover", {});
    assert.deepEqual((await info(test)).lastRecovery?.actions, []);
  });
});
