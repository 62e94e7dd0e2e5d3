import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import { Client, credentials, Metadata } from "@grpc/grpc-js";
import { until } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";
import { beside, DriverProcess, killDrivers } from "./driver-process.js";

/** `name{labels}` → value, of Prometheus' text format. */
function parseMetrics(text: string): Map<string, number> {
  const lines = text.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  return new Map(
    lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), Number(line.slice(line.lastIndexOf(" ")))]),
  );
}

async function get(where: object, path = "/metrics", headers = {}): Promise<{ status: number; text: string }> {
  const call = request({ ...where, path, headers }).end();
  const [response] = await once(call, "response");
  let text = "";
  for await (const chunk of response.setEncoding("utf8")) text += chunk;
  return { status: response.statusCode, text };
}

describe("serve --metrics-listen", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  it("counts calls, commits, recoveries and indexing errors, and tells queues and WAL, on a socket of its owner", async () => {
    await (await DriverProcess.start(inFolder())).stop();
    beside(inFolder("a.db"), (connection) => connection.exec("ALTER TABLE files RENAME TO temp_files"));
    const driver = await DriverProcess.start(inFolder(), { args: ["--metrics-listen", "unix:metrics.sock"] });
    const socketPath = inFolder("metrics.sock");
    writeFileSync(inFolder("bad.py"), "def (:\n");
    await driver.register(inFolder());
    await driver.indexFile("bad.py");
    await driver.execute("SELECT 1");
    await assert.rejects(driver.execute("SELEC 1"));
    const { transactionId } = await driver.client.beginTransaction({});
    const { status, text } = await get({ socketPath });
    await driver.client.rollbackTransaction({ transactionId });
    assert.equal(status, 200);
    const metrics = parseMetrics(text);
    const path = "/code_analysis.driver.v1.DriverService";
    assert.equal(metrics.get(`driver_calls_total{method="${path}/Execute",code="OK"}`), 1);
    assert.equal(metrics.get(`driver_calls_total{method="${path}/Execute",code="INVALID_ARGUMENT"}`), 1);
    assert.equal(metrics.get(`driver_call_duration_seconds_count{method="${path}/IndexFile"}`), 1);
    assert.equal(metrics.get('driver_indexing_errors_total{type="syntax_error"}'), 1);
    assert.equal(metrics.get("driver_recovery_actions_total"), 1);
    assert.ok((metrics.get("driver_commit_writes_sum") ?? 0) >= 2, "registration and file");
    assert.ok((metrics.get("driver_commit_duration_seconds_sum") ?? 0) > 0);
    assert.ok((metrics.get("driver_write_queue_wait_seconds_count") ?? 0) >= 2);
    assert.ok((metrics.get("driver_wal_bytes") ?? 0) > 0);
    assert.equal(metrics.get("driver_open_transactions"), 1);
    assert.equal(metrics.get('driver_queue_length{queue="writes"}'), 0);
    assert.equal(metrics.get("driver_serving"), 1);
    assert.equal((await get({ socketPath }, "/")).status, 404);
    assert.equal((await driver.stop()).exitCode, 0);
  });

  it("shows them over TCP to who has the token only", async () => {
    const driver = await DriverProcess.start(inFolder(), { args: ["--metrics-listen", "127.0.0.1:0"] });
    const { address } = await driver.logged("serving metrics");
    const [host, port] = String(address).split(":");
    const token = readFileSync(inFolder("a.db.token"), "utf8").trim();
    const as = (authorization?: string) => get({ host, port }, "/metrics", { ...(authorization && { authorization }) });
    assert.equal((await as()).status, 401);
    assert.equal((await as("Bearer wrong")).status, 401);
    assert.equal((await as(`Bearer ${token}`)).status, 200);
    await driver.stop();
  });
});

describe("serve --trace-endpoint", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  interface Span {
    readonly name: string;
    readonly traceId: string;
    readonly parentSpanId?: string;
    readonly attributes: readonly { readonly key: string; readonly value: object }[];
  }

  it("sends a span for each call, in the client's trace, with no text of statements", async () => {
    const bodies: string[] = [];
    const collector = createServer(async (incoming, response) => {
      let body = "";
      for await (const chunk of incoming.setEncoding("utf8")) body += chunk;
      bodies.push(body);
      response.end("{}");
    }).listen(0, "127.0.0.1");
    await once(collector, "listening");
    const bound = collector.address();
    const port = typeof bound === "object" ? bound?.port : undefined;
    const endpoint = `http://127.0.0.1:${port}/v1/traces`;
    const driver = await DriverProcess.start(inFolder(), { args: ["--trace-endpoint", endpoint] });
    const metadata = new Metadata();
    metadata.set("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    metadata.set("x-request-id", "the-request");
    const client = new Client(driver.address, credentials.createInsecure());
    await new Promise((resolve) => {
      const identity = (bytes: Buffer) => bytes;
      const path = "/code_analysis.driver.v1.DriverService/GetDriverInfo";
      client.makeUnaryRequest(path, identity, identity, Buffer.alloc(0), metadata, resolve);
    });
    client.close();
    await assert.rejects(driver.execute("SELECT secret_name FROM nowhere"));
    // What is left is sent when the driver ends.
    assert.equal((await driver.stop()).exitCode, 0);
    await until("the spans came", () => bodies.length > 0);
    collector.close();
    const spans = bodies.flatMap((body) =>
      JSON.parse(body).resourceSpans.flatMap((resource: { scopeSpans: { spans: Span[] }[] }) =>
        resource.scopeSpans.flatMap((scope) => scope.spans),
      ),
    );
    const [info, execute] = spans;
    assert.equal(info.name, "code_analysis.driver.v1.DriverService/GetDriverInfo");
    assert.equal(info.traceId, "0af7651916cd43dd8448eb211c80319c");
    assert.equal(info.parentSpanId, "b7ad6b7169203331");
    const attributes = (span: Span) => JSON.stringify(span.attributes);
    assert.match(attributes(info), /"the-request"/);
    assert.match(attributes(execute), /"error\.type".*"SQL_ERROR"/);
    assert.doesNotMatch(bodies.join(""), /secret_name|SELECT/);
  });

  it("says that the collector does not take the spans", async () => {
    const collector = createServer((incoming, response) => {
      incoming.resume();
      response.writeHead(404).end();
    }).listen(0, "127.0.0.1");
    await once(collector, "listening");
    const bound = collector.address();
    const port = typeof bound === "object" ? bound?.port : undefined;
    const driver = await DriverProcess.start(inFolder(), {
      args: ["--trace-endpoint", `http://127.0.0.1:${port}/v1/traces`],
    });
    await driver.execute("SELECT 1");
    const { level, reason } = await driver.logged("spans were lost");
    assert.deepEqual([level, typeof reason], ["warn", "string"]);
    assert.equal((await driver.stop()).exitCode, 0);
    collector.close();
  });

  it("goes on when no collector is there", async () => {
    const driver = await DriverProcess.start(inFolder(), {
      args: ["--trace-endpoint", "http://127.0.0.1:9/v1/traces"],
    });
    await driver.execute("SELECT 1");
    assert.equal((await driver.stop()).exitCode, 0);
  });
});
