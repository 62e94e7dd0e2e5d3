import type { SerializedDriverError } from "../errors.js";

/** What a worker tells the main process besides answers. */
export type WorkerEvent =
  /** The worker serves; `info` is what its kind promises (`WriterInfo` for the writer). */
  | { readonly type: "ready"; readonly info: unknown }
  /** The worker cannot serve and ends. */
  | { readonly type: "failed"; readonly error: SerializedDriverError }
  | { readonly type: "log"; readonly level: LogLevel; readonly message: string; readonly fields: object }
  /** Every answer up to this commit was sent. Comes after the answers, so a lost answer is never taken for a given one. */
  | { readonly type: "committed"; readonly commitSeq: string }
  /** The interactive transaction is over although nobody asked for it: SQLite rolled it back. */
  | { readonly type: "transactionLost"; readonly error: SerializedDriverError }
  /** A commit failed with an I/O error; the worker reopens the database. */
  | { readonly type: "commitFailed"; readonly error: SerializedDriverError }
  /** The database is open again after a failed commit; `recovery` as in `WriterInfo`. */
  | { readonly type: "reopened"; readonly commitSeq: string; readonly recovery: string }
  /** The database is damaged. */
  | { readonly type: "corrupt"; readonly error: SerializedDriverError };

export type LogLevel = "debug" | "info" | "warn" | "error";
