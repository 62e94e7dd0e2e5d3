import { create, toBinary } from "@bufbuild/protobuf";
import { RecoverRequestSchema, RecoverResponseSchema } from "../../../gen/code_analysis/driver/v1/recovery_pb.js";
import {
  ColumnVisibility,
  ForeignKeyAction,
  GetTableInfoRequestSchema,
  GetTableInfoResponseSchema,
  IndexOrigin,
  ListTablesRequestSchema,
  ListTablesResponseSchema,
  SyncSchemaRequestSchema,
  SyncSchemaResponseSchema,
  type TableInfo as TableInfoMessage,
  TableInfoSchema,
  TableKind,
} from "../../../gen/code_analysis/driver/v1/schema_pb.js";
import { DriverError } from "../../errors.js";
import { BUILT_IN_SCHEMA, wantedModel } from "../../schema/built-in-schema.js";
import { compareSchemas } from "../../schema/comparator.js";
import { parseCreateTable } from "../../schema/create-table.js";
import { inspectSchema } from "../../schema/introspection.js";
import { SQLiteSchemaManager } from "../../schema/schema-manager.js";
import type { ColumnInfo, IndexInfo, TableInfo } from "../../schema/table-info.js";
import { assertDefinitionAllowed } from "../../security/statement-policy.js";
import type { Connection } from "../../sqlite/connection.js";
import { fromSqliteError } from "../../sqlite/errors.js";
import { foldName, inMain } from "../../sqlite/identifiers.js";
import { inSnapshot } from "../../sqlite/transaction.js";
import { isDriverTable, mentionsDriverTable } from "../driver-tables.js";
import { findTable, type LiveTable, requireTable } from "./live-table.js";
import { decodeRequest, type ExclusiveOperation, type UnaryOperation } from "./operation.js";
import { timedRecovery } from "./recovery-report.js";
import { schemaDriftMessages } from "./schema-drift.js";

const KINDS: Readonly<Record<LiveTable["kind"], TableKind>> = {
  table: TableKind.TABLE,
  view: TableKind.VIEW,
  virtual: TableKind.VIRTUAL,
  shadow: TableKind.SHADOW,
};

const VISIBILITIES: Readonly<Record<ColumnInfo["kind"], ColumnVisibility>> = {
  ordinary: ColumnVisibility.NORMAL,
  hidden: ColumnVisibility.HIDDEN,
  virtual: ColumnVisibility.GENERATED_VIRTUAL,
  stored: ColumnVisibility.GENERATED_STORED,
};

const INDEX_ORIGINS: Readonly<Record<IndexInfo["origin"], IndexOrigin>> = {
  index: IndexOrigin.CREATE_INDEX,
  unique: IndexOrigin.UNIQUE,
  primary_key: IndexOrigin.PRIMARY_KEY,
};

const FOREIGN_KEY_ACTIONS: Readonly<Record<string, ForeignKeyAction>> = {
  "NO ACTION": ForeignKeyAction.NO_ACTION,
  RESTRICT: ForeignKeyAction.RESTRICT,
  "SET NULL": ForeignKeyAction.SET_NULL,
  "SET DEFAULT": ForeignKeyAction.SET_DEFAULT,
  CASCADE: ForeignKeyAction.CASCADE,
};

interface TableListRow {
  readonly name: string;
  readonly type: LiveTable["kind"];
  readonly ncol: number;
}

/** The tables and views of a `ListTablesRequest`. */
export const listTables: UnaryOperation = ({ connection }, bytes) => {
  const { includeInternal } = decodeRequest(ListTablesRequestSchema, bytes);
  const tables = onDatabase(() =>
    inSnapshot(connection, () =>
      (connection.pragma("main.table_list") as TableListRow[])
        .filter((row) => includeInternal || !isInternal(row))
        .map((row) => ({ name: row.name, kind: KINDS[row.type], columnCount: columnCount(connection, row) })),
    ),
  ).sort((a, b) => (a.name < b.name ? -1 : 1));
  return toBinary(ListTablesResponseSchema, create(ListTablesResponseSchema, { tables }));
};

/** Everything about the table or view of a `GetTableInfoRequest`. */
export const getTableInfo: UnaryOperation = ({ connection }, bytes) => {
  const { table: requested, withRowCount } = decodeRequest(GetTableInfoRequestSchema, bytes);
  return onDatabase(() =>
    inSnapshot(connection, () => {
      const { name } = requireTable(connection, requested);
      const table = tableInfoMessage(new SQLiteSchemaManager(connection).getTableInfo(name));
      if (withRowCount) {
        const count = connection
          .prepare(`SELECT count(*) FROM ${inMain(name)}`)
          .pluck()
          .safeIntegers(true);
        table.rowCount = count.get() as bigint;
      }
      return toBinary(GetTableInfoResponseSchema, create(GetTableInfoResponseSchema, { table }));
    }),
  );
};

