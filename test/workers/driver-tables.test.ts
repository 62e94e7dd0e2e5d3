import assert from "node:assert/strict";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { DriverTables, keptAnswer, MAX_REMEMBERED_REQUESTS } from "../../src/workers/driver-tables.js";
import { reason } from "../support/engine.js";
import { useTempFolder } from "../support/temp-folder.js";

const HASH = Buffer.alloc(32);
const MIB = 1_024 * 1_024;

describe("the memory of request ids", () => {
  const inFolder = useTempFolder();
  let connection: Connection;
  let tables: DriverTables;
  beforeEach(() => {
    connection = openConnection(inFolder("test.db"), { role: "writer" });
    tables = new DriverTables(connection);
  });
  afterEach(() => connection.close());

  /** Remembers answers of these sizes, as writes of one transaction, under the ids `<name> 0`, `<name> 1`, … */
  function remember(name: string, count: number, bytes: number): void {
    connection.exec("BEGIN");
    for (let i = 0; i < count; i++) tables.rememberRequest(`${name} ${i}`, HASH, Buffer.alloc(bytes));
    connection.exec("COMMIT");
  }

  function answerTo(requestId: string): Buffer | undefined {
    const request = tables.findRequest(requestId);
    return request && keptAnswer(requestId, request);
  }

  const bytesKept = () =>
    connection.prepare("SELECT sum(length(response)) FROM driver_requests").pluck().get() as number;

  it("holds the newest, as many as GetDriverInfo says", () => {
    remember("old", 2, 10);
    remember("new", MAX_REMEMBERED_REQUESTS - 1, 10);
    assert.equal(answerTo("old 0"), undefined);
    assert.equal(answerTo("old 1")?.length, 10);
    assert.equal(connection.prepare("SELECT count(*) FROM driver_requests").pluck().get(), MAX_REMEMBERED_REQUESTS);
  });

  it("gives up large answers, the oldest first, and neither small ones nor that the requests have run", () => {
    remember("small", 10, 1_024);
    remember("batch", 100, 2_000);
    remember("rows", 90, MIB);
    // 64 MiB, what comes before they are counted again, and the small ones.
    assert.ok(bytesKept() <= (64 + 4 + 1) * MIB, `${bytesKept()} bytes`);
    assert.ok(bytesKept() >= 60 * MIB, `no more than needed: ${bytesKept()} bytes`);
    for (let i = 0; i < 10; i++) assert.equal(answerTo(`small ${i}`)?.length, 1_024);
    for (let i = 90 - 60; i < 90; i++) assert.equal(answerTo(`rows ${i}`)?.length, MIB);
    for (const [id, bytes] of [
      ["batch 0", 2_000],
      ["rows 0", MIB],
      ["rows 20", MIB],
    ] as const) {
      assert.throws(
        () => answerTo(id),
        (error) => {
          assert.match(String(error), new RegExp(`${id} was carried out, but its answer of ${bytes} bytes`));
          return reason("ANSWER_NOT_KEPT")(error);
        },
      );
    }
  });

  it("is bounded also when the process that writes is a new one each time", () => {
    for (let i = 0; i < 25; i++) {
      tables = new DriverTables(connection);
      remember(`process ${i}`, 1, 3 * MIB);
    }
    assert.ok(bytesKept() <= (64 + 4) * MIB, `${bytesKept()} bytes`);
  });
});
