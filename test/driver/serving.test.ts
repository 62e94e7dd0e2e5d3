import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../../gen/grpc/health/v1/health_pb.js";
import { createClient } from "../../src/client/client.js";
import { BUILT_IN_SCHEMA } from "../../src/schema/built-in-schema.js";
import { runConfigCli } from "../support/config-cli.js";
import { workerPids } from "../support/processes.js";
import { runScript } from "../support/program.js";
import { useTempFolder } from "../support/temp-folder.js";
import { beside, DATABASE, DriverProcess, killDrivers, PROGRAM } from "./driver-process.js";
import { failsWith } from "./failure.js";

const TCP = ["--listen", "127.0.0.1:0"];

describe("a driver that serves", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  it("takes calls over TCP with its token only, and over its socket, mode 0600, without", async () => {
    const socket = inFolder("driver.sock");
    const driver = await DriverProcess.start(inFolder(), { args: [...TCP, "--listen", `unix:${socket}`] });
    await driver.program.waitFor("stdout", /^listening unix:.*\n/m);
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    const tokenFile = `${driver.databasePath}.token`;
    assert.equal(statSync(tokenFile).mode & 0o777, 0o600);
    const token = readFileSync(tokenFile, "utf8").trim();
    assert.match(driver.address, /^127\.0\.0\.1:\d+$/);

    const call = async (address: string, ownToken?: string) => {
      const client = createClient({ address, token: ownToken });
      try {
        return await client.execute({ sql: "SELECT 1" });
      } finally {
        client.close();
      }
    };
    await failsWith("UNAUTHENTICATED", call(driver.address));
    await failsWith("UNAUTHENTICATED", call(driver.address, `${token}x`));
    await failsWith("UNAUTHENTICATED", call(driver.address, ""));
    assert.equal((await call(driver.address, token)).rows.length, 1);
    assert.equal((await call(`unix:${socket}`)).rows.length, 1);

    const { stdout, stderr } = await driver.stop();
    assert.ok(!`${stdout}${stderr}`.includes(token), "the token is in what the driver says");
    // The next driver keeps the token that its clients know.
    const next = await DriverProcess.start(inFolder(), { args: TCP, token });
    assert.equal((await next.execute("SELECT 1")).rows.length, 1);
  });

  it("finishes what runs at SIGTERM, takes nothing new, and leaves one file", async () => {
    const driver = await DriverProcess.start(inFolder());
    await driver.execute("CREATE TABLE t (x)");
    const health = new Client(driver.address, credentials.createInsecure());
    const statuses: HealthCheckResponse_ServingStatus[] = [];
    const watch = health.makeServerStreamRequest(
      "/grpc.health.v1.Health/Watch",
      (bytes: Uint8Array) => Buffer.from(bytes),
      (bytes) => fromBinary(HealthCheckResponseSchema, bytes).status,
      toBinary(HealthCheckRequestSchema, create(HealthCheckRequestSchema, { service: "" })),
    );
    watch.on("data", (status: HealthCheckResponse_ServingStatus) => statuses.push(status));
    const ended = once(watch, "error");
    await once(watch, "data");

    const slow = `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000)
      INSERT INTO t SELECT max(i) FROM n`;
    const running = driver.execute(slow);
    // Answered after the write was taken: both go over the same connection, in this order.
    await driver.client.getDriverInfo({});
    driver.program.child.kill("SIGTERM");
    assert.equal((await running).affectedRows, 1n);
    await ended;
    const { SERVING, NOT_SERVING } = HealthCheckResponse_ServingStatus;
    assert.deepEqual(statuses, [SERVING, NOT_SERVING]);
    health.close();
    driver.client.close();
    assert.equal((await driver.program.ended).exitCode, 0);
    for (const suffix of ["-wal", "-shm", ".sock"]) {
      assert.ok(!existsSync(`${driver.databasePath}${suffix}`), `${suffix} is left`);
    }
    const max = beside(driver.databasePath, (connection) => connection.prepare("SELECT x FROM t").pluck().get());
    assert.equal(max, 3_000_000);
  });

  describe("beside a second driver of its database", () => {
    const startSecond = () =>
      DriverProcess.start(inFolder(), {
        args: ["--listen", `unix:${inFolder("second.sock")}`, "--lock-timeout", "1s"],
      });

    it("does not share its socket", async () => {
      await DriverProcess.start(inFolder());
      const refused = await runScript(PROGRAM, ["serve", "--db", DATABASE], { cwd: inFolder() });
      assert.equal(refused.exitCode, 1);
      assert.match(refused.stderr, /^error: Cannot listen on \S+a\.db\.sock: another process does\. .+\n$/m);
    });

    it("is named by it in a warning, and both keep rows, commit numbers, request ids and leases right", async () => {
      const first = await DriverProcess.start(inFolder());
      const second = await startSecond();
      const warning = await second.logged("the database is also open in");
      assert.equal(warning.level, "warn");
      assert.match(String(warning.msg), new RegExp(`a driver \\(pid ${first.program.child.pid}, listening on unix:`));

      await second.execute("CREATE TABLE t (x)");
      const drivers = [first, second];
      const commits = await Promise.all(
        drivers.map(async (driver) => {
          const numbers: bigint[] = [];
          for (let i = 0; i < 60; i++) numbers.push((await driver.execute("INSERT INTO t VALUES (?)", i)).commitSeq);
          return numbers;
        }),
      );
      for (const numbers of commits) {
        assert.deepEqual(
          numbers,
          [...numbers].sort((a, b) => Number(a - b)),
        );
      }
      assert.equal(new Set(commits.flat()).size, 120, "two commits have the same number");

      const answers = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
          drivers[i % 2]?.client.execute({ sql: "INSERT INTO t VALUES ('once')", requestId: `${i >> 2}` }),
        ),
      );
      for (const [i, answer] of answers.entries()) assert.deepEqual(answer, answers[i & ~3]);
      await failsWith("REQUEST_ID_REUSED", second.client.execute({ sql: "DELETE FROM t", requestId: "0" }));
      for (const driver of drivers) assert.deepEqual(await driver.values("SELECT count(*) FROM t"), [130n]);

      const { transactionId } = await first.client.beginTransaction({});
      await first.client.execute({ sql: "DELETE FROM t", transactionId });
      await failsWith("DATABASE_BUSY", second.execute("INSERT INTO t VALUES (1)"));
      assert.deepEqual(await second.values("SELECT count(*) FROM t"), [130n]);
      await first.client.commitTransaction({ transactionId });
      await second.execute("INSERT INTO t VALUES (1)");
      assert.deepEqual(await first.values("SELECT count(*) FROM t"), [1n]);

      // The first one knows of no other; when it is gone, the second one is named.
      const { exitCode, stderr } = await first.stop();
      assert.equal(exitCode, 0);
      assert.doesNotMatch(stderr, /also open/);
      const refused = await runConfigCli(["schema", "--db", second.databasePath]);
      assert.equal(refused.exitCode, 4);
      assert.match(refused.stderr, new RegExp(`open in a driver \\(pid ${second.program.child.pid}, `));
      assert.deepEqual(await second.values("SELECT count(*) FROM t"), [1n]);
    });

    it("that connects at the same moment heals an interrupted migration once", async () => {
      beside(inFolder(DATABASE), (connection) => {
        connection.exec(BUILT_IN_SCHEMA);
        connection.exec("INSERT INTO projects (id, root_path) VALUES ('p', '/p')");
        connection.exec("INSERT INTO files (id, project_id, path) VALUES (7, 'p', '/p/a.py')");
        connection.exec("ALTER TABLE files RENAME TO temp_files");
      });
      const drivers = await Promise.all([DriverProcess.start(inFolder()), startSecond()]);
      for (const driver of drivers) {
        assert.deepEqual(await driver.values("SELECT id FROM files"), [7n]);
        assert.deepEqual((await driver.client.getDriverInfo({})).unresolvedTables, []);
      }
      const logs = await Promise.all(drivers.map(async (driver) => (await driver.stop()).stderr));
      const count = (pattern: RegExp) => logs.filter((log) => pattern.test(log)).length;
      assert.equal(count(/\[recovery\] files is missing and temp_files exists/), 1);
      assert.equal(count(/also open in/), 1);
    });
  });

  describe("that cannot start", () => {
    async function refusal(...args: string[]): Promise<{ exitCode: number | null; stderr: string }> {
      const { exitCode, stdout, stderr } = await runScript(PROGRAM, ["serve", ...args], { cwd: inFolder() });
      assert.equal(stdout, "");
      return { exitCode, stderr };
    }

    const SENTENCES: Record<string, { prepare: (path: string) => void; says: RegExp }> = {
      "a directory": {
        prepare: (path) => mkdirSync(path),
        says: /^error: The database \S+a\.db cannot be opened: .+ Name a file .+\n$/,
      },
      "no database": {
        prepare: (path) => writeFileSync(path, "no database at all, but a text that is long enough".repeat(100)),
        says: /^error: The database \S+a\.db cannot be opened: file is not a database\. .+\n$/,
      },
      "a file that may not be read": {
        prepare: (path) => {
          writeFileSync(path, "");
          chmodSync(path, 0);
        },
        says: /^error: The database \S+a\.db cannot be opened: .+\n$/,
      },
    };
    for (const [what, { prepare, says }] of Object.entries(SENTENCES)) {
      it(`says so in one sentence and ends with 1: the database is ${what}`, async function () {
        // Nothing is forbidden to root.
        if (what.includes("may not") && process.getuid?.() === 0) this.skip();
        prepare(inFolder(DATABASE));
        const { exitCode, stderr } = await refusal("--db", DATABASE);
        assert.match(stderr, says);
        assert.equal(exitCode, 1);
      });
    }

    const OBSTACLES: Record<string, { obstacle: string; args?: readonly string[]; says: RegExp }> = {
      "a file stands where the folder of the database should be": {
        obstacle: "file",
        args: ["--db", "file/a.db"],
        says: /^error: The folder \S+file cannot be made: .+\. Name a folder .+\n$/,
      },
      "its note of who has the database open cannot be written": {
        obstacle: `${DATABASE}.lock.json/`,
        says: /^error: The file \S+\.lock\.json, which .+ cannot be written: .+\. Check .+\n$/,
      },
      "a file stands where the folder of its socket should be": {
        obstacle: "file",
        args: ["--listen", "unix:file/a.sock"],
        says: /^error: Cannot listen on file\/a\.sock: ENOTDIR\b.+\. Name .+\n$/,
      },
      "one of its sockets has no folder": {
        obstacle: "file",
        args: ["--listen", "unix:b.sock", "--listen", "unix:none/a.sock"],
        says: /^error: Cannot listen on unix:none\/a\.sock: listen \w+: [^\]]+\. Name .+\n$/,
      },
      "the socket of its metrics has no folder": {
        obstacle: "file",
        args: ["--metrics-listen", "unix:none/m.sock"],
        says: /^error: Cannot serve metrics on unix:\S+: .+\. Name .+\n$/,
      },
    };
    for (const [what, { obstacle, args = [], says }] of Object.entries(OBSTACLES)) {
      it(`says so in one sentence, ends with 1 and leaves no process, socket or note: ${what}`, async () => {
        if (obstacle.endsWith("/")) mkdirSync(inFolder(obstacle));
        else writeFileSync(inFolder(obstacle), "");
        const { exitCode, stderr } = await refusal("--db", DATABASE, ...args);
        assert.match(stderr, says);
        assert.equal(exitCode, 1);
        assert.deepEqual(workerPids(inFolder(DATABASE)), []);
        const made = new Set(readdirSync(inFolder()));
        for (const expected of [obstacle.replace("/", ""), DATABASE, `${DATABASE}.lock`]) made.delete(expected);
        assert.deepEqual([...made], []);
      });
    }

    it("says so in one sentence and ends with 1: the folder of the database is one that no program can make", async function () {
      if (!existsSync("/proc/self")) this.skip();
      const { exitCode, stderr } = await refusal("--db", "/proc/self/none/a.db");
      assert.match(stderr, /^error: The folder \/proc\/self\/none cannot be made: ENOENT\b.+\. Name a folder .+\n$/);
      assert.equal(exitCode, 1);
    });

    it("says so in one sentence and ends with 1: the port is in use, or can be reached from outside", async () => {
      const server = createServer();
      await new Promise<void>((resolve) => {
        server.listen(0, "127.0.0.1", resolve);
      });
      const address = server.address();
      assert.ok(typeof address === "object" && address !== null);
      const used = await refusal("--db", DATABASE, "--listen", `127.0.0.1:${address.port}`);
      server.close();
      assert.match(used.stderr, /^error: Cannot listen on 127\.0\.0\.1:\d+: another process does\. .+\n$/);
      assert.equal(used.exitCode, 1);
      assert.ok(!existsSync(inFolder(`${DATABASE}-wal`)), "the database was not closed");

      for (const more of [[], ["--insecure-no-auth"]]) {
        const open = await refusal("--db", "other.db", "--listen", "0.0.0.0:0", ...more);
        assert.match(open.stderr, /^error: The driver will not serve 0\.0\.0\.0:0\b.+\n$/);
        assert.equal(open.exitCode, 1);
      }
      assert.ok(!existsSync(inFolder("other.db")), "it made a database that it does not serve");
    });

    for (const args of [
      ["--listen", "nonsense"],
      ["--listen", "127.0.0.1"],
      ["--bogus"],
      ["--readers", "none"],
      ["more"],
    ]) {
      it(`ends with 2 for wrong usage: serve ${args.join(" ")}`, async () => {
        const { exitCode, stderr } = await refusal(...args);
        assert.match(stderr, /^error: /m);
        assert.equal(exitCode, 2);
      });
    }
  });
});