/** Creates what is missing of the wanted schema, in a transaction of its own, and says what else differs. */
export const syncSchema: ExclusiveOperation = (session, bytes) => {
  const { connection, schema } = session;
  const { schemaSql = BUILT_IN_SCHEMA } = decodeRequest(SyncSchemaRequestSchema, bytes);
  if (mentionsDriverTable(schemaSql)) {
    throw new DriverError("STATEMENT_NOT_ALLOWED", "A schema may not mention the driver's own tables.", {
      field: "schema_sql",
    });
  }
  assertDefinitionAllowed(schemaSql);
  return onDatabase(() => {
    // Reading it runs the client's statements.
    const wanted = session.bound.run(() => wantedModel(schemaSql));
    const readDrift = () => schemaDriftMessages(compareSchemas(inspectSchema(connection), wanted));
    let drift: ReturnType<typeof readDrift> | undefined;
    const { createdTables, createdObjects } = schema.createMissing(schemaSql, (create) =>
      session.commitAlone(() => {
        const created = create();
        // Now, because what is committed must not be stopped any more.
        drift = readDrift();
        return created;
      }),
    );
    drift ??= session.bound.run(readDrift);
    const hasCreated = createdTables.length + createdObjects.length > 0;
    const commitSeq = hasCreated ? session.commitSeq : 0n;
    return toBinary(
      SyncSchemaResponseSchema,
      create(SyncSchemaResponseSchema, {
        createdTables: [...createdTables],
        createdObjects: createdObjects.map(nameOfObject),
        drift,
        commitSeq,
      }),
    );
  });
};

/** Runs recovery, as on connect. */
export const recover: ExclusiveOperation = ({ schema, log }, bytes) => {
  decodeRequest(RecoverRequestSchema, bytes);
  const report = timedRecovery(() => schema.recover({ log }));
  return toBinary(RecoverResponseSchema, create(RecoverResponseSchema, { report }));
};

/** `index idx_files_path` → `idx_files_path`. */
function nameOfObject(object: string): string {
  return object.slice(object.indexOf(" ") + 1);
}

function isInternal({ name, type }: TableListRow): boolean {
  return type === "shadow" || foldName(name).startsWith("sqlite_") || isDriverTable(name);
}

/** Only virtual tables have hidden columns, and SQLite counts those too. */
function columnCount(connection: Connection, { name, type, ncol }: TableListRow): number {
  if (type !== "virtual") return ncol;
  return findTable(connection, name)?.columns.filter(({ visibility }) => visibility !== "hidden").length ?? ncol;
}

function tableInfoMessage(info: TableInfo): TableInfoMessage {
  const texts =
    info.kind === "table" && info.foreignKeys.length > 0 ? parseCreateTable(info.sql, info.name) : undefined;
  return create(TableInfoSchema, {
    name: info.name,
    kind: KINDS[info.kind],
    columns: info.columns.map(({ kind, defaultSql, ...column }) => ({
      ...column,
      visibility: VISIBILITIES[kind],
      ...(defaultSql !== undefined && { defaultSql }),
    })),
    primaryKey: info.columns
      .filter(({ primaryKeyPosition }) => primaryKeyPosition > 0)
      .sort((a, b) => a.primaryKeyPosition - b.primaryKeyPosition)
      .map(({ name }) => name),
    foreignKeys: info.foreignKeys.map((key, index) => ({
      columns: [...key.columns],
      referencedTable: key.parentTable,
      referencedColumns: [...key.parentColumns],
      onDelete: FOREIGN_KEY_ACTIONS[key.onDelete] ?? ForeignKeyAction.UNSPECIFIED,
      onUpdate: FOREIGN_KEY_ACTIONS[key.onUpdate] ?? ForeignKeyAction.UNSPECIFIED,
      isDeferred: texts?.foreignKeys[index]?.isDeferred ?? false,
    })),
    indexes: info.indexes
      .map(({ columns, origin, sql, ...index }) => ({
        ...index,
        columns: columns.map(({ name, ...column }) => ({ ...column, name: name ?? "" })),
        origin: INDEX_ORIGINS[origin],
        sql: sql ?? "",
      }))
      .sort((a, b) => (a.name < b.name ? -1 : 1)),
    triggers: info.triggers.map((trigger) => ({ ...trigger })),
    withoutRowid: info.isWithoutRowid,
    isStrict: info.isStrict,
    sql: info.sql,
  });
}

function onDatabase<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw fromSqliteError(error);
  }
}
