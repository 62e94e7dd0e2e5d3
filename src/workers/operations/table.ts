import {
  type Condition,
  ConflictAction,
  DeleteRequestSchema,
  InsertRequestSchema,
  SelectRequestSchema,
  UpdateRequestSchema,
} from "../../../gen/code_analysis/driver/v1/table_pb.js";
import type { Row } from "../../../gen/code_analysis/driver/v1/value_pb.js";
import { DriverError } from "../../errors.js";
import type { Statement } from "../../sqlite/connection.js";
import { fromSqliteError } from "../../sqlite/errors.js";
import { foldName, inMain, quoteIdentifier } from "../../sqlite/identifiers.js";
import type { Session } from "../session.js";
import { type SqliteValue, WireWriter } from "../wire-writer.js";
import { conditionSql, type SqlFragment } from "./condition.js";
import { type LiveTable, requireColumn, requireTable, requireWritableTable } from "./live-table.js";
import { decodeRequest, type UnaryOperation } from "./operation.js";
import { bindable, streamRows } from "./sql.js";

const InsertField = { AFFECTED_ROWS: 1, LAST_INSERT_ROWID: 2, COMMIT_SEQ: 3 } as const;
/** Field numbers that UpdateResponse and DeleteResponse share. */
const ChangeField = { AFFECTED_ROWS: 1, COMMIT_SEQ: 2 } as const;

const MAX_INT64 = 2n ** 63n - 1n;

/** ABORT is spelled out where it is the default: the ON CONFLICT clause of a constraint would hold otherwise. */
const CONFLICT_CLAUSES: Readonly<Partial<Record<ConflictAction, string>>> = {
  [ConflictAction.UNSPECIFIED]: "OR ABORT",
  [ConflictAction.ABORT]: "OR ABORT",
  [ConflictAction.IGNORE]: "OR IGNORE",
  [ConflictAction.REPLACE]: "OR REPLACE",
};

/** Inserts the rows of an `InsertRequest`, all or none. */
export const insert: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(InsertRequestSchema, bytes);
  const table = requireWritableTable(session.connection, request.table);
  const clause = CONFLICT_CLAUSES[request.onConflict];
  if (clause === undefined) refuse("The conflict action is not known.", "on_conflict");
  if (request.rows.length === 0) refuse("There is no row to insert.", "rows");
  const columns =
    request.columns.length === 0
      ? table.columns.filter(({ visibility }) => visibility === "normal").map(({ name }) => name)
      : writableColumns(table, request.columns, (index) => `columns[${index}]`);
  const names = columns.map(quoteIdentifier).join(",");
  const placeholders = columns.map(() => "?").join(",");
  const statement = session.prepareClientStatement(
    `INSERT ${clause} INTO ${inMain(table.name)} (${names}) VALUES (${placeholders})`,
  );
  let affectedRows = 0;
  let lastInsertRowid: number | bigint | undefined;
  for (const [index, row] of request.rows.entries()) {
    const result = insertRow(statement, row, columns.length, `rows[${index}]`);
    affectedRows += result.changes;
    if (result.changes > 0 && table.hasRowid) lastInsertRowid = result.lastInsertRowid;
  }
  const writer = new WireWriter();
  writer.int64(InsertField.AFFECTED_ROWS, affectedRows);
  if (lastInsertRowid !== undefined) writer.optionalInt64(InsertField.LAST_INSERT_ROWID, lastInsertRowid);
  writer.int64(InsertField.COMMIT_SEQ, session.commitSeq);
  return writer.take();
};

/** Changes the rows that an `UpdateRequest` names. */
export const update: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(UpdateRequestSchema, bytes);
  const table = requireWritableTable(session.connection, request.table);
  const entries = Object.entries(request.set);
  if (entries.length === 0) refuse("There is no column to change.", "set");
  const columns = writableColumns(
    table,
    entries.map(([name]) => name),
    (index) => `set[${entries[index]?.[0]}]`,
  );
  const values = entries.map(([name, value]) => bindable(value, `set[${name}]`));
  const assignments = columns.map((name) => `${quoteIdentifier(name)} = ?`).join(", ");
  const where = rowsConcerned(table, request.where, request.allRows);
  const sql = `UPDATE OR ABORT ${inMain(table.name)} SET ${assignments}${where.sql}`;
  return change(session, { sql, values: [...values, ...where.values] });
};

