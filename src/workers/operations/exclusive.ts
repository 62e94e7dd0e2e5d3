import { create, toBinary } from "@bufbuild/protobuf";
import { CommitTransactionResponseSchema } from "../../../gen/code_analysis/driver/v1/transaction_pb.js";
import { DriverError } from "../../errors.js";
import { isTempTableFailure } from "../../schema/recovery.js";
import { inspectRecoveryState } from "../../schema/recovery-states.js";
import type { Connection } from "../../sqlite/connection.js";
import { foldName } from "../../sqlite/identifiers.js";
import { keptAnswer } from "../driver-tables.js";
import { decodeMessage, encodeMessage, type InspectedTables } from "../index-messages.js";
import { missingTable } from "../missing-table.js";
import { RequestField, stringField } from "../request-fields.js";
import { finishProject } from "./indexing.js";
import type { ExclusiveOperation, WriteOperation } from "./operation.js";
import { recover, syncSchema } from "./schema.js";

const EMPTY = Buffer.alloc(0);

/** Operations that have the writer's connection to themselves. */
export const EXCLUSIVE_OPERATIONS: Readonly<Record<string, ExclusiveOperation>> = {
  beginTransaction: ({ connection }) => {
    connection.exec("BEGIN IMMEDIATE");
    return EMPTY;
  },
  /** There is none, or it would have been answered inside: SQLite has rolled it back already. */
  rollbackTransaction: () => EMPTY,
  /** The transaction is gone: answers a repeated commit from the request log. */
  commitTransaction: ({ tables }, request) => {
    const requestId = stringField(request, RequestField.REQUEST_ID);
    const earlier = requestId === "" ? undefined : tables.findRequest(requestId);
    if (earlier !== undefined) return keptAnswer(requestId, earlier);
    const id = stringField(request, RequestField.TRANSACTION_ID);
    throw new DriverError("TRANSACTION_NOT_FOUND", `There is no open transaction ${id}.`, { field: "transaction_id" });
  },
  /** Copies the whole WAL into the database; for the end of the process. */
  checkpoint: ({ connection }) => {
    connection.pragma("wal_checkpoint(TRUNCATE)");
    return EMPTY;
  },
  /** Whether a failure (its message) has to do with a temporary table of a migration, or the database is in such a state. */
  inspectTempTables: ({ connection, schema }, request) => {
    const { message } = decodeMessage<{ message: string }>(request);
    const tables = schema.managedTables;
    const isTemporary =
      isTempTableFailure(new Error(message), tables) ||
      isThereAgain(message, tables, connection) ||
      inspectRecoveryState(connection, tables).some(({ action }) => action !== "none");
    return encodeMessage({ isTemporary } satisfies InspectedTables);
  },
  finishProject,
  recover,
  syncSchema,
};

/** The failure missed a managed table that is there now: somebody, another call's recovery say, has brought it back. */
function isThereAgain(message: string, managedTables: readonly string[], connection: Connection): boolean {
  const missing = missingTable(message);
  if (missing === undefined || !managedTables.some((table) => foldName(table) === foldName(missing))) return false;
  const find = "SELECT 1 FROM main.sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE";
  return connection.prepare(find).get(missing) !== undefined;
}

/** The answer to `CommitTransaction`, made inside the transaction so that it is remembered with it. */
export const commitResponse: WriteOperation = ({ commitSeq }) =>
  toBinary(CommitTransactionResponseSchema, create(CommitTransactionResponseSchema, { commitSeq }));
