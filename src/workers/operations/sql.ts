import { ExecuteRequestSchema, QueryRequestSchema } from "../../../gen/code_analysis/driver/v1/sql_pb.js";
import type { Value } from "../../../gen/code_analysis/driver/v1/value_pb.js";
import { DriverError } from "../../errors.js";
import type { Statement } from "../../sqlite/connection.js";
import { fromSqliteError } from "../../sqlite/errors.js";
import type { WorkerLimits } from "../limits.js";
import type { Session } from "../session.js";
import { type SqliteValue, WireWriter } from "../wire-writer.js";
import { decodeBatch } from "./batch-request.js";
import { decodeRequest, type UnaryOperation } from "./operation.js";

/** Field numbers that ExecuteResponse, StatementResult, QueryResponse and SelectResponse share. */
const Field = { COLUMNS: 1, ROWS: 2, TRUNCATED: 3, AFFECTED_ROWS: 4, LAST_INSERT_ROWID: 5, COMMIT_SEQ: 6 } as const;
const BatchField = { RESULTS: 1, COMMIT_SEQ: 2 } as const;

/** A stream message is sent when it has grown to this size: large messages make a stream several times as fast. */
const STREAM_MESSAGE_BYTES = 48 * 1024;

/** How much of a result one answer holds. */
interface ResultLimits {
  readonly maxRows: number;
  readonly maxBytes: number;
}

interface ClientStatement {
  readonly sql: string;
  readonly parameters: readonly Value[];
  readonly namedParameters: Readonly<Record<string, Value>>;
}

export const execute: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(ExecuteRequestSchema, bytes);
  const writer = new WireWriter();
  const limits = { maxRows: rowLimit(session, request.maxRows), maxBytes: session.limits.maxExecuteBytes };
  runStatement(session, request, limits, writer);
  writer.int64(Field.COMMIT_SEQ, session.commitSeq);
  return writer.take();
};

export const executeBatch: UnaryOperation = (session, bytes) => {
  const { statements, maxRows } = decodeBatch(bytes, session.limits);
  if (statements.length === 0) {
    throw new DriverError("INVALID_REQUEST", "The batch has no statement.", { field: "statements" });
  }
  const limit = rowLimit(session, maxRows);
  const writer = new WireWriter();
  const result = new WireWriter();
  for (const [index, statement] of statements.entries()) {
    const maxBytes = session.limits.maxExecuteBytes - writer.length;
    try {
      runStatement(session, statement, { maxRows: limit, maxBytes }, result);
    } catch (error) {
      throw inBatch(error, index);
    }
    writer.bytes(BatchField.RESULTS, result.take());
  }
  writer.int64(BatchField.COMMIT_SEQ, session.commitSeq);
  return writer.take();
};

export function* query(session: Session, bytes: Uint8Array): Generator<Buffer> {
  const { sql, parameters, namedParameters } = decodeRequest(QueryRequestSchema, bytes);
  const statement = session.prepareReadingStatement(sql);
  yield* streamRows(session, statement, boundValues(session, statement, { sql, parameters, namedParameters }));
}

/**
 * The rows of a reading statement as `QueryResponse` messages; the first one carries the columns. A row is not divided, and several
 * messages are on their way at a time: a row of any size would make the main process that large.
 *
 * @throws DriverError `LIMIT_EXCEEDED` for a row of more than `maxRequestBytes`
 */
export function* streamRows(session: Session, statement: Statement, parameters: unknown[]): Generator<Buffer> {
  if (!statement.reader) {
    runWithoutRows(statement, parameters);
    yield Buffer.alloc(0);
    return;
  }
  const writer = new WireWriter();
  let hasColumns = false;
  const rows = iterate(statement, parameters);
  try {
    for (;;) {
      const row = next(rows);
      // Known only now: after a schema change SQLite compiles the statement anew at its first step.
      if (!hasColumns) writeColumns(statement, writer);
      hasColumns = true;
      if (row === undefined) break;
      if (!writer.row(Field.ROWS, row, session.limits.maxRequestBytes)) throw rowTooLarge(session.limits);
      if (writer.length >= STREAM_MESSAGE_BYTES) yield writer.take();
    }
    if (writer.length > 0) yield writer.take();
  } finally {
    rows.return?.();
  }
}

/**
 * Runs one statement and writes its result: the fields of `StatementResult`.
 *
 * @throws DriverError as the statement's failure asks for.
 */
