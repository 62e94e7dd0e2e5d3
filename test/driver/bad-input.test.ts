import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Client, credentials, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { ExecuteRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import type { ValueSchema } from "../../gen/code_analysis/driver/v1/value_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { type SqlValue, toValue } from "../../src/client/values.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { runScript } from "../support/program.js";
import { snapshot } from "../support/snapshot.js";
import { useTempFolder } from "../support/temp-folder.js";
import { DATABASE, DriverProcess, killDrivers, PROGRAM } from "./driver-process.js";
import { failsWith } from "./failure.js";

type Value = MessageInitShape<typeof ValueSchema>;

const MIN = -(2n ** 63n);
const MAX = 2n ** 63n - 1n;

describe("bad input", () => {
  const inFolder = useTempFolder();
  let driver: DriverProcess;

  beforeEach(async () => {
    mkdirSync(inFolder("source", "package"), { recursive: true });
    mkdirSync(inFolder("outside"));
    writeFileSync(inFolder("source", "a.py"), "class A: pass\n");
    writeFileSync(inFolder("outside", "secret.py"), "SECRET = 1\n");
    symlinkSync(inFolder("outside", "secret.py"), inFolder("source", "link.py"));
    symlinkSync(inFolder("outside"), inFolder("source", "linked"));
    symlinkSync(inFolder("source", "loop.py"), inFolder("source", "loop.py"));
    execFileSync("mkfifo", [inFolder("source", "fifo.py")]);
    driver = await DriverProcess.start(inFolder(), { args: ["--max-request-bytes", "100000"] });
    await driver.register(inFolder("source"));
    await driver.indexFile("a.py");
    await driver.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v, n TEXT NOT NULL DEFAULT 'n')");
    await driver.execute("INSERT INTO t (v) VALUES ('kept')");
  });
  afterEach(killDrivers);

  function tables() {
    const connection = openConnection(driver.databasePath, { role: "reader" });
    try {
      const { tables: all, schema } = snapshot(connection);
      // Its number of the last commit also counts what the failures stored about themselves.
      const { driver_state: _, indexing_errors: errors, ...rest } = all;
      return { schema, rest, errors };
    } finally {
      connection.close();
    }
  }

  it("of IndexFile and IndexProject gets its status, and the index stays as it was", async () => {
    const before = tables();
    const outside = [
      "../outside/secret.py",
      inFolder("outside", "secret.py"),
      "link.py",
      "linked/secret.py",
      "/etc/passwd",
    ];
    for (const path of outside) {
      const error = await failsWith("PATH_OUTSIDE_PROJECT", driver.indexFile(path));
      assert.equal(error.field, "file_path");
    }
    // Nothing says whether there is something outside.
    await failsWith("PATH_OUTSIDE_PROJECT", driver.indexFile("../outside/missing.py"));
    await failsWith("INVALID_REQUEST", driver.indexFile("a\0.py"));
    const long = await failsWith("INVALID_REQUEST", driver.indexFile("x".repeat(50_000)));
    assert.equal(long.field, "file_path");
    assert.ok(long.message.length < 200, long.message);
    await failsWith("INVALID_REQUEST", driver.client.indexFile({}));
    await failsWith("INVALID_REQUEST", driver.client.indexFile({ projectId: "p" }));
    await failsWith("PROJECT_NOT_FOUND", driver.client.indexFile({ projectId: "nobody", filePath: "a.py" }));
    await failsWith("PROJECT_NOT_FOUND", driver.client.indexProject({ projectId: "nobody" }));
    await failsWith("INVALID_REQUEST", driver.client.indexProject({}));
    const nobody = { projectId: "nobody" };
    await failsWith("PROJECT_NOT_FOUND", driver.client.searchCode({ ...nobody, query: "A" }));
    await failsWith("PROJECT_NOT_FOUND", driver.client.findDefinitions({ ...nobody, name: "A" }));
    await failsWith("PROJECT_NOT_FOUND", driver.client.listFileEntities({ ...nobody, filePath: "a.py" }));
    await failsWith("PROJECT_NOT_FOUND", driver.client.listIndexingErrors(nobody));
    for (const path of ["..", "../outside", inFolder("outside")]) {
      await failsWith("PATH_OUTSIDE_PROJECT", driver.client.indexProject({ projectId: "p", paths: [path] }));
    }
    await failsWith("INVALID_REQUEST", driver.client.registerProject({ rootPath: "relative" }));
    await failsWith("FILE_NOT_FOUND", driver.client.registerProject({ rootPath: inFolder("nothing") }));
    await failsWith("INVALID_REQUEST", driver.client.registerProject({ rootPath: inFolder("source", "a.py") }));
    assert.deepEqual(tables(), before);

    // What the project has no file of is stored once for each path, however it is spelled.
    for (const path of ["missing.py", "./missing.py", "package/../missing.py", inFolder("source", "missing.py")]) {
      await failsWith("FILE_NOT_FOUND", driver.indexFile(path));
    }
    for (const path of ["package", "fifo.py", "loop.py", "a.py/b.py", "."]) {
      await failsWith("FILE_NOT_FOUND", driver.indexFile(path));
    }
    const { errors } = await driver.client.listIndexingErrors({ projectId: "p" });
    const named = ["", "a.py/b.py", "fifo.py", "loop.py", "missing.py", "package"];
    assert.deepEqual(
      errors.map(({ filePath }) => filePath).sort(),
      named.map((path) => join(inFolder("source"), path)),
    );
    assert.deepEqual(new Set(errors.map(({ errorType }) => errorType)), new Set(["io_error"]));
    assert.deepEqual(tables().rest, before.rest);
    assert.equal((await driver.indexFile("a.py")).unchanged, true);
  });

  it("in SQL gets its status, and the database stays as it was", async () => {
    const before = tables();
    const wrong = [
      "SELEKT 1",
      "SELECT nonsense FROM t",
      "SELECT * FROM nowhere",
      "INSERT INTO t (nonsense) VALUES (1)",
      "SELECT (1",
    ];
    for (const sql of wrong) {
      await failsWith("SQL_ERROR", driver.execute(sql));
      await failsWith("SQL_ERROR", driver.client.query({ sql }));
      await failsWith("SQL_ERROR", driver.client.executeBatch({ statements: [{ sql: "DELETE FROM t" }, { sql }] }));
    }
    const several = [
      "SELECT 1; SELECT 2",
      "DELETE FROM t; DELETE FROM t",
      "SELECT 1;;DROP TABLE t",
      "SELECT 1; -- c\n SELECT 2",
    ];
    for (const sql of ["", " ", "-- nothing\n", "/* nothing */", ";", ...several]) {
      await failsWith("INVALID_REQUEST", driver.execute(sql));
      await failsWith("INVALID_REQUEST", driver.client.query({ sql }));
    }
    const file = inFolder("attached.db");
    const forbidden = [
      `ATTACH '${file}' AS other`,
      `/* c */ -- c\n attach database '${file}' as other`,
      `\uFEFFATTACH '${file}' AS other`,
      "DETACH main",
      "PRAGMA foreign_keys = OFF",
      "PRAGMA foreign_keys(0)",
      "pragma main . foreign_keys = 0",
      "/* c */ PRAGMA/**/writable_schema(1)",
      "-- c\nPRAGMA journal_mode(delete)",
      'PRAGMA "journal_mode" = delete',
      "EXPLAIN PRAGMA journal_mode = delete",
      "PRAGMA user_version = 7",
      "PRAGMA wal_checkpoint(TRUNCATE)",
      "PRAGMA optimize",
      "VACUUM",
      `VACUUM INTO '${file}'`,
      "BEGIN",
      "/**/BEGIN IMMEDIATE",
      "COMMIT",
      "END",
      "ROLLBACK",
      "SAVEPOINT s",
      "RELEASE s",
      "CREATE TEMP TABLE t (x)",
      "CREATE TEMPORARY VIEW t AS SELECT 1",
      "CREATE TABLE temp.t (x)",
      "CREATE TEMP TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END",
      "DELETE FROM driver_requests",
      "DROP TABLE driver_state",
    ];
    for (const sql of forbidden) {
      for (const call of [driver.execute(sql), driver.client.query({ sql })]) {
        await failsWith("STATEMENT_NOT_ALLOWED", call).catch((error: unknown) => {
          throw new Error(`${sql}: ${String(error)}`);
        });
      }
    }
    for (const sql of [
      "INSERT INTO t (v) VALUES (1)",
      "CREATE TABLE u (x)",
      "DROP TABLE t",
      "WITH x AS (SELECT 1) DELETE FROM t",
    ]) {
      await failsWith("STATEMENT_NOT_ALLOWED", driver.client.query({ sql }));
    }
    await failsWith("SQL_ERROR", driver.execute("SELECT ?"));
    await failsWith("SQL_ERROR", driver.execute("SELECT ?", 1, 2));
    await failsWith("SQL_ERROR", driver.execute("SELECT :a"));
    await failsWith("SQL_ERROR", driver.execute("SELECT 1", "left over"));
    await failsWith("INVALID_REQUEST", driver.client.execute({ sql: "SELECT ?", parameters: [{}] }));
    await failsWith("INVALID_REQUEST", driver.client.execute({ sql: "SELECT 1", maxRows: 4_000_000_000 }));
    await failsWith("CONSTRAINT_NOT_NULL", driver.execute("INSERT INTO t (n) VALUES (NULL)"));
    await failsWith("CONSTRAINT_DATATYPE", driver.execute("INSERT INTO t (id) VALUES ('no number')"));
    await failsWith("CONSTRAINT_UNIQUE", driver.execute("INSERT INTO t (id) VALUES (1)"));
    const orphan = "INSERT INTO classes (file_id, name, line) VALUES (-1, 'x', 1)";
    await failsWith("CONSTRAINT_FOREIGN_KEY", driver.execute(orphan));
    await failsWith(
      "TABLE_NOT_FOUND",
      driver.client.insert({ table: "nowhere", columns: ["a"], rows: [{ values: [toValue(1)] }] }),
    );
    await failsWith(
      "INVALID_REQUEST",
      driver.client.insert({ table: "t", columns: ["a"], rows: [{ values: [toValue(1)] }] }),
    );
    assert.deepEqual(tables(), before);
    assert.deepEqual(await driver.values("PRAGMA foreign_keys"), [1n]);
    // The control: what is allowed changes it.
    await driver.execute("INSERT INTO t (v) VALUES (1)");
    assert.notDeepEqual(tables(), before);
  });

  it("of unknown and expired transactions gets its status", async () => {
    const sql = "INSERT INTO t (v) VALUES ('in a transaction')";
    await failsWith("TRANSACTION_NOT_FOUND", driver.client.execute({ sql, transactionId: "nobody" }));
    await failsWith("TRANSACTION_NOT_FOUND", driver.client.query({ sql: "SELECT 1", transactionId: "nobody" }));
    await failsWith("TRANSACTION_NOT_FOUND", driver.client.commitTransaction({ transactionId: "nobody" }));
    await failsWith("TRANSACTION_NOT_FOUND", driver.client.rollbackTransaction({}));
    await failsWith("INVALID_REQUEST", driver.client.beginTransaction({ ttl: { seconds: -1n } }));
    await failsWith("INVALID_REQUEST", driver.client.beginTransaction({ ttl: { seconds: 10_000_000n } }));

    const { transactionId } = await driver.client.beginTransaction({ ttl: { nanos: 100_000_000 } });
    await driver.client.execute({ sql, transactionId });
    // A write of its own has to wait until the lease is over.
    await driver.execute("INSERT INTO t (v) VALUES ('later')");
    await failsWith("TRANSACTION_EXPIRED", driver.client.execute({ sql, transactionId }));
    await failsWith("TRANSACTION_EXPIRED", driver.client.commitTransaction({ transactionId }));
    assert.deepEqual(await driver.values("SELECT v FROM t ORDER BY id"), ["kept", "later"]);
  });

  it("is answered with the status of the contract on the wire, with and without a message of ours", async () => {
    const client = new Client(driver.address, credentials.createInsecure());
    const send = (bytes: Uint8Array) =>
      new Promise<{ code: number; reason: string | undefined }>((resolve) => {
        const { typeName } = DriverService;
        const same = (value: Buffer) => value;
        client.makeUnaryRequest(`/${typeName}/Execute`, same, same, Buffer.from(bytes), (error) => {
          resolve({
            code: error?.code ?? status.OK,
            reason: error === null ? undefined : parseStatusDetails(error.metadata)?.reason,
          });
        });
      });
    const request = (sql: string) => toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql }));
    const before = tables();
    assert.deepEqual(await send(new Uint8Array()), { code: status.INVALID_ARGUMENT, reason: "INVALID_REQUEST" });
    assert.deepEqual(await send(Buffer.of(0x0a, 0xff)), { code: status.INVALID_ARGUMENT, reason: "INVALID_REQUEST" });
    assert.deepEqual(await send(request("nonsense")), { code: status.INVALID_ARGUMENT, reason: "SQL_ERROR" });
    assert.deepEqual(await send(request("SELECT x")), { code: status.INVALID_ARGUMENT, reason: "SQL_ERROR" });
    assert.deepEqual(await send(request("BEGIN")), { code: status.PERMISSION_DENIED, reason: "STATEMENT_NOT_ALLOWED" });
    assert.equal(
      (await send(request(`INSERT INTO t (v) VALUES ('${"x".repeat(100_000)}')`))).code,
      status.RESOURCE_EXHAUSTED,
    );
    // grpc-js answers this one itself; which option it is about, the client knows.
    const tooLarge = await failsWith("LIMIT_EXCEEDED", driver.execute(`SELECT '${"x".repeat(100_000)}'`));
    assert.match(tooLarge.hint ?? "", /--max-request-bytes/);
    assert.deepEqual(await send(request("SELECT 1")), { code: status.OK, reason: undefined });
    client.close();
    assert.deepEqual(tables(), before);
    assert.equal((await driver.execute("SELECT 1")).rows.length, 1);
  });

  it("values come back as they were sent", async () => {
    const values: SqlValue[] = [
      null,
      0,
      1,
      -1,
      MIN,
      MAX,
      MIN + 1n,
      2 ** 53,
      0.1,
      -0,
      Number.MAX_VALUE,
      Number.MIN_VALUE,
    ];
    values.push(Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, "", "a\0b", "😀\u0301", "x".repeat(50_000));
    values.push(new Uint8Array(), Buffer.of(0, 1, 255));
    for (const value of values.map(toValue)) {
      const [row] = (await driver.client.execute({ sql: "SELECT ?1, typeof(?1)", parameters: [value] })).rows;
      assertSame(row?.values[0], value);
      await driver.client.execute({ sql: "UPDATE t SET v = :v WHERE id = 1", namedParameters: { v: value } });
      const [stored] = (await driver.execute("SELECT v FROM t WHERE id = 1")).rows;
      assertSame(stored?.values[0], value);
      for await (const { rows } of driver.client.query({ sql: "SELECT v FROM t WHERE id = 1" })) {
        assertSame(rows[0]?.values[0], value);
      }
    }
    // SQLite has no NaN: it stores NULL (https://sqlite.org/floatingpoint.html).
    const nan: Value = { kind: { case: "realValue", value: Number.NaN } };
    const [row] = (await driver.client.execute({ sql: "SELECT ?", parameters: [nan] })).rows;
    assert.equal(row?.values[0]?.kind.case, "nullValue");
    assert.deepEqual(await driver.values(`SELECT ${MAX} UNION ALL SELECT ${MIN}`), [MAX, MIN]);
    assert.deepEqual(await driver.values(`SELECT typeof(${MAX} + 1)`), ["real"]);
  });

  function assertSame(
    actual: { kind: { case?: string | undefined; value?: unknown } } | undefined,
    expected: Value,
  ): void {
    const { kind } = expected;
    assert.equal(actual?.kind.case, kind?.case);
    const value = actual?.kind.value;
    if (value instanceof Uint8Array) assert.deepEqual(Buffer.from(value), Buffer.from(kind?.value as Uint8Array));
    else assert.ok(Object.is(value, kind?.value), `${String(value)} is not ${String(kind?.value)}`);
  }

  it("`sql` executes a statement that writes, and says what it changed", async () => {
    const sql = (...args: string[]) => runScript(PROGRAM, ["sql", "--db", DATABASE, ...args], { cwd: inFolder() });
    const inserted = await sql("INSERT INTO t (v) VALUES (?)", "--param", "'written'", "--json");
    assert.equal(inserted.exitCode, 0, inserted.stderr);
    const { affected_rows: rows, last_insert_rowid: rowid } = JSON.parse(inserted.stdout);
    assert.deepEqual([rows, rowid], [1, 2]);
    assert.deepEqual(await driver.values("SELECT v FROM t ORDER BY id"), ["kept", "written"]);
    const forbidden = await sql("VACUUM");
    assert.deepEqual([forbidden.exitCode, forbidden.stdout], [1, ""]);
    assert.match(forbidden.stderr, /^error: A client may not use VACUUM\./);
  });
});
