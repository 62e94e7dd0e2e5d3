import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect as connectHttp2, type IncomingHttpHeaders } from "node:http2";
import { connect as connectSocket, type Socket } from "node:net";
import { create, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, credentials, type ServiceError, status } from "@grpc/grpc-js";
import { QueryRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { createClient } from "../../src/client/client.js";
import { DriverProcess, killDrivers } from "../driver/driver-process.js";
import { failsWith } from "../driver/failure.js";
import { ENDLESS } from "../support/engine.js";
import { until, workerPids } from "../support/processes.js";
import { Random } from "../support/random.js";
import { useTempFolder } from "../support/temp-folder.js";
import { amount, pause, report, SEED } from "./experiment.js";
import { inMiB, type Usage, usageOf } from "./process-usage.js";

const STREAMS = amount(200, 10_000);
const CONNECTIONS = 20;
/** `--max-query-streams`: so many run at once, and as many wait. */
const QUERIES_THAT_WAIT = 8;
const HALF_OPEN = amount(60, 1_000);
const ENDLESS_STATEMENTS = amount(2, 40);
const CRASHES = amount(3, 60);
/** What V8 keeps of what it once needed. */
const MEMORY_TOLERANCE_BYTES = 200 * 2 ** 20;

const QUERY_PATH = "/code_analysis.driver.v1.DriverService/Query";
const WATCH_PATH = "/grpc.health.v1.Health/Watch";
/** https://www.rfc-editor.org/rfc/rfc9113#name-http-2-connection-preface */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const EMPTY_SETTINGS = Buffer.of(0, 0, 0, 4, 0, 0, 0, 0, 0);
/** A HEADERS frame that promises 1,000 bytes and has three. */
const TORN_HEADERS = Buffer.of(0, 3, 232, 1, 4, 0, 0, 0, 1, 0x82, 0x86, 0x84);

describe("a driver under abuse", function () {
  this.timeout(600_000);
  const inFolder = useTempFolder();
  let driver: DriverProcess;
  let before: Usage;

  async function start(...args: string[]): Promise<void> {
    driver = await DriverProcess.start(inFolder(), { args: ["--log-level", "error", ...args] });
    await driver.execute("CREATE TABLE t (x)");
    await driver.execute(
      "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO t SELECT hex(randomblob(50)) FROM n",
    );
    await driver.values("SELECT 1");
    before = usageOf(driver);
  }
  afterEach(killDrivers);

  /** It is the same process, it works, and it holds what it held before. */
  async function assertUnharmed(what: string): Promise<void> {
    await until("its descriptors are as they were", () => usageOf(driver).descriptors <= before.descriptors, 120_000);
    await driver.execute("INSERT INTO t VALUES ('afterwards')");
    assert.deepEqual(await driver.values("SELECT x FROM t WHERE x = 'afterwards'"), ["afterwards"]);
    const after = usageOf(driver);
    assert.ok(after.memoryBytes <= before.memoryBytes + MEMORY_TOLERANCE_BYTES, inMiB(after.memoryBytes));
    assert.equal((await driver.stop()).exitCode, 0);
    report(
      `${what}; descriptors ${before.descriptors} before, ${after.descriptors} after; ` +
        `memory ${inMiB(before.memoryBytes)} before, ${inMiB(after.memoryBytes)} after`,
    );
  }

  it(`answers others while ${STREAMS} streams are open, and has forgotten them afterwards`, async () => {
    await start();
    const clients = Array.from(
      { length: CONNECTIONS },
      () => new Client(driver.address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 }),
    );
    const codes = new Map<string, number>();
    const query = Buffer.from(toBinary(QueryRequestSchema, create(QueryRequestSchema, { sql: "SELECT x FROM t" })));
    const streams = Array.from({ length: STREAMS }, (_, index) => {
      const client = clients[index % CONNECTIONS];
      assert.ok(client !== undefined);
      // Half of them watch the health, which every one may for ever; the others query, which only a few may at once.
      const stream =
        index % 2 === 0 ? openStream(client, WATCH_PATH, Buffer.alloc(0)) : openStream(client, QUERY_PATH, query);
      stream.on("error", ({ code }: ServiceError) => {
        const name = status[code] ?? "?";
        codes.set(name, (codes.get(name) ?? 0) + 1);
      });
      return stream;
    });
    let answered = 0;
    for (const stream of streams) {
      stream.once("data", () => {
        answered++;
        stream.pause();
      });
    }
    await until(
      "each has an answer or waits",
      () => answered + (codes.get("UNAVAILABLE") ?? 0) >= STREAMS - QUERIES_THAT_WAIT,
      300_000,
    );
    const read = await driver.values("SELECT count(*) FROM t");
    assert.deepEqual(read, [20_000n]);
    await driver.execute("INSERT INTO t VALUES ('meanwhile')");
    const during = usageOf(driver);
    for (const stream of streams) stream.cancel();
    for (const client of clients) client.close();
    const refused = codes.get("UNAVAILABLE") ?? 0;
    assert.deepEqual(
      [...codes.keys()].filter((code) => code !== "UNAVAILABLE" && code !== "CANCELLED"),
      [],
    );
    await assertUnharmed(
      `${STREAMS} streams: ${answered} answered, ${refused} OVERLOADED, ${inMiB(during.memoryBytes)} meanwhile`,
    );
  });

  it("ends streams that nobody reads, and cuts the WAL although they were open", async () => {
    await start("--snapshot-max-age", "1s", "--wal-truncate-bytes", "1MiB");
    const client = createClient({ address: driver.address });
    const slow = Array.from({ length: 8 }, async () => {
      let rows = 0;
      for await (const message of client.query({ sql: "SELECT a.x FROM t AS a, t AS b" })) {
        if (rows === 0) await pause(3_000); // Its reader does something else.
        rows += message.rows.length;
      }
    });
    const outcomes = slow.map((it) => failsWith("SNAPSHOT_EXPIRED", it));
    for (let i = 0; i < 20; i++) await driver.execute("INSERT INTO t SELECT x FROM t LIMIT 1000");
    await Promise.all(outcomes);
    assert.deepEqual(await driver.values("SELECT count(*) FROM t"), [40_000n]);
    client.close();
    await assertUnharmed("8 streams without a reader: SNAPSHOT_EXPIRED each");
  });

  it(`serves beside ${HALF_OPEN} connections that are half open or speak nonsense (seed ${SEED})`, async () => {
    await start("--listen", "127.0.0.1:0", "--listen", `unix:${inFolder("b.sock")}`, "--insecure-no-auth");
    const random = new Random(SEED);
    const [, tcpPort = ""] =
      /^listening 127\.0\.0\.1:(\d+)$/m.exec((await driver.program.waitFor("stdout", /^listening 127.*$/m))[0]) ?? [];
    await driver.program.waitFor("stdout", /^listening unix.*b\.sock$/m);
    const openings = [
      Buffer.alloc(0),
      PREFACE.subarray(0, 7),
      PREFACE,
      Buffer.concat([PREFACE, EMPTY_SETTINGS]),
      Buffer.concat([PREFACE, EMPTY_SETTINGS, TORN_HEADERS]),
      Buffer.from("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
    ];
    const sockets: Socket[] = [];
    for (let i = 0; i < HALF_OPEN; i++) {
      const socket = i % 2 === 0 ? connectSocket(Number(tcpPort), "127.0.0.1") : connectSocket(inFolder("b.sock"));
      socket.on("error", () => undefined); // The driver may hang up.
      // After such a connection Node.js keeps the descriptor until the next keepalive: too long for the short form.
      const noise = Buffer.from(Array.from({ length: random.below(500) }, () => random.below(256)));
      socket.write(
        random.chance(amount(1, 0.7)) ? random.pick(openings) : Buffer.concat([PREFACE, EMPTY_SETTINGS, noise]),
      );
      sockets.push(socket);
    }
    for (let i = 0; i < 20; i++) assert.deepEqual(await driver.values("SELECT 1"), [1n]);
    const during = usageOf(driver);
    for (const socket of sockets) socket.destroy();
    await assertUnharmed(`${HALF_OPEN} connections, ${during.descriptors} descriptors meanwhile`);
  });

  it("refuses what is too large, and a message that promises more than it may have", async () => {
    await start("--max-request-bytes", "1MiB", "--listen", "127.0.0.1:0", "--insecure-no-auth");
    const client = createClient({ address: driver.address });
    for (let i = 0; i < 20; i++) {
      await failsWith("LIMIT_EXCEEDED", client.execute({ sql: `SELECT '${"x".repeat(2 ** 20)}'` }));
    }
    client.close();
    const session = connectHttp2(`http://${driver.address}`);
    session.on("error", () => undefined);
    const headers = { ":method": "POST", ":path": QUERY_PATH, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request(headers);
    stream.on("error", () => undefined);
    stream.write(Buffer.of(0, 0xff, 0xff, 0xff, 0xff, 1, 2, 3));
    const [answer] = (await once(stream, "response")) as [IncomingHttpHeaders];
    assert.equal(Number(answer["grpc-status"]), status.RESOURCE_EXHAUSTED);
    // More headers than HTTP/2 takes by default: the stream or the connection is refused, and nobody else notices.
    const large = session.request({ ...headers, "x-large": "x".repeat(1_000_000) });
    large.on("error", () => undefined);
    large.end();
    await new Promise((resolve) => large.once("close", resolve));
    session.destroy();
    await assertUnharmed("20 requests of 1 MiB, a message of 4 GiB, headers of 1 MB");
  });

  it(`stops ${ENDLESS_STATEMENTS} endless statements, each as a read and as a write, while others are answered`, async () => {
    await start();
    let latestMs = 0;
    let others = 0;
    for (let i = 0; i < ENDLESS_STATEMENTS; i++) {
      const startMs = performance.now();
      const timeoutMs = 300;
      const isWrite = i % 2 === 0;
      const sql = isWrite ? `INSERT INTO t ${ENDLESS}` : ENDLESS;
      // Which reader runs it is not known.
      const pids = workerPids(driver.databasePath, isWrite ? "writer" : "reader");
      const endless = failsWith("DEADLINE_EXCEEDED", driver.client.execute({ sql }, { timeoutMs }));
      const calls = Array.from({ length: 10 }, (_, call) =>
        call % 2 === 0 ? driver.values("SELECT 1") : driver.execute("INSERT INTO t VALUES ('beside')"),
      );
      await endless;
      await until("its process was ended", () => {
        const now = workerPids(driver.databasePath);
        return pids.some((pid) => !now.includes(pid));
      });
      latestMs = Math.max(latestMs, performance.now() - startMs - timeoutMs);
      await Promise.all(calls);
      others += calls.length;
    }
    assert.deepEqual(await driver.values("SELECT count(*) FROM t WHERE x = 'beside'"), [BigInt(others / 2)]);
    await assertUnharmed(
      `${ENDLESS_STATEMENTS} endless statements stopped at most ${Math.round(latestMs)} ms late, ${others} other calls answered`,
    );
  });

  it(`loses one file to each of ${CRASHES} crashes of a parser, and indexes all in the end (seed ${SEED})`, async () => {
    await start();
    const random = new Random(SEED);
    const files = Array.from({ length: 40 }, (_, index) => `file${index}.py`);
    for (const [index, file] of files.entries()) {
      writeFileSync(
        inFolder(file),
        Array.from({ length: 400 }, (_, line) => `def f${index}_${line}(a): return a\n`).join(""),
      );
    }
    await driver.register(inFolder());
    let crashes = 0;
    const answered = Array.from({ length: 8 }, () => 0);
    let isOver = false;
    const failures: Promise<unknown>[] = [];
    const indexed = answered.map(async (_, client) => {
      for (let at = client; !isOver; at += answered.length) {
        await driver
          .indexFile(files[at % files.length] ?? "", true)
          .catch((error: unknown) => failures.push(failsWith("FILE_NOT_INDEXABLE", Promise.reject(error))));
        answered[client] = (answered[client] ?? 0) + 1;
      }
    });
    while (crashes < CRASHES) {
      const before = [...answered];
      // A file that sees a parser die three times before it is worked on is given up, and that is not what this is about: here
      // each call in flight sees one.
      await until("every client has an answer", () => answered.every((count, client) => count > (before[client] ?? 0)));
      await pause(random.next() * 100);
      const [pid] = workerPids(driver.databasePath, "parser");
      if (pid === undefined) continue;
      process.kill(pid, "SIGSEGV");
      crashes++;
      await until("it is gone", () => !workerPids(driver.databasePath, "parser").includes(pid));
    }
    isOver = true;
    await Promise.all([...indexed, ...failures]);
    assert.ok(failures.length <= crashes, `${failures.length} files failed in ${crashes} crashes`);
    for (const file of files) await driver.indexFile(file, true);
    assert.deepEqual(await driver.values("SELECT count(*) FROM functions"), [BigInt(40 * 400)]);
    assert.deepEqual(await driver.values("SELECT count(*) FROM indexing_errors"), [0n]);
    await assertUnharmed(`${crashes} crashes cost ${failures.length} files`);
  });
});

function openStream(client: Client, path: string, request: Buffer): ClientReadableStream<Buffer> {
  const same = (value: Buffer): Buffer => value;
  return client.makeServerStreamRequest(path, same, same, request);
}
