import type { StreamOperation, UnaryOperation } from "./operation.js";
import { execute, executeBatch, query } from "./sql.js";

/** Operations that change the database; the writer runs them in group commits and in interactive transactions. */
export const WRITE_OPERATIONS: Readonly<Record<string, UnaryOperation>> = {
  execute,
  executeBatch,
};

/** Operations that only read: readers run them, and the writer does for a call inside an interactive transaction. */
export const READ_OPERATIONS: Readonly<Record<string, UnaryOperation>> = {
  execute,
  /** Tells that the worker is idle. */
  ping: () => Buffer.alloc(0),
};

/** Operations that read and answer a stream; they run where `READ_OPERATIONS` do. */
export const STREAM_OPERATIONS: Readonly<Record<string, StreamOperation>> = {
  query,
};
