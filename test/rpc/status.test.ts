import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { status } from "@grpc/grpc-js";
import { ErrorReason, ErrorReasonSchema } from "../../gen/code_analysis/driver/v1/error_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { DriverError, type DriverErrorOptions, type Reason, STATUS_OF_REASON } from "../../src/errors.js";
import { toGrpcStatus } from "../../src/rpc/status.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { fromSqliteError } from "../../src/sqlite/errors.js";
import { decode, execute, failure, TestBench, unaryEngine } from "./support.js";

const EMPTY = new Uint8Array();
/** What gRPC implementations accept of headers, names included (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). */
const MAX_HEADER_BYTES = 8_192;

describe("toGrpcStatus()", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  const send = async (error: DriverError) => {
    const client = await bench.serve(unaryEngine(() => Promise.reject(error)));
    return failure(execute(client, EMPTY));
  };

  const everything: DriverErrorOptions = {
    hint: "Write a row for that project first.",
    sqliteCode: "SQLITE_CONSTRAINT_FOREIGNKEY",
    field: "parameters",
    retryAfterMs: 1_250,
    cause: new Error("a secret"),
  };

  it("sends everything but the cause, and parseStatusDetails() reads it back", async () => {
    const error = new DriverError(
      "CONSTRAINT_FOREIGN_KEY",
      "FOREIGN KEY constraint failed: 100 % of «files».",
      everything,
    );
    const received = await send(error);
    assert.equal(received.code, status.FAILED_PRECONDITION);
    assert.equal(received.details, error.sentence);
    assert.deepEqual(received.metadata.get("grpc-retry-pushback-ms"), ["1250"]);
    assert.deepEqual(parseStatusDetails(received.metadata)?.toJSON(), error.toJSON());
    const [details] = received.metadata.get("grpc-status-details-bin");
    assert.ok(Buffer.isBuffer(details));
    assert.ok(!details.includes("a secret"));
    const { code, message } = decode(StatusSchema, details);
    assert.deepEqual({ code, message }, { code: received.code, message: received.details });
  });

  it("sends an error that has nothing but a reason and a message", async () => {
    const error = new DriverError("DRAINING", "The driver is shutting down.");
    const received = await send(error);
    assert.equal(received.code, status.UNAVAILABLE);
    assert.deepEqual(received.metadata.get("grpc-retry-pushback-ms"), []);
    assert.deepEqual(parseStatusDetails(received.metadata)?.toJSON(), error.toJSON());
  });

  for (const [what, character] of [
    ["ASCII", "x"],
    ["Cyrillic", "ж"],
    ["emoji", "😀"],
    ["percent signs", "%"],
    ["control characters", "\n\0"],
    ["lone surrogates", "\ud800"],
  ] as const) {
    it(`cuts long texts of ${what} so that the trailers fit`, async () => {
      const long = character.repeat(20_000);
      const error = new DriverError("SQL_ERROR", `begins ${long}`, {
        ...everything,
        hint: `hint ${long}`,
        field: long,
      });
      const { metadata, details } = toGrpcStatus(error);
      const headers = { ...metadata.toHttp2Headers(), "grpc-message": encodeURI(details), "grpc-status": "3" };
      let bytes = 0;
      // HPACK counts 32 bytes for each entry (https://www.rfc-editor.org/rfc/rfc7541#section-4.1).
      for (const [name, value] of Object.entries(headers)) bytes += name.length + String(value).length + 32;
      assert.ok(bytes < MAX_HEADER_BYTES, `${bytes} bytes`);
      const received = await send(error);
      assert.equal(received.code, status.INVALID_ARGUMENT);
      const parsed = parseStatusDetails(received.metadata);
      assert.match(parsed?.message ?? "", /^begins .*…$/s);
      assert.match(parsed?.hint ?? "", /^hint .*…$/s);
      assert.equal(parsed?.retryAfterMs, 1_250);
    });
  }

  it("makes sentences of the few words of SQLite and of the hint", () => {
    const connection = openConnection(":memory:", { role: "writer" });
    try {
      connection.exec("CREATE TABLE t (id INTEGER PRIMARY KEY)");
      connection.exec("INSERT INTO t VALUES ('one')");
      assert.fail("SQLite has taken it");
    } catch (error) {
      assert.match(toGrpcStatus(fromSqliteError(error)).details, /^datatype mismatch\. An INTEGER PRIMARY KEY, .+\.$/);
    } finally {
      connection.close();
    }
  });

  it("keeps a short text whole, whatever it contains", async () => {
    const error = new DriverError("SQL_ERROR", 'near "ж%20\n😀": syntax error');
    assert.equal((await send(error)).details, error.message);
  });
});

describe("parseStatusDetails()", () => {
  it("answers nothing for errors that are not the driver's", async () => {
    const bench = new TestBench();
    const client = bench.connect(`unix:${bench.socketPath}`);
    const error = await failure(execute(client, EMPTY));
    assert.equal(error.code, status.UNAVAILABLE);
    assert.equal(parseStatusDetails(error.metadata), undefined);
    await bench.close();
  });
});

describe("ErrorReason", () => {
  const reasons = ErrorReasonSchema.values
    .filter(({ number }) => number !== ErrorReason.UNSPECIFIED)
    .map(({ name }) => name.replace(/^ERROR_REASON_/, ""));

  it("has the reasons of DriverError", () => {
    assert.deepEqual([...reasons].sort(), Object.keys(STATUS_OF_REASON).sort());
  });

  it("documents the status that each reason is answered with", () => {
    const proto = readFileSync(new URL("../../../proto/code_analysis/driver/v1/error.proto", import.meta.url), "utf8");
    const documented = [...proto.matchAll(/\/\/ ([A-Z_]+): (?:[^\n]*\n\s*\/\/)*[^\n]*\n\s*ERROR_REASON_([A-Z_]+) = /g)];
    assert.deepEqual(
      Object.fromEntries(documented.map(([, name, reason]) => [reason, name])),
      Object.fromEntries(Object.entries<string>(STATUS_OF_REASON)),
    );
  });

  it("has a gRPC status for each reason", () => {
    for (const reason of Object.keys(STATUS_OF_REASON) as Reason[]) {
      assert.equal(typeof toGrpcStatus(new DriverError(reason, "Something happened.")).code, "number", reason);
    }
  });
});
