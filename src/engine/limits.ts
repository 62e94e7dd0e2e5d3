import type { WorkerLimits } from "../workers/limits.js";

/** Every limit that the engine keeps; `GetDriverInfo` shows those that a client can meet. Times in milliseconds, sizes in bytes. */
export interface EngineLimits extends WorkerLimits {
  /** Writes that may wait or run at the same time; the next one is answered `OVERLOADED`. */
  readonly maxQueuedWrites: number;
  /** Reads that may wait or run at the same time, likewise. */
  readonly maxQueuedReads: number;
  /** Files of `IndexFile` that may wait or be indexed at the same time, likewise. */
  readonly maxQueuedFiles: number;
  /** Interactive transactions that may be open or wait to be opened. Only one is open at a time: SQLite has one writer. */
  readonly maxTransactions: number;
  readonly defaultTransactionTtlMs: number;
  readonly maxTransactionTtlMs: number;
  /** Streams that may run at the same time; each has a reader process to itself. As many again may wait. */
  readonly maxStreams: number;
  /** Age of a stream, and so of its read snapshot, at which it is ended: an old snapshot keeps the WAL from shrinking. */
  readonly maxSnapshotAgeMs: number;
  /** Reader processes for unary reads. */
  readonly readers: number;
  /** Time without a call after which a reader process ends, unless it is the last of those for unary reads or for streams. */
  readonly maxReaderIdleMs: number;
  readonly parsers: number;
}
