import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type Value, ValueSchema } from "../../gen/code_analysis/driver/v1/value_pb.js";
import { DriverError, type Reason } from "../../src/errors.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { GroupCommit } from "../../src/workers/group-commit.js";
import type { WorkerLimits } from "../../src/workers/limits.js";
import type {
  ExclusiveOperation,
  StreamOperation,
  UnaryOperation,
  WriteOperation,
} from "../../src/workers/operations/operation.js";
import { Session } from "../../src/workers/session.js";
import { StatementGuard } from "../../src/workers/watchdog.js";
import type { SqliteValue } from "../../src/workers/wire-writer.js";
import { WriterSession } from "../../src/workers/writer-session.js";

const LIMITS: WorkerLimits = {
  maxRequestBytes: 16_000_000,
  maxExecuteRows: 1_000,
  maxExecuteBytes: 3_000_000,
  maxBatchStatements: 1_000,
  maxStatementMs: 60_000,
  maxLockWaitMs: 30_000,
  maxFileBytes: 1_000_000,
  maxParseMs: 10_000,
  maxWalBytes: 1e9,
  maxPageSize: 50,
};

/** Operations on a real database file, run as the writer and a reader process run them. */
export class TestDatabase {
  readonly writer: WriterSession;
  readonly reader: Session;
  readonly #groupCommit: GroupCommit;

  constructor(path: string, limits: Partial<WorkerLimits> = {}) {
    const connection = openConnection(path, { role: "writer" });
    this.writer = new WriterSession(connection, { ...LIMITS, ...limits }, () => undefined);
    this.#groupCommit = new GroupCommit(this.writer, new StatementGuard());
    this.reader = new Session(openConnection(path, { role: "reader" }), { ...LIMITS, ...limits });
  }

  /** Runs a write in a group commit of its own and decodes the answer. */
  write<Request extends DescMessage, Response extends DescMessage>(
    run: WriteOperation,
    [request, response]: readonly [Request, Response],
    message: MessageInitShape<Request>,
  ): MessageShape<Response> {
    return fromBinary(response, this.writeBytes(run, toBinary(request, create(request, message))));
  }

  writeBytes(run: WriteOperation, request: Uint8Array): Uint8Array {
    const call = {
      id: 1,
      operation: run.name,
      deadlineMs: Number.POSITIVE_INFINITY,
      request: Buffer.from(request),
      run,
    };
    const outcome = this.#groupCommit.run([call]).get(1);
    if (outcome === undefined || "error" in outcome) throw outcome?.error ?? new Error("there is no outcome");
    return outcome.response;
  }

  /** Runs an operation that has the writer to itself. */
  exclusive<Request extends DescMessage, Response extends DescMessage>(
    run: ExclusiveOperation,
    [request, response]: readonly [Request, Response],
    message: MessageInitShape<Request>,
  ): MessageShape<Response> {
    return fromBinary(response, run(this.writer, toBinary(request, create(request, message))));
  }

  /** Runs a unary read on the reader. */
  read<Request extends DescMessage, Response extends DescMessage>(
    run: UnaryOperation,
    [request, response]: readonly [Request, Response],
    message: MessageInitShape<Request>,
  ): MessageShape<Response> {
    return fromBinary(response, run(this.reader, toBinary(request, create(request, message))));
  }

  /** All messages of a stream on the reader. */
  stream<Request extends DescMessage, Response extends DescMessage>(
    run: StreamOperation,
    [request, response]: readonly [Request, Response],
    message: MessageInitShape<Request>,
  ): MessageShape<Response>[] {
    const messages = run(this.reader, toBinary(request, create(request, message)));
    const decoded: MessageShape<Response>[] = [];
    for (let next = messages.next(); !next.done; next = messages.next()) decoded.push(fromBinary(response, next.value));
    return decoded;
  }

  exec(sql: string): void {
    this.writer.connection.exec(sql);
  }

  /** Rows by plain SQL, integers as bigints. */
  rows(sql: string, ...values: SqliteValue[]): unknown[] {
    return this.writer.connection
      .prepare(sql)
      .raw(true)
      .safeIntegers(true)
      .all(...values);
  }

  close(): void {
    this.reader.connection.close();
    this.writer.connection.close();
  }
}

/** A value of SQLite as the message that carries it. */
export function toValue(value: SqliteValue): Value {
  return create(ValueSchema, { kind: kindOf(value) });
}

function kindOf(value: SqliteValue): Value["kind"] {
  if (value === null) return { case: "nullValue", value: 0 };
  if (typeof value === "bigint") return { case: "integerValue", value };
  if (typeof value === "number") return { case: "realValue", value };
  if (typeof value === "string") return { case: "textValue", value };
  return { case: "blobValue", value: new Uint8Array(value) };
}

/** The value that a message carries. */
export function fromValue({ kind }: Value): SqliteValue {
  switch (kind.case) {
    case "nullValue":
    case undefined:
      return null;
    case "blobValue":
      return Buffer.from(kind.value);
    default:
      return kind.value;
  }
}

/** Matches a `DriverError` with this reason and, when given, this field; for `assert.throws`. */
export function failsWith(reason: Reason, field?: string): (error: unknown) => true {
  return (error) => {
    if (!(error instanceof DriverError)) throw error;
    const expected = field === undefined ? reason : `${reason} at ${field}`;
    const actual = field === undefined ? error.reason : `${error.reason} at ${error.field}`;
    if (actual !== expected) throw new Error(`${actual} instead of ${expected}: ${error.message}`, { cause: error });
    return true;
  };
}