function runStatement(session: Session, client: ClientStatement, limits: ResultLimits, writer: WireWriter): void {
  const statement = session.prepareClientStatement(client.sql);
  const parameters = boundValues(session, statement, client);
  if (!statement.reader) {
    const { changes, lastInsertRowid } = runWithoutRows(statement, parameters);
    if (!statement.readonly) writeChanges(session, statement, changes, lastInsertRowid, writer);
    return;
  }
  const rows = iterate(statement, parameters);
  let rowCount = 0;
  let isTruncated = false;
  try {
    for (let row = next(rows); ; row = next(rows)) {
      if (rowCount === 0) writeColumns(statement, writer);
      if (row === undefined) break;
      isTruncated = rowCount === limits.maxRows || !writer.row(Field.ROWS, row, limits.maxBytes - writer.length);
      if (isTruncated) break;
      rowCount++;
    }
  } finally {
    rows.return?.();
  }
  writer.bool(Field.TRUNCATED, isTruncated);
  if (!statement.readonly) {
    const [changes, rowid] = session.changes();
    writeChanges(session, statement, changes, rowid, writer);
  }
}

function writeChanges(
  session: Session,
  statement: Statement,
  changes: number | bigint,
  rowid: number | bigint,
  writer: WireWriter,
): void {
  writer.int64(Field.AFFECTED_ROWS, changes);
  if (changes > 0 && session.factsOf(statement).reportsRowid) writer.optionalInt64(Field.LAST_INSERT_ROWID, rowid);
}

function rowTooLarge({ maxRequestBytes }: WorkerLimits): DriverError {
  return new DriverError("LIMIT_EXCEEDED", `A row of the result has more than ${maxRequestBytes} bytes.`, {
    hint: "Select fewer columns, or a part of a value with substr(), or raise --max-request-bytes.",
  });
}

function rowLimit(session: Session, requested: number): number {
  const { maxExecuteRows } = session.limits;
  if (requested > maxExecuteRows) {
    throw new DriverError("INVALID_REQUEST", `max_rows is ${requested}; at most ${maxExecuteRows} are answered.`, {
      field: "max_rows",
      hint: "Use Query for long results.",
    });
  }
  return requested === 0 ? maxExecuteRows : requested;
}

function writeColumns(statement: Statement, writer: WireWriter): void {
  for (const { name, type } of statement.columns()) writer.column(Field.COLUMNS, name, type ?? "");
}

function iterate(statement: Statement, parameters: unknown[]): Iterator<SqliteValue[]> {
  try {
    return statement.iterate(...parameters) as IterableIterator<SqliteValue[]>;
  } catch (error) {
    throw fromSqliteError(error);
  }
}

function next(rows: Iterator<SqliteValue[]>): SqliteValue[] | undefined {
  try {
    const { done, value } = rows.next();
    return done ? undefined : value;
  } catch (error) {
    throw fromSqliteError(error);
  }
}

function runWithoutRows(
  statement: Statement,
  parameters: unknown[],
): { changes: number; lastInsertRowid: number | bigint } {
  try {
    return statement.run(...parameters);
  } catch (error) {
    throw fromSqliteError(error);
  }
}

/** Arguments for a better-sqlite3 call: positional values, then one object with the named ones. */
function boundValues(
  session: Session,
  statement: Statement,
  { parameters, namedParameters }: ClientStatement,
): unknown[] {
  const values = parameters.map((value, index) => bindable(value, `parameters[${index}]`));
  const named: [string, unknown][] = Object.entries(namedParameters).map(([name, value]) => [
    // With or without the prefix that the SQL text uses.
    name.replace(/^[:@$]/, ""),
    bindable(value, `named_parameters[${name}]`),
  ]);
  const numbers = new Set(session.factsOf(statement).numberedParameters);
  for (const number of numbers) {
    const value = values[number - 1];
    if (value !== undefined) named.push([String(number), value]);
  }
  const positional = values.filter((_value, index) => !numbers.has(index + 1));
  return named.length === 0 ? positional : [...positional, Object.fromEntries(named)];
}

/** A `Value` as better-sqlite3 binds it: a bigint becomes INTEGER and a number REAL. */
export function bindable({ kind }: Value, field: string): SqliteValue {
  switch (kind.case) {
    case "nullValue":
      return null;
    case "blobValue":
      return Buffer.from(kind.value.buffer, kind.value.byteOffset, kind.value.byteLength);
    case "integerValue":
    case "realValue":
    case "textValue":
      return kind.value;
    case undefined:
      throw new DriverError("INVALID_REQUEST", `The value ${field} is empty.`, {
        field,
        hint: "Set one member of Value; null is null_value.",
      });
  }
}

function inBatch(error: unknown, index: number): DriverError {
  const { reason, message, hint, sqliteCode } = DriverError.from(error);
  return new DriverError(reason, `statements[${index}] failed, and none took effect: ${message}`, {
    field: `statements[${index}].sql`,
    cause: error,
    ...(hint !== undefined && { hint }),
    ...(sqliteCode !== undefined && { sqliteCode }),
  });
}
