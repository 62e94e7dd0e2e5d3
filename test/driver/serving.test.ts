import assert from "node:assert/strict";
import { once } from "node:events";
import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
} from "../../gen/grpc/health/v1/health_pb.js";
import { createClient } from "../../src/client/client.js";
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

  it("shares a database with a second driver, but not its socket", async () => {
    const first = await DriverProcess.start(inFolder());
    const refused = await runScript(PROGRAM, ["serve", "--db", DATABASE], { cwd: inFolder() });
    assert.equal(refused.exitCode, 1);
    assert.match(refused.stderr, /^error: Cannot listen on \S+a\.db\.sock: another process does\. .+\n$/);

    const second = await DriverProcess.start(inFolder(), { args: ["--listen", `unix:${inFolder("second.sock")}`] });
    await second.execute("CREATE TABLE t (x)");
    const writes = [first, second].flatMap((driver) =>
      Array.from({ length: 50 }, (_, i) => driver.execute("INSERT INTO t VALUES (?)", i)),
    );
    await Promise.all(writes);
    for (const driver of [first, second]) assert.deepEqual(await driver.values("SELECT count(*) FROM t"), [100n]);
    assert.equal((await first.stop()).exitCode, 0);
    assert.deepEqual(await second.values("SELECT count(*) FROM t"), [100n]);
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
