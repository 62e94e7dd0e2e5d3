import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { create, type DescField, type DescMessage, ScalarType } from "@bufbuild/protobuf";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { createClient } from "../../src/client/client.js";
import { toValue } from "../../src/client/values.js";
import { DriverError } from "../../src/errors.js";
import { until, workerPids } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";
import { DriverProcess, killDrivers } from "./driver-process.js";

/** In every text that is a user's. */
const MARKER = "zqMarkerqz";
/** In names of files and projects, which the log may say. */
const NAME = "named";
const NAMES = new Set(["file_path", "root_path", "paths", "destination_path", "project_id", "id"]);

/** A message in which every text and every blob is the marker. */
function filled(message: DescMessage, depth = 0): object {
  const init: Record<string, unknown> = {};
  for (const field of message.fields) {
    const value = fieldValue(field, depth);
    if (value === undefined) continue;
    if (field.oneof !== undefined) init[field.oneof.localName] = { case: field.localName, value };
    else init[field.localName] = value;
  }
  return create(message, init);
}

function fieldValue(field: DescField, depth: number): unknown {
  const text = NAMES.has(field.name) ? NAME : MARKER;
  const scalar = (type: ScalarType | undefined) => {
    if (type === ScalarType.STRING) return text;
    if (type === ScalarType.BYTES) return Buffer.from(MARKER);
    return undefined;
  };
  const nested = (message: DescMessage | undefined) =>
    message === undefined || depth > 4 || message.typeName.startsWith("google.")
      ? undefined
      : filled(message, depth + 1);
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar);
    case "message":
      return nested(field.message);
    case "list": {
      const item = field.listKind === "message" ? nested(field.message) : scalar(field.scalar);
      return item === undefined ? undefined : [item];
    }
    case "map": {
      const item = field.mapKind === "message" ? nested(field.message) : scalar(field.scalar);
      return item === undefined ? undefined : { [MARKER]: item };
    }
    default:
      return undefined;
  }
}

describe("the log at level debug", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  it("has no token, no bound value, no SQL text and no source in it, whatever goes wrong", async () => {
    mkdirSync(inFolder("source"));
    writeFileSync(inFolder("source", "a.py"), `def ${MARKER}(: '''${MARKER}\n`);
    writeFileSync(inFolder("source", "b.py"), Buffer.from(`\xff\xfe\0${MARKER}`, "latin1"));
    const args = [
      "--listen",
      "127.0.0.1:0",
      "--log-level",
      "debug",
      "--statement-timeout",
      "500ms",
      "--transaction-ttl",
      "50ms",
    ];
    const unauthenticated = await DriverProcess.start(inFolder(), { args });
    const token = readFileSync(`${unauthenticated.databasePath}.token`, "utf8").trim();
    const { address } = unauthenticated;
    const client = createClient({ address, token });
    const failed = new Map<string, number>();
    const attempt = async (call: Promise<unknown> | AsyncIterable<unknown>) => {
      try {
        if (Symbol.asyncIterator in call) for await (const _ of call);
        else await call;
      } catch (error) {
        if (!(error instanceof DriverError)) throw error;
        failed.set(error.reason, (failed.get(error.reason) ?? 0) + 1);
      }
    };
    const sql = (text: string, ...values: string[]) =>
      attempt(client.execute({ sql: text, parameters: values.map(toValue) }));

    await attempt(createClient({ address, token: MARKER }).execute({ sql: MARKER }));
    for (const { input, localName } of DriverService.methods) {
      type Call = (request: object) => Promise<unknown> | AsyncIterable<unknown>;
      await attempt(Reflect.get(client, localName as string).call(client, filled(input)) as ReturnType<Call>);
    }

    await attempt(client.registerProject({ rootPath: inFolder("source"), id: "p" }));
    for (const filePath of ["a.py", "b.py", "missing.py"])
      await attempt(client.indexFile({ projectId: "p", filePath }));
    await attempt(client.indexProject({ projectId: "p" }));
    await attempt(client.searchCode({ projectId: "p", query: `"${MARKER}` }));

    await sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT UNIQUE CHECK (v <> 'wrong')) STRICT");
    await sql("CREATE VIRTUAL TABLE words USING fts5(x)");
    await sql(
      "CREATE TRIGGER r BEFORE INSERT ON t WHEN new.v LIKE 'raise%' BEGIN SELECT raise(ABORT, 'no ' || new.v); END",
    );
    await sql("INSERT INTO t (v) VALUES (?)", MARKER);
    await sql("INSERT INTO t (v) VALUES (?)", MARKER);
    await sql("INSERT INTO t (id) VALUES (?)", MARKER);
    await sql("INSERT INTO t (v) VALUES (?)", `raise ${MARKER}`);
    await sql("SELECT * FROM words WHERE words MATCH ?", `${MARKER}:x`);
    await sql("SELECT * FROM words WHERE words MATCH ?", `"${MARKER}`);
    await sql("INSERT INTO words (words) VALUES (?)", MARKER);
    await sql("SELECT json(?)", MARKER);
    await sql(`SELECT ${MARKER} FROM t WHERE v = '${MARKER}'`);
    const endless = "WITH RECURSIVE n(x) AS (SELECT ?1 UNION ALL SELECT x FROM n)";
    await sql(`${endless} SELECT count(*) AS ${MARKER} FROM n`, MARKER);
    await sql(`${endless} INSERT INTO t (v) SELECT max(x) FROM n`, MARKER);
    await attempt(client.query({ sql: `${endless} SELECT count(*) FROM n`, parameters: [toValue(MARKER)] }));
    // Worker processes that die in the middle of a call.
    for (const kind of ["reader", "writer"] as const) {
      const verb = kind === "reader" ? "SELECT max(x) FROM n" : "INSERT INTO t (v) SELECT max(x) FROM n";
      const running = sql(`${endless} ${verb}`, MARKER);
      for (const pid of workerPids(unauthenticated.databasePath, kind)) process.kill(pid, "SIGKILL");
      await running;
    }
    await until("an answer", async () => {
      await sql("SELECT 1");
      return true;
    });
    client.close();

    const { stderr, stdout } = await unauthenticated.stop();
    const said = stdout + stderr;
    // It has really been talking about all this.
    assert.match(stderr, /"level":"debug".*"method":"\/code_analysis\.driver\.v1\.DriverService\/Insert"/);
    for (const reason of [
      "UNAUTHENTICATED",
      "SQL_ERROR",
      "CONSTRAINT_UNIQUE",
      "CONSTRAINT_TRIGGER",
      "DEADLINE_EXCEEDED",
    ]) {
      assert.ok(failed.has(reason), `${reason} of ${JSON.stringify([...failed])}`);
      assert.ok(said.includes(reason), `the log does not say ${reason}`);
    }
    for (const secret of [token, MARKER]) {
      const lines = said.split("\n").filter((line) => line.includes(secret));
      assert.deepEqual(lines, []);
    }
  });
});
