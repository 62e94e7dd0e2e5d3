import { create, toBinary } from "@bufbuild/protobuf";
import {
  type CreateTableRequest,
  CreateTableRequestSchema,
  CreateTableResponseSchema,
  DropTableRequestSchema,
  DropTableResponseSchema,
} from "../../../gen/code_analysis/driver/v1/schema_pb.js";
import { DriverError } from "../../errors.js";
import { fromSqliteError } from "../../sqlite/errors.js";
import { foldName, inMain, quoteIdentifier } from "../../sqlite/identifiers.js";
import type { Session } from "../session.js";
import { findTable, type LiveTable, requireWritableTable } from "./live-table.js";
import { decodeRequest, type UnaryOperation } from "./operation.js";
import { createTableSql, expressionSql } from "./table-definition.js";

/** Creates the table of a `CreateTableRequest`. */
export const createTable: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(CreateTableRequestSchema, bytes);
  const sql = createTableSql(request);
  assertDefaultsCompile(session, request);
  const existing = findTable(session.connection, request.table);
  if (existing !== undefined && !request.ifNotExists) {
    throw new DriverError("TABLE_ALREADY_EXISTS", `There is a ${existing.kind} ${existing.name} already.`, {
      field: "table",
    });
  }
  if (existing === undefined) {
    assertNotMigrating(session, request.table);
    run(session, sql);
    assertColumnsAsRequested(session, request);
  }
  return toBinary(
    CreateTableResponseSchema,
    create(CreateTableResponseSchema, {
      created: existing === undefined,
      sql: storedSql(session, existing?.name ?? request.table),
      commitSeq: session.commitSeq,
    }),
  );
};

/** Drops the table of a `DropTableRequest`, unless rows of other tables reference it. */
export const dropTable: UnaryOperation = (session, bytes) => {
  const { table: name, ifExists } = decodeRequest(DropTableRequestSchema, bytes);
  const isThere = findTable(session.connection, name) !== undefined;
  if (isThere || !ifExists) {
    const table = requireWritableTable(session.connection, name);
    assertDroppable(session, table);
    run(session, `DROP TABLE ${inMain(table.name)}`);
  }
  return toBinary(
    DropTableResponseSchema,
    create(DropTableResponseSchema, { dropped: isThere, commitSeq: session.commitSeq }),
  );
};

function run(session: Session, sql: string): void {
  try {
    session.prepareClientStatement(sql).run();
  } catch (error) {
    throw fromSqliteError(error);
  }
}

/** SQLite looks at the functions of a DEFAULT when a row is inserted: a table must not turn out to be unusable then. */
function assertDefaultsCompile({ connection }: Session, { columns }: CreateTableRequest): void {
  for (const [index, { default: given }] of columns.entries()) {
    if (given.case !== "defaultExpression") continue;
    const field = `columns[${index}].default_expression`;
    try {
      // In a WHERE clause, because aggregate functions are refused there as well.
      connection.prepare(`SELECT 1 WHERE ${expressionSql(given.value, field)}`);
    } catch (error) {
      const { reason, message, ...details } = fromSqliteError(error).toJSON();
      throw new DriverError(reason, `The default cannot be compiled: ${message}.`, { ...details, field, cause: error });
    }
  }
}

/** A table that stands in the way would keep recovery from renaming the old one back. */
function assertNotMigrating({ connection }: Session, name: string): void {
  const temporary = findTable(connection, `temp_${name}`);
  if (temporary === undefined) return;
  throw new DriverError(
    "TEMP_TABLE_STATE",
    `${temporary.name} may hold the rows of ${name} that an interrupted migration left.`,
    { field: "table", hint: "Call Recover, or run `config_cli doctor`." },
  );
}

/** A type may hold words that SQLite takes for a constraint: what resulted must have exactly the types that were asked for. */
function assertColumnsAsRequested({ connection }: Session, { table, columns }: CreateTableRequest): void {
  const rows = connection.pragma(`main.table_xinfo(${quoteIdentifier(table)})`) as { name: string; type: string }[];
  const isSameType = (a: string, b: string) => foldName(a) === foldName(b);
  for (const [index, { name, type }] of columns.entries()) {
    const actual = rows[index];
    if (actual?.name !== name || !isSameType(actual.type, type)) {
      throw new DriverError("INVALID_REQUEST", `SQLite does not read ${JSON.stringify(type)} as a type.`, {
        field: `columns[${index}].type`,
      });
    }
  }
  if (rows.length !== columns.length) throw new DriverError("INTERNAL", `${table} has columns nobody asked for.`);
}

function storedSql({ connection }: Session, table: string): string {
  const select = "SELECT sql FROM main.sqlite_schema WHERE type IN ('table', 'view') AND name = ? COLLATE NOCASE";
  const sql: unknown = connection.prepare(select).pluck().get(table);
  return typeof sql === "string" ? sql : "";
}

function assertDroppable(session: Session, { name, kind }: LiveTable): void {
  if (kind === "view") throw new DriverError("INVALID_REQUEST", `${name} is a view, not a table.`, { field: "table" });
  if (foldName(name).startsWith("temp_")) {
    throw new DriverError("STATEMENT_NOT_ALLOWED", `${name} may hold rows that an interrupted migration left.`, {
      field: "table",
      hint: "`config_cli doctor` shows what is in it.",
    });
  }
  const child = referencingTable(session, name);
  if (child !== undefined) {
    throw new DriverError("CONSTRAINT_FOREIGN_KEY", `Rows of ${child} reference ${name}.`, {
      field: "table",
      hint: `Delete those rows or drop ${child} first.`,
    });
  }
}

/**
 * A table other than `name` with rows that reference it. DROP TABLE deletes the rows first, and ON DELETE CASCADE would silently
 * take those of other tables with them (https://sqlite.org/foreignkeys.html#fk_schemacommands).
 */
function referencingTable({ connection }: Session, name: string): string | undefined {
  const tables = connection
    .prepare("SELECT name FROM main.sqlite_schema WHERE type = 'table'")
    .pluck()
    .all() as string[];
  for (const child of tables) {
    if (foldName(child) === foldName(name)) continue;
    const rows = connection.pragma(`main.foreign_key_list(${quoteIdentifier(child)})`) as ForeignKeyRow[];
    const columnsOfKey = new Map<number, string[]>();
    for (const { id, table, from } of rows) {
      if (foldName(table) === foldName(name)) columnsOfKey.set(id, [...(columnsOfKey.get(id) ?? []), from]);
    }
    for (const columns of columnsOfKey.values()) {
      const hasKey = columns.map((column) => `${quoteIdentifier(column)} IS NOT NULL`).join(" AND ");
      if (connection.prepare(`SELECT 1 FROM ${inMain(child)} WHERE ${hasKey} LIMIT 1`).get() !== undefined)
        return child;
    }
  }
  return undefined;
}

interface ForeignKeyRow {
  readonly id: number;
  readonly table: string;
  readonly from: string;
}
