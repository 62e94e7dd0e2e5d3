import assert from "node:assert/strict";
import { type DescMessage, fromBinary, type MessageInitShape, type MessageShape } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { fromCallError } from "../../src/client/call-error.js";
import type { UnaryMethodName } from "../../src/engine/call.js";
import { DriverError } from "../../src/errors.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { encode, query, raw, unary } from "../rpc/support.js";
import { ENDLESS } from "../support/engine.js";
import { until, untilNoWorkers } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";
import { failsWith } from "./failure.js";

const SLOW = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000000) SELECT max(i) FROM n";

/** Takes the error of a call that must fail with UNAVAILABLE `DRAINING` and say when to come back. */
async function isDraining(call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error) => {
    assert.ok(error instanceof DriverError);
    assert.equal(error.reason, "DRAINING", error.message);
    assert.ok((error.retryAfterMs ?? 0) > 0, "it has no RetryInfo");
    return true;
  });
}

type Requests = (typeof DriverService)["method"];

/** A client that repeats nothing: it shows what the driver answers. */
class PlainClient {
  readonly #address: string;
  readonly #client: Client;

  constructor(address: string) {
    this.#address = address;
    this.#client = new Client(address, credentials.createInsecure());
  }

  async call<Name extends UnaryMethodName>(
    name: Name,
    request: MessageInitShape<Requests[Name]["input"]>,
  ): Promise<MessageShape<Requests[Name]["output"]>> {
    const { input, output }: { input: DescMessage; output: DescMessage } = DriverService.method[name];
    const bytes = encode(input, request as MessageInitShape<DescMessage>);
    // Much longer than anything here takes: a call that hangs fails.
    const options = { deadline: Date.now() + 45_000 };
    try {
      return fromBinary(output, await unary(this.#client, raw(name), bytes, undefined, options)) as MessageShape<
        Requests[Name]["output"]
      >;
    } catch (error) {
      throw fromCallError(error, this.#address);
    }
  }

  execute(sql: string) {
    return this.call("execute", { sql });
  }

  async query(sql: string): Promise<void> {
    try {
      for await (const _ of query(this.#client, encode(DriverService.method.query.input, { sql })));
    } catch (error) {
      throw fromCallError(error, this.#address);
    }
  }

  close(): void {
    this.#client.close();
  }
}

describe("a driver after SIGTERM", () => {
  const inFolder = useTempFolder();
  let clients: PlainClient[] = [];
  afterEach(async () => {
    for (const client of clients) client.close();
    clients = [];
    await killDrivers();
  });

  function connect({ address }: DriverProcess): PlainClient {
    const client = new PlainClient(address);
    clients.push(client);
    return client;
  }

  async function start(...args: string[]): Promise<{ driver: DriverProcess; client: PlainClient }> {
    const driver = await DriverProcess.start(inFolder(), { args });
    const client = connect(driver);
    await client.execute("CREATE TABLE t (x)");
    return { driver, client };
  }

  /** Sends SIGTERM and resolves when the driver drains. */
  async function terminate(driver: DriverProcess): Promise<void> {
    driver.program.child.kill("SIGTERM");
    await driver.logged("health: shutting down");
  }

  async function assertEnded({ program }: DriverProcess): Promise<void> {
    const { exitCode, stderr } = await program.ended;
    assert.equal(exitCode, 0, stderr);
    assert.doesNotMatch(stderr, /"level":"(error|fatal)"|unhandled/i);
  }

  it("answers new calls DRAINING, on old connections and new ones, and finishes those that run", async () => {
    const { driver, client } = await start();
    const running = [client.execute(SLOW), client.execute(`INSERT INTO t ${SLOW}`)];
    // Answered after both were taken: all go over the same connection, in this order.
    await client.call("getDriverInfo", {});
    await terminate(driver);
    await isDraining(client.execute("SELECT 1"));
    await isDraining(client.execute("INSERT INTO t VALUES (1)"));
    await isDraining(client.call("beginTransaction", {}));
    await isDraining(client.query("SELECT 1"));
    await isDraining(connect(driver).execute("SELECT 1"));
    await Promise.all(running);
    await assertEnded(driver);
  });

  it("says in its trailers when to come back: RetryInfo, and the pushback of retry policies", async () => {
    const { driver, client } = await start("--drain-timeout", "10m");
    const running = assert.rejects(client.execute(ENDLESS));
    await client.call("getDriverInfo", {});
    await terminate(driver);
    const plain = new Client(driver.address, credentials.createInsecure());
    const { input } = DriverService.method.execute;
    const refused = await unary(plain, raw("execute"), encode(input, { sql: "SELECT 1" })).then(
      () => assert.fail("it was answered"),
      (error: ServiceError) => error,
    );
    plain.close();
    assert.equal(refused.code, status.UNAVAILABLE);
    const [bytes] = refused.metadata.get("grpc-status-details-bin");
    assert.ok(Buffer.isBuffer(bytes));
    const { code, details } = fromBinary(StatusSchema, bytes);
    assert.equal(code, status.UNAVAILABLE);
    const retry = details.map((detail) => anyUnpack(detail, RetryInfoSchema)).find((found) => found !== undefined);
    assert.ok(retry?.retryDelay !== undefined && durationMs(retry.retryDelay) > 0, "it has no RetryInfo");
    assert.deepEqual(refused.metadata.get("grpc-retry-pushback-ms"), [String(durationMs(retry.retryDelay))]);
    await driver.kill();
    await running;
  });

  for (const second of ["SIGTERM", "SIGINT"] as const) {
    it(`ends at once at a second signal, ${second}, whatever runs, and what was acknowledged is there`, async () => {
      const { driver, client } = await start("--drain-timeout", "10m");
      await client.execute("INSERT INTO t VALUES (1)");
      const running = assert.rejects(client.execute(ENDLESS));
      await client.call("getDriverInfo", {});
      await terminate(driver);
      driver.program.child.kill(second);
      assert.equal((await driver.program.ended).exitCode, 130);
      await running;
      await untilNoWorkers(driver.databasePath);
      const next = await DriverProcess.start(inFolder());
      assert.deepEqual(await next.values("SELECT x FROM t"), [1n]);
    });
  }

  it("answers DRAINING at once what waits for a transaction, and rolls that back", async () => {
    const { driver, client } = await start("--drain-timeout", "1m");
    const { transactionId } = await client.call("beginTransaction", {});
    await client.call("execute", { sql: "INSERT INTO t VALUES ('rolled back')", transactionId });
    const waiting = [client.execute("INSERT INTO t VALUES (1)"), client.call("beginTransaction", {})].map(isDraining);
    await client.call("getDriverInfo", {});
    driver.program.child.kill("SIGTERM");
    await Promise.all(waiting);
    await assertEnded(driver);
    const connection = openConnection(driver.databasePath, { role: "reader" });
    assert.equal(connection.prepare("SELECT count(*) FROM t").pluck().get(), 0);
    connection.close();
  });

  it("answers DRAINING soon what waits for the lock of another process", async () => {
    const { driver, client } = await start("--drain-timeout", "1m");
    const other = openConnection(driver.databasePath, { role: "migration" });
    other.exec("BEGIN IMMEDIATE");
    const waiting = isDraining(client.execute("INSERT INTO t VALUES (1)"));
    await driver.logged("another process has locked the database");
    driver.program.child.kill("SIGTERM");
    await waiting;
    other.close();
    await assertEnded(driver);
  });

  it("gives up what still runs when the time is up, and says of each whether it may have happened", async () => {
    const { driver, client } = await start("--drain-timeout", "300ms");
    const read = isDraining(client.execute(ENDLESS));
    const write = failsWith("COMMIT_OUTCOME_UNKNOWN", client.execute(`INSERT INTO t ${ENDLESS}`));
    const stream = isDraining(client.query(`SELECT 1 UNION ALL SELECT (${ENDLESS})`));
    await client.call("getDriverInfo", {});
    await terminate(driver);
    await Promise.all([read, write, stream]);
    await assertEnded(driver);
  });

  it("ends every call of clients that go on calling as DRAINING or as unreachable, none as a defect", async () => {
    const { driver, client } = await start();
    const reasons = new Map<string, number>();
    const goesOn = async (caller: PlainClient, i: number): Promise<boolean> => {
      try {
        await caller.execute(i % 2 === 0 ? "SELECT 1" : "INSERT INTO t VALUES (1)");
        return true;
      } catch (error) {
        assert.ok(error instanceof DriverError);
        reasons.set(error.reason, (reasons.get(error.reason) ?? 0) + 1);
        return error.reason === "DRAINING";
      }
    };
    let calls = 0;
    const onOneConnection = Array.from({ length: 16 }, async (_, i) => {
      while (await goesOn(client, i)) calls++;
    });
    const onNewConnections = Array.from({ length: 4 }, async (_, i) => {
      while (await goesOn(connect(driver), i));
    });
    await until("calls go on", () => calls > 100);
    driver.program.child.kill("SIGTERM");
    await Promise.all([...onOneConnection, ...onNewConnections]);
    await assertEnded(driver);
    const { DRAINING = 0, ...others } = Object.fromEntries(reasons);
    assert.ok(DRAINING > 0, "no call was answered DRAINING");
    assert.deepEqual(Object.keys(others), ["DRIVER_UNREACHABLE"]);
  });
});
