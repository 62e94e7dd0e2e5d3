import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { NullValue } from "@bufbuild/protobuf/wkt";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import type { ValueSchema } from "../../gen/code_analysis/driver/v1/value_pb.js";
import type { CallContext, StreamMethodName, UnaryMethodName } from "../../src/engine/call.js";
import { DriverEngine, type EngineOptions } from "../../src/engine/driver-engine.js";
import type { EngineLimits } from "../../src/engine/limits.js";
import { DriverError, type Reason } from "../../src/errors.js";
import { monotonicMs } from "../../src/observability/clock.js";

export const TEST_LIMITS: EngineLimits = {
  maxExecuteRows: 1_000,
  maxExecuteBytes: 1_000_000,
  maxBatchStatements: 1_000,
  maxStatementMs: 10_000,
  maxLockWaitMs: 30_000,
  maxFileBytes: 5_000_000,
  maxParseMs: 10_000,
  maxWalBytes: 64 * 1024 * 1024,
  maxQueuedWrites: 1_000,
  maxQueuedReads: 1_000,
  maxQueuedFiles: 1_000,
  maxTransactions: 4,
  defaultTransactionTtlMs: 5_000,
  maxTransactionTtlMs: 60_000,
  maxStreams: 2,
  maxSnapshotAgeMs: 30_000,
  readers: 2,
  maxReaderIdleMs: 60_000,
  parsers: 2,
  maxRequestBytes: 16_000_000,
  maxPageSize: 1_000,
};

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

type Requests = (typeof DriverService)["method"];

/** A running engine on a database of its own, called with typed messages but without gRPC. */
export class TestEngine {
  readonly engine: DriverEngine;
  readonly databasePath: string;
  readonly log: LogLine[] = [];

  private constructor(databasePath: string, limits: Partial<EngineLimits>) {
    this.databasePath = databasePath;
    const options: EngineOptions = {
      databasePath,
      driverVersion: "0.0.0-test",
      limits: { ...TEST_LIMITS, ...limits },
      log: (level, message, fields) => this.log.push({ level, message, fields }),
      onFatal: (error) => this.log.push({ level: "fatal", message: error.message, fields: {} }),
    };
    this.engine = new DriverEngine(options);
  }

  static async start(limits: Partial<EngineLimits> = {}, prepare: (databasePath: string) => void = () => undefined) {
    const folder = mkdtempSync(join(tmpdir(), "driver-engine-"));
    const databasePath = join(folder, "test.db");
    prepare(databasePath);
    return await TestEngine.open(databasePath, limits);
  }

  /** A further engine on a database that is there; the one before must have been closed or killed. */
  static async open(databasePath: string, limits: Partial<EngineLimits> = {}) {
    const test = new TestEngine(databasePath, limits);
    await test.engine.start();
    return test;
  }

  /** Closes the engine and removes its database. */
  async stop(): Promise<void> {
    await this.engine.close();
    rmSync(dirname(this.databasePath), { recursive: true });
  }

  async call<Name extends UnaryMethodName>(
    name: Name,
    request: MessageInitShape<Requests[Name]["input"]>,
    context: Partial<CallContext> = {},
  ): Promise<MessageShape<Requests[Name]["output"]>> {
    const { input, output }: { input: DescMessage; output: DescMessage } = DriverService.method[name];
    const bytes = toBinary(input, create(input, request as MessageInitShape<DescMessage>));
    const response = await this.engine.unary(name, Buffer.from(bytes), contextOf(context));
    return fromBinary(output, response) as MessageShape<Requests[Name]["output"]>;
  }

  async *stream<Name extends StreamMethodName>(
    name: Name,
    request: MessageInitShape<Requests[Name]["input"]>,
    context: Partial<CallContext> = {},
  ): AsyncGenerator<MessageShape<Requests[Name]["output"]>> {
    const { input, output }: { input: DescMessage; output: DescMessage } = DriverService.method[name];
    const bytes = toBinary(input, create(input, request as MessageInitShape<DescMessage>));
    for await (const message of this.engine.stream(name, Buffer.from(bytes), contextOf(context))) {
      yield fromBinary(output, message) as MessageShape<Requests[Name]["output"]>;
    }
  }

  /** Runs a statement outside of a transaction. */
  async sql(sql: string, ...parameters: SqlValue[]) {
    return await this.call("execute", { sql, parameters: parameters.map(sqlValue) });
  }

  /** First column of every row, as JavaScript values. */
  async values(sql: string): Promise<unknown[]> {
    const { rows } = await this.call("execute", { sql });
    return rows.map(({ values }) => values[0]?.kind.value);
  }
}

export type SqlValue = null | bigint | number | string | Uint8Array;

/** A `Value`: a number becomes a REAL. */
export function sqlValue(value: SqlValue): MessageInitShape<typeof ValueSchema> {
  if (value === null) return { kind: { case: "nullValue", value: NullValue.NULL_VALUE } };
  if (typeof value === "bigint") return { kind: { case: "integerValue", value } };
  if (typeof value === "number") return { kind: { case: "realValue", value } };
  if (typeof value === "string") return { kind: { case: "textValue", value } };
  return { kind: { case: "blobValue", value } };
}

/** Rejects with a `DriverError` of this reason: for `assert.rejects`. */
export function reason(wanted: Reason): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof DriverError, `a DriverError, not ${String(error)}`);
    assert.equal(error.reason, wanted, error.message);
    return true;
  };
}

/** Creates a table that an earlier test with the same engine may have created. */
export async function ensureTable(test: TestEngine, name: string, definition: string): Promise<void> {
  const [count] = await test.values(`SELECT count(*) FROM sqlite_schema WHERE name = '${name}'`);
  if (count === 0n) await test.sql(`CREATE TABLE ${name}(${definition})`);
}

/** A statement that never ends and answers no row meanwhile. */
export const ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n";

/** The context of a call whose client gives it so much time. */
export function within(timeoutMs: number): Pick<CallContext, "deadlineMs"> {
  return { deadlineMs: monotonicMs() + timeoutMs };
}

/** The context of a call without a deadline, by a client that may write. */
export function contextOf(context: Partial<CallContext>): CallContext {
  return {
    deadlineMs: Number.POSITIVE_INFINITY,
    signal: new AbortController().signal,
    role: "read-write",
    requestId: "test",
    ...context,
  };
}

/**
 * Engines for the tests of a `describe`. One with the limits given here is started once and shared, one with limits of its own is
 * stopped after its test.
 */
export function useEngines(
  sharedLimits: Partial<EngineLimits> = {},
): (limits?: Partial<EngineLimits>) => Promise<TestEngine> {
  let shared: Promise<TestEngine> | undefined;
  let ofTest: TestEngine[] = [];
  afterEach(async () => {
    await Promise.all(ofTest.map((engine) => engine.stop()));
    ofTest = [];
  });
  after(async () => {
    await (await shared)?.stop();
  });
  return async (limits) => {
    if (limits === undefined) {
      shared ??= TestEngine.start(sharedLimits);
      return await shared;
    }
    const engine = await TestEngine.start(limits);
    ofTest.push(engine);
    return engine;
  };
}
