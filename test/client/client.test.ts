import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { ServerCredentials } from "@grpc/grpc-js";
import { type ConnectOptions, createClient, type DriverClient } from "../../src/client/client.js";
import { toValue } from "../../src/client/values.js";
import { DriverError } from "../../src/errors.js";
import { fixturePath } from "../support/fixtures.js";
import { until } from "../support/processes.js";
import { type Script, type ScriptedDriver, startScriptedDriver } from "../support/scripted-driver.js";
import { useTempFolder } from "../support/temp-folder.js";

describe("createClient()", () => {
  const inFolder = useTempFolder();
  const closers: (() => void)[] = [];
  afterEach(() => {
    for (const close of closers.splice(0)) close();
  });

  async function serve(script: Script, address = `unix:${inFolder("a.sock")}`, credentials?: ServerCredentials) {
    const driver: ScriptedDriver = await startScriptedDriver(address, script, credentials);
    closers.push(() => driver.close());
    return driver.address;
  }

  function connect(address: string, options: Omit<ConnectOptions, "address"> = {}): DriverClient {
    const client = createClient({ address, ...options });
    closers.push(() => client.close());
    return client;
  }

  async function failure(promise: Promise<unknown>): Promise<DriverError> {
    const error = await promise.then(
      () => new assert.AssertionError({ message: "the call succeeded" }),
      (reason: unknown) => reason,
    );
    if (error instanceof DriverError) return error;
    throw error;
  }

  it("calls over a unix socket and over TCP", async () => {
    const script: Script = {
      execute: ({ sql, parameters }) => ({ columns: [{ name: sql }], rows: [{ values: parameters }] }),
    };
    for (const address of [await serve(script), await serve(script, "127.0.0.1:0")]) {
      const answer = await connect(address).execute({ sql: "SELECT ?", parameters: [toValue(2n ** 63n - 1n)] });
      assert.equal(answer.columns[0]?.name, "SELECT ?");
      assert.deepEqual(answer.rows[0]?.values[0]?.kind, { case: "integerValue", value: 2n ** 63n - 1n });
    }
  });

  it("sends the token", async () => {
    let seen: unknown;
    const address = await serve({
      listTables: (_, { metadata }) => {
        seen = metadata.get("authorization");
        return {};
      },
    });
    await connect(address, { token: "s3cret" }).listTables({});
    assert.deepEqual(seen, ["Bearer s3cret"]);
  });

  it("streams with backpressure: the driver makes no more than the reader takes", async () => {
    let made = 0;
    const address = await serve({
      async *query() {
        for (; made < 10_000; made++) yield { rows: [{ values: [toValue("x".repeat(32_768))] }] };
      },
    });
    let taken = 0;
    for await (const { rows } of connect(address).query({ sql: "SELECT 1" })) {
      taken += rows.length;
      if (taken === 50) break;
    }
    // What fits into the windows of HTTP/2 and the buffers at both ends, far less than the 320 MB of all messages.
    assert.ok(made >= 50 && made < 2_000, `${made} messages were made for ${taken} taken`);
  });

  it("cancels a stream whose reader leaves the loop", async () => {
    let signal: AbortSignal | undefined;
    const address = await serve({
      async *query(_, call) {
        signal = call.signal;
        yield {};
        if (!call.signal.aborted) await once(call.signal, "abort");
      },
    });
    for await (const _ of connect(address).query({ sql: "SELECT 1" })) break;
    assert.ok(signal !== undefined);
    if (!signal.aborted) await once(signal, "abort");
  });

  it("cancels calls by their signal, also one that was aborted before", async () => {
    const never = () => new Promise<never>(() => {});
    const address = await serve({
      execute: never,
      // biome-ignore lint/correctness/useYield: a stream that never says anything
      async *query() {
        await never();
      },
    });
    const client = connect(address);
    const controller = new AbortController();
    const waiting = [
      failure(client.execute({ sql: "a" }, { signal: controller.signal })),
      failure(collect(client.query({ sql: "b" }, { signal: controller.signal }))),
    ];
    controller.abort();
    for (const error of await Promise.all(waiting)) assert.equal(error.reason, "CANCELLED");
    assert.equal((await failure(client.execute({ sql: "c" }, { signal: controller.signal }))).reason, "CANCELLED");
  });

  it("cancels the calls that run when it is closed, and sends none afterwards", async () => {
    let calls = 0;
    const hang = () => {
      calls++;
      return new Promise<never>(() => {});
    };
    const address = await serve({
      execute: hang,
      async *query() {
        yield {};
        await hang();
      },
    });
    const client = connect(address);
    const running = [failure(client.execute({})), failure(collect(client.query({})))];
    await until("both run", () => calls === 2);
    client.close();
    running.push(failure(client.execute({})), failure(collect(client.query({}))));
    for (const error of await Promise.all(running)) assert.equal(error.reason, "CANCELLED");
    assert.equal(calls, 2);
  });

  it("ends calls at their deadline, and takes a deadline of years for a late one", async () => {
    const address = await serve({ execute: ({ sql }) => (sql === "slow" ? new Promise<never>(() => {}) : {}) });
    assert.equal(
      (await failure(connect(address, { timeoutMs: 50 }).execute({ sql: "slow" }))).reason,
      "DEADLINE_EXCEEDED",
    );
    assert.equal(
      (await failure(connect(address).execute({ sql: "slow" }, { timeoutMs: 50 }))).reason,
      "DEADLINE_EXCEEDED",
    );
    await connect(address).execute({ sql: "quick" }, { timeoutMs: 1e12 });
  });

  it("throws what the driver threw, from calls and from streams", async () => {
    const thrown = new DriverError("SQL_ERROR", "There is no column x.", {
      hint: "See the table's columns with GetTableInfo.",
      sqliteCode: "SQLITE_ERROR",
      field: "sql",
    });
    const address = await serve({
      execute: () => Promise.reject(thrown),
      async *query() {
        yield {};
        throw thrown;
      },
    });
    const client = connect(address);
    for (const error of [await failure(client.execute({})), await failure(collect(client.query({})))]) {
      assert.deepEqual(error.toJSON(), thrown.toJSON());
    }
  });

  it("repeats what is safe to repeat when the driver is busy, and nothing else", async () => {
    const calls = { getDriverInfo: 0, execute: 0, beginTransaction: 0 };
    const busy = new DriverError("OVERLOADED", "Too many calls wait.", { retryAfterMs: 10 });
    const ids = new Set<string>();
    const address = await serve({
      getDriverInfo: () => {
        if (++calls.getDriverInfo < 3) throw busy;
        return { driverVersion: "1.2.3" };
      },
      execute: ({ requestId }) => {
        ids.add(requestId);
        if (++calls.execute % 3 !== 0) throw busy;
        return {};
      },
      beginTransaction: () => {
        calls.beginTransaction++;
        throw busy;
      },
    });
    const client = connect(address);
    assert.equal((await client.getDriverInfo({})).driverVersion, "1.2.3");
    await client.execute({});
    const error = await failure(client.beginTransaction({}));
    assert.equal(error.reason, "OVERLOADED");
    assert.equal(error.retryAfterMs, 10);
    assert.deepEqual(calls, { getDriverInfo: 3, execute: 3, beginTransaction: 1 });
    assert.equal(ids.size, 1, "a repeated write has the same request_id");

    for (const [sender, transactionId] of [
      [connect(address, { createRequestId: () => "" }), ""],
      [client, "t"],
    ] as const) {
      assert.equal((await failure(sender.execute({ transactionId }))).reason, "OVERLOADED");
    }
    assert.equal(calls.execute, 5);
  });

  it("sends each call once when it shall not retry", async () => {
    let calls = 0;
    const refuse = (): never => {
      calls++;
      throw new DriverError("OVERLOADED", "Too many calls wait.", { retryAfterMs: 10 });
    };
    const client = connect(await serve({ getDriverInfo: refuse, execute: refuse }), { retries: false });
    assert.equal((await failure(client.getDriverInfo({}))).reason, "OVERLOADED");
    assert.equal((await failure(client.execute({}))).reason, "OVERLOADED");
    assert.equal(calls, 2);
  });

  it("asks again with the same request_id when the outcome of a commit is unknown", async () => {
    const ids: string[] = [];
    const address = await serve({
      insert: ({ requestId }) => {
        ids.push(requestId);
        if (ids.length === 1) throw new DriverError("COMMIT_OUTCOME_UNKNOWN", "The disk failed.");
        return { affectedRows: 1n };
      },
    });
    assert.equal((await connect(address).insert({ table: "t" })).affectedRows, 1n);
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
  });

  it("gives writes a request_id of their own, or the caller's, and none inside a transaction", async () => {
    const ids: string[] = [];
    const note = ({ requestId }: { readonly requestId: string }) => {
      ids.push(requestId);
      return {};
    };
    const client = connect(await serve({ execute: note, delete: note, commitTransaction: note }));
    await client.execute({});
    await client.delete({});
    await client.commitTransaction({ transactionId: "t" });
    assert.equal(new Set(ids).size, 3);
    for (const id of ids) assert.match(id, /^[0-9a-f-]{36}$/);
    await client.execute({ requestId: "mine" });
    await client.execute({ transactionId: "t" });
    assert.deepEqual(ids.slice(3), ["mine", ""]);
  });

  it("says which request cannot be sent", async () => {
    const client = connect(await serve({}));
    const tooLarge = { kind: { case: "integerValue", value: 2n ** 63n } } as const;
    const calls = [client.execute({ maxRows: -1 }), collect(client.query({ parameters: [tooLarge] }))].map(failure);
    for (const error of await Promise.all(calls)) {
      assert.equal(error.reason, "INVALID_REQUEST");
      assert.match(error.message, /^The request of (Execute|Query) cannot be sent: /);
    }
  });

  it("says that nobody answers, and answers again once somebody does", async () => {
    const address = `unix:${inFolder("late.sock")}`;
    const client = connect(address);
    const error = await failure(client.execute({}));
    assert.equal(error.reason, "DRIVER_UNREACHABLE");
    assert.match(error.message, /^No driver answers at unix:.*late\.sock/);
    await serve({ execute: () => ({ affectedRows: 3n }) }, address);
    const deadlineMs = Date.now() + 20_000;
    let answer = await client.execute({}).catch(() => undefined);
    while (answer === undefined && Date.now() < deadlineMs) answer = await client.execute({}).catch(() => undefined);
    assert.equal(answer?.affectedRows, 3n);
  });

  it("speaks TLS, shows its certificate, and does not trust a driver that another authority signed", async () => {
    const file = (name: string) => readFileSync(fixturePath("tls", name));
    const pair = { private_key: file("driver.key"), cert_chain: file("driver.crt") };
    const credentials = ServerCredentials.createSsl(file("client.crt"), [pair], true);
    const address = await serve({ execute: () => ({}) }, "localhost:0", credentials);

    const own = { cert: file("client.crt"), key: file("client.key") };
    await connect(address, { tls: { ca: file("driver.crt"), ...own } }).execute({});
    const refused = [{ ca: file("client.crt"), ...own }, { ca: file("driver.crt") }, undefined];
    for (const tls of refused) {
      const error = await failure(connect(address, { tls }).execute({}, { timeoutMs: 10_000 }));
      assert.equal(error.reason, "DRIVER_UNREACHABLE");
    }
  });
});

async function collect<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of stream) all.push(item);
  return all;
}
