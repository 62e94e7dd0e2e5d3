import type { SerializedDriverError } from "../errors.js";
import type { IndexingErrorType } from "../indexer/entities.js";

/** Writes that were committed together. Times in milliseconds. */
export interface CommitBatch {
  readonly writes: number;
  /** How long the first of them had waited in the writer when the batch was begun. */
  readonly waitMs: number;
  /** How long COMMIT took, which is mostly the fsync of the write-ahead log. */
  readonly commitMs: number;
}

/** What a worker tells the main process besides answers. */
export type WorkerEvent =
  /** The worker serves; `info` is what its kind promises (`WriterInfo` for the writer). */
  | { readonly type: "ready"; readonly info: unknown }
  /** The worker cannot serve and ends. */
  | { readonly type: "failed"; readonly error: SerializedDriverError }
  | { readonly type: "log"; readonly level: LogLevel; readonly message: string; readonly fields: object }
  /** Every answer up to this commit was sent. Comes after the answers, so a lost answer is never taken for a given one. */
  | { readonly type: "committed"; readonly commitSeq: string; readonly batch?: CommitBatch }
  /** The interactive transaction is over although nobody asked for it: SQLite rolled it back. */
  | { readonly type: "transactionLost"; readonly error: SerializedDriverError }
  /** A commit failed with an I/O error; the worker reopens the database. */
  | { readonly type: "commitFailed"; readonly error: SerializedDriverError }
  /** The database is open again after a failed commit; the rest as in `WriterInfo`. */
  | {
      readonly type: "reopened";
      readonly commitSeq: string;
      readonly recovery: string;
      readonly unresolvedProjects: readonly string[];
    }
  /** Recovery has changed something in the database. */
  | { readonly type: "recovered" }
  /** A row of this type was stored in `indexing_errors`. */
  | { readonly type: "indexingError"; readonly errorType: IndexingErrorType }
  /** A backup has copied everything and let go of its snapshot; the check of the copy comes next. */
  | { readonly type: "copied" }
  /** The database is damaged. */
  | { readonly type: "corrupt"; readonly error: SerializedDriverError };

export type LogLevel = "debug" | "info" | "warn" | "error";