/** Deletes the rows that a `DeleteRequest` names. */
export const deleteRows: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(DeleteRequestSchema, bytes);
  const table = requireWritableTable(session.connection, request.table);
  const where = rowsConcerned(table, request.where, request.allRows);
  return change(session, { sql: `DELETE FROM ${inMain(table.name)}${where.sql}`, values: where.values });
};

/** The rows of a `SelectRequest` as `SelectResponse` messages. */
export function* select(session: Session, bytes: Uint8Array): Generator<Buffer> {
  const request = decodeRequest(SelectRequestSchema, bytes);
  const table = requireTable(session.connection, request.table);
  const columns =
    request.columns.length === 0
      ? table.columns.filter(({ visibility }) => visibility !== "hidden")
      : request.columns.map((name, index) => requireColumn(table, name, `columns[${index}]`));
  const values: SqliteValue[] = [];
  let sql = `SELECT ${columns.map(({ name }) => quoteIdentifier(name)).join(",")} FROM ${inMain(table.name)}`;
  if (request.where !== undefined) {
    const where = conditionSql(table, request.where, "where");
    sql += ` WHERE ${where.sql}`;
    values.push(...where.values);
  }
  const order = request.orderBy.map(({ column, isDescending }, index) => {
    const { name } = requireColumn(table, column, `order_by[${index}].column`);
    return `${quoteIdentifier(name)}${isDescending ? " DESC" : ""}`;
  });
  if (order.length > 0) sql += ` ORDER BY ${order.join(", ")}`;
  if (request.limit !== undefined || request.offset > 0n) {
    sql += " LIMIT ? OFFSET ?";
    values.push(atMostInt64(request.limit ?? MAX_INT64), atMostInt64(request.offset));
  }
  yield* streamRows(session, session.prepareClientStatement(sql), values);
}

function insertRow(statement: Statement, { values }: Row, columnCount: number, field: string) {
  if (values.length !== columnCount) {
    refuse(`The row has ${values.length} values for ${columnCount} columns.`, `${field}.values`);
  }
  const bound = values.map((value, index) => bindable(value, `${field}.values[${index}]`));
  try {
    return statement.run(bound);
  } catch (error) {
    throw at(field, error);
  }
}

function change(session: Session, { sql, values }: SqlFragment): Buffer {
  const statement = session.prepareClientStatement(sql);
  const writer = new WireWriter();
  try {
    writer.int64(ChangeField.AFFECTED_ROWS, statement.run(values).changes);
  } catch (error) {
    throw fromSqliteError(error);
  }
  writer.int64(ChangeField.COMMIT_SEQ, session.commitSeq);
  return writer.take();
}

function rowsConcerned(table: LiveTable, where: Condition | undefined, isAllRows: boolean): SqlFragment {
  if ((where === undefined) !== isAllRows) {
    refuse("Exactly one of where and all_rows must be given.", where === undefined ? "where" : "all_rows");
  }
  if (where === undefined) return { sql: "", values: [] };
  const { sql, values } = conditionSql(table, where, "where");
  return { sql: ` WHERE ${sql}`, values };
}

/** The columns as the schema spells them; each must be one that takes values and stand there once. */
function writableColumns(table: LiveTable, names: readonly string[], fieldOf: (index: number) => string): string[] {
  const seen = new Set<string>();
  return names.map((requested, index) => {
    const { name, visibility } = requireColumn(table, requested, fieldOf(index));
    if (visibility !== "normal") refuse(`The column ${name} is ${visibility} and takes no value.`, fieldOf(index));
    if (seen.has(foldName(name))) refuse(`The column ${name} is given twice.`, fieldOf(index));
    seen.add(foldName(name));
    return name;
  });
}

function atMostInt64(value: bigint): bigint {
  return value > MAX_INT64 ? MAX_INT64 : value;
}

/** The error with the part of the request at which it happened. */
function at(field: string, thrown: unknown): DriverError {
  const { reason, message, ...details } = fromSqliteError(thrown).toJSON();
  return new DriverError(reason, message, { ...details, field, cause: thrown });
}

function refuse(message: string, field: string): never {
  throw new DriverError("INVALID_REQUEST", message, { field });
}
