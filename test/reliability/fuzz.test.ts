import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { Client, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { DriverProcess, killDrivers } from "../driver/driver-process.js";
import { until } from "../support/processes.js";
import { Random } from "../support/random.js";
import { useTempFolder } from "../support/temp-folder.js";
import { amount, report, SEED } from "./experiment.js";
import { inMiB, usageOf } from "./process-usage.js";
import { MessageFuzzer, type Words } from "./random-message.js";

const REQUESTS = amount(600, 100_000);
const IN_FLIGHT = 64;
/** A call may wait for a transaction whose client has forgotten it, and for a statement without an end. */
const CALL_TIMEOUT_MS = 20_000;
/** What a reader of a stream takes before it leaves. */
const MESSAGES_TAKEN = 3;
/** What V8 keeps of what it once needed. */
const MEMORY_TOLERANCE_BYTES = 150 * 2 ** 20;

/** No mistake of a client is answered with one of these. */
const FORBIDDEN: ReadonlySet<status> = new Set([status.INTERNAL, status.UNKNOWN, status.DATA_LOSS]);

/** Leases are short: one that a client forgets would hold up every write. */
const ARGS = ["--transaction-ttl", "20ms", "--transaction-ttl-max", "50ms", "--statement-timeout", "200ms"];

const SQL = [
  "SELECT 1",
  "SELECT * FROM t",
  "SELECT count(*) FROM files, files, files",
  "INSERT INTO t (id, v) VALUES (?, ?)",
  "INSERT OR ROLLBACK INTO t (id) VALUES (1)",
  "UPDATE t SET v = :v",
  "DELETE FROM t WHERE id = ?1",
  "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, v UNIQUE, p REFERENCES u DEFERRABLE INITIALLY DEFERRED)",
  "CREATE TABLE IF NOT EXISTS u (id INTEGER PRIMARY KEY)",
  "INSERT INTO t (p) VALUES (404)",
  "DROP TABLE t",
  "ALTER TABLE files RENAME TO temp_files",
  "ALTER TABLE temp_files RENAME TO files",
  "CREATE TRIGGER g BEFORE INSERT ON t BEGIN SELECT RAISE(ROLLBACK, 'no'); END",
  "DROP TRIGGER g",
  "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n",
  "PRAGMA journal_mode = DELETE",
  "ATTACH ':memory:' AS m",
  "SELECT zeroblob(1000000)",
  "SELECT json('{'), abs(-9223372036854775808)",
  "SELECT 'a' MATCH 'b'",
  "SELECT",
];
const TABLES = ["t", "u", "files", "classes", "temp_files", "sqlite_schema", "driver_state", "T", '"'];
const COLUMNS = ["id", "v", "p", "path", "rowid", "id", "v"];
const OTHERS = ["", " ", "0", "t", "id", "a.py", "../a.py", "\0", "🙂", "TEXT", "NOCASE", "id > 1", "a OR", "SELECT 1"];

function wordsFor(project: string): Words {
  return {
    "": OTHERS,
    sql: SQL,
    schema_sql: [...SQL, "CREATE TABLE w (x); CREATE INDEX i ON w (x)"],
    table: TABLES,
    referenced_table: TABLES,
    column: COLUMNS,
    columns: COLUMNS,
    set: COLUMNS,
    primary_key: COLUMNS,
    transaction_id: ["", "", "", "", "", "t1"],
    request_id: ["", "", "", "r1", "r2", "r3", "r4"],
    project_id: ["p", "p", "p", "nobody"],
    id: ["p", "q"],
    root_path: [project, "relative", `${project}/a.py`],
    file_path: ["a.py", "b.py", "../a.py", `${project}/a.py`],
    query: ["A", "f", "nothing", '"', "a*"],
  };
}

describe("random requests to every method", function () {
  this.timeout(7_200_000);
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  it(`get a status, and leave the driver as it was: ${REQUESTS} (seed ${SEED})`, async () => {
    mkdirSync(inFolder("source"));
    writeFileSync(inFolder("source", "a.py"), "class A:\n    def f(self): return 1\n");
    const driver = await DriverProcess.start(inFolder(), { args: ARGS });
    await driver.register(inFolder("source"));
    for (const sql of SQL.filter((it) => it.startsWith("CREATE TABLE"))) await driver.execute(sql);
    const random = new Random(SEED);
    const fuzzer = new MessageFuzzer(random, wordsFor(inFolder("source")));
    const answers = new Map<string, number>();
    const findings: string[] = [];
    let sent = 0;

    const sendSome = async (count: number): Promise<void> => {
      const client = new Client(driver.address, credentials.createInsecure());
      const end = sent + count;
      const sendOneAfterAnother = async (): Promise<void> => {
        while (sent < end) {
          const number = ++sent;
          const method = random.pick(DriverService.methods);
          const { form, bytes } = fuzzer.bytes(method.input);
          const error = await call(client, method, bytes);
          const code = status[error?.code ?? status.OK] ?? "?";
          answers.set(code, (answers.get(code) ?? 0) + 1);
          if (error !== null && isForbidden(error)) {
            findings.push(`${number}: ${method.name} (${form}) ${bytes.toString("base64")}: ${code} ${error.details}`);
          }
        }
      };
      await Promise.all(Array.from({ length: IN_FLIGHT }, sendOneAfterAnother));
      client.close();
    };

    // What the first requests need stays: worker processes, caches, compiled code.
    const { descriptors } = usageOf(driver);
    await sendSome(Math.round(REQUESTS / 10));
    const before = usageOf(driver);
    await sendSome(REQUESTS - sent);
    await until("its descriptors are as they were", () => usageOf(driver).descriptors <= descriptors, 60_000);
    const after = usageOf(driver);

    assert.deepEqual(findings.slice(0, 20), [], `${findings.length} of ${REQUESTS}`);
    assert.ok(after.memoryBytes <= before.memoryBytes + MEMORY_TOLERANCE_BYTES, `${inMiB(after.memoryBytes)}`);
    // It is the same process, and it works.
    assert.equal(driver.program.child.exitCode, null);
    await driver.client.recover({});
    await driver.execute("CREATE TABLE afterwards (x)");
    await driver.execute("INSERT INTO afterwards VALUES (1)");
    assert.deepEqual(await driver.values("PRAGMA integrity_check"), ["ok"]);
    assert.equal((await driver.stop()).exitCode, 0);
    report(`${sent} requests: ${[...answers].map(([code, count]) => `${code} ${count}`).join(", ")}`);
    report(
      `descriptors ${descriptors} before, ${after.descriptors} after; ` +
        `memory ${inMiB(before.memoryBytes)} before, ${inMiB(after.memoryBytes)} after`,
    );
  });
});

type Method = (typeof DriverService.methods)[number];

/** Resolves with the error, or null when the call succeeded or was left by its reader. */
function call(client: Client, method: Method, bytes: Buffer): Promise<ServiceError | null> {
  const path = `/${method.parent.typeName}/${method.name}`;
  const same = (value: Buffer): Buffer => value;
  const options = { deadline: Date.now() + CALL_TIMEOUT_MS };
  return new Promise((resolve) => {
    if (method.methodKind === "unary") {
      client.makeUnaryRequest(path, same, same, bytes, options, (error) => resolve(error));
      return;
    }
    const stream = client.makeServerStreamRequest(path, same, same, bytes, options);
    let taken = 0;
    stream.on("data", () => {
      if (++taken < MESSAGES_TAKEN) return;
      resolve(null);
      stream.cancel();
    });
    stream.on("end", () => resolve(null));
    stream.on("error", resolve);
  });
}

/** What no request may be answered with, or what was not answered by the driver. */
function isForbidden(error: ServiceError): boolean {
  return FORBIDDEN.has(error.code) || (error.code !== status.CANCELLED && !isOfDriver(error));
}

/** Sent by the driver, or by grpc-js for what never reaches it. */
function isOfDriver({ metadata, code }: ServiceError): boolean {
  return parseStatusDetails(metadata) !== undefined || code === status.DEADLINE_EXCEEDED;
}
