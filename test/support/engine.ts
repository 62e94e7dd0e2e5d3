import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import type { CallContext, StreamMethodName, UnaryMethodName } from "../../src/engine/call.js";
import { DriverEngine, type EngineOptions } from "../../src/engine/driver-engine.js";
import type { EngineLimits } from "../../src/engine/limits.js";

export const TEST_LIMITS: EngineLimits = {
  maxExecuteRows: 1_000,
  maxExecuteBytes: 1_000_000,
  maxBatchStatements: 1_000,
  maxStatementMs: 10_000,
  maxFileBytes: 5_000_000,
  maxParseMs: 10_000,
  maxWalBytes: 64 * 1024 * 1024,
  maxQueuedWrites: 1_000,
  maxQueuedReads: 1_000,
  maxTransactions: 4,
  defaultTransactionTtlMs: 5_000,
  maxTransactionTtlMs: 60_000,
  maxStreams: 2,
  maxSnapshotAgeMs: 30_000,
  readers: 2,
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
  readonly #folder: string;

  private constructor(folder: string, databasePath: string, limits: Partial<EngineLimits>) {
    this.#folder = folder;
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
    const test = new TestEngine(folder, databasePath, limits);
    await test.engine.start();
    return test;
  }

  async stop(): Promise<void> {
    await this.engine.close();
    rmSync(this.#folder, { recursive: true });
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

  /** First column of every row, as JavaScript values. */
  async values(sql: string): Promise<unknown[]> {
    const { rows } = await this.call("execute", { sql });
    return rows.map(({ values }) => values[0]?.kind.value);
  }
}

function contextOf(context: Partial<CallContext>): CallContext {
  return { deadlineMs: Number.POSITIVE_INFINITY, signal: new AbortController().signal, role: "read-write", ...context };
}
