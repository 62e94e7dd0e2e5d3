import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { latencyOf } from "../../src/cli/code-analysis-driver/load/load-result.js";
import { DriverProcess, killDrivers, PROGRAM } from "../driver/driver-process.js";
import { until } from "../support/processes.js";
import { runScript, startProgram } from "../support/program.js";
import { useTempFolder } from "../support/temp-folder.js";

/** Tables of the built-in schema that a load writes to. */
const TABLES = ["projects", "files", "classes", "functions", "code_content", "indexing_errors", "db_settings"];

describe("code-analysis-driver load", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  const load = (...args: string[]) => runScript(PROGRAM, ["load", ...args], { cwd: inFolder() });

  async function rowCounts(driver: DriverProcess): Promise<unknown[]> {
    return await driver.values(TABLES.map((table) => `SELECT count(*) FROM ${table}`).join(" UNION ALL "));
  }

  it("has no failure with 20 at a time on a driver of its own: files, reads and transactions", async () => {
    const { exitCode, stdout, stderr } = await load("--files", "60", "--concurrency", "20", "--mixed", "--json");
    assert.equal(stderr, "");
    assert.equal(exitCode, 0);
    const result = JSON.parse(stdout);
    assert.deepEqual([result.files, result.concurrency], [60, 20]);
    assert.deepEqual(result.errors, []);
    const counts = Object.entries<{ count: number; failed: number }>(result.operations).map(
      ([kind, { count, failed }]) => [kind, count, failed],
    );
    assert.deepEqual(counts, [
      ["index_file", 60, 0],
      ["read", 60, 0],
      ["transaction", 15, 0],
    ]);
    const { p50, p90, p99, max } = result.operations.index_file.latency_ms;
    assert.ok(p50 > 0 && p50 <= p90 && p90 <= p99 && p99 <= max && max <= result.duration_ms);
  });

  it("counts every call that the driver refused", async () => {
    const driver = await DriverProcess.start(inFolder(), {
      args: ["--max-queue-length", "2", "--metrics-listen", "unix:metrics.sock"],
    });
    const args = ["--files", "40", "--concurrency", "20", "--json", "--address", driver.address];
    const { stdout } = await load(...args);
    const response = await once(request({ socketPath: inFolder("metrics.sock"), path: "/metrics" }).end(), "response");
    const metrics = await text(response[0]);
    const [, refused = "0"] =
      /^driver_calls_total\{method="[^"]*\/IndexFile",code="UNAVAILABLE"\} (\d+)$/m.exec(metrics) ?? [];
    assert.ok(Number(refused) > 0, "the control: the driver had to refuse some");
    const { repeated, errors } = JSON.parse(stdout);
    const counts = [...repeated, ...errors].map(({ reason, count }) => [reason, count]);
    assert.deepEqual(new Set(counts.map(([reason]) => reason)), new Set(["OVERLOADED"]), stdout);
    assert.equal(
      counts.reduce((sum, [, count]) => sum + count, 0),
      Number(refused),
    );
  });

  it("leaves nothing in the database of a running driver", async () => {
    const driver = await DriverProcess.start(inFolder());
    writeFileSync(inFolder("own.py"), "def own():\n    pass\n");
    await driver.register(inFolder());
    await driver.indexFile("own.py");
    const before = await rowCounts(driver);
    const { exitCode, stdout } = await load("--files", "10", "--mixed", "--address", driver.address);
    assert.equal(exitCode, 0, stdout);
    assert.match(stdout, /│ IndexFile +│ +10 │ +0 │/);
    assert.deepEqual(await rowCounts(driver), before);
    assert.equal((await driver.stop()).exitCode, 0);
  });

  it("writes a page that needs no other file", async () => {
    const { exitCode } = await load("--files", "5", "--report", "report.html");
    assert.equal(exitCode, 0);
    const page = readFileSync(inFolder("report.html"), "utf8");
    assert.doesNotMatch(page, /\/\*\{|(?:src|href)=|@import|url\(/);
    const [, data = ""] = /<script type="application\/json" id="data">(.*)<\/script>/.exec(page) ?? [];
    const { result, throughput, distribution, driver } = JSON.parse(data);
    assert.equal(result.operations.index_file.count, 5);
    assert.equal(throughput.seconds.length, throughput.perSecond[0].length);
    const [{ bars }] = distribution;
    assert.equal(
      bars.reduce((sum: number, { count }: { count: number }) => sum + count, 0),
      5,
    );
    assert.ok(driver.walMib.length > 0);
  });

  it("ends with 1 and says why operations failed", async () => {
    const driver = await DriverProcess.start(inFolder());
    const args = ["load", "--files", "100", "--concurrency", "50", "--json", "--address", driver.address];
    const program = startProgram(PROGRAM, args, { cwd: inFolder() });
    await until("a file is indexed", async () => (await driver.values("SELECT count(*) FROM files"))[0] !== 0n);
    await driver.kill();
    const { exitCode, stdout, stderr } = await program.ended;
    assert.equal(exitCode, 1);
    const { operations, errors } = JSON.parse(stdout);
    assert.ok(operations.index_file.failed > 0);
    assert.deepEqual(
      errors.map(({ operation, reason }: { operation: string; reason: string }) => [operation, reason]),
      [["index_file", "DRIVER_UNREACHABLE"]],
    );
    assert.match(stderr, /^error: No driver answers/);
  });

  it("refuses a report that cannot be written before it begins", async () => {
    const { exitCode, stderr } = await load("--report", "nowhere/report.html");
    assert.equal(exitCode, 2);
    assert.match(stderr, /^error: The report nowhere\/report\.html cannot be written .*\n$/);
  });
});

describe("latencyOf()", () => {
  it("takes the nearest rank", () => {
    const operations = Array.from({ length: 200 }, (_, index) => ({
      kind: "read" as const,
      endedMs: 0,
      latencyMs: 200 - index,
    }));
    assert.deepEqual(latencyOf(operations), { p50: 100, p90: 180, p99: 198, max: 200 });
    assert.deepEqual(latencyOf([]), { p50: 0, p90: 0, p99: 0, max: 0 });
  });
});
