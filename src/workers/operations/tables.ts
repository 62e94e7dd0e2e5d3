import { removeFile, storeFailure, storeFile, storeFiles } from "./indexing.js";
import type { StreamOperation, UnaryOperation, WriteOperation } from "./operation.js";
import { registerProject } from "./project.js";
import { getTableInfo, listTables } from "./schema.js";
import { execute, executeBatch, query } from "./sql.js";
import { deleteRows, insert, select, update } from "./table.js";
import { createTable, dropTable } from "./table-ddl.js";

/** Operations that change the database; the writer runs them in group commits and in interactive transactions. */
export const WRITE_OPERATIONS: Readonly<Record<string, WriteOperation>> = {
  execute,
  executeBatch,
  insert,
  update,
  delete: deleteRows,
  createTable,
  dropTable,
  registerProject,
  storeFile,
  storeFiles,
  removeFile,
  storeFailure,
};

/** Operations that only read and can be part of an interactive transaction: the writer runs them there, else a reader. */
export const TRANSACTION_READ_OPERATIONS: Readonly<Record<string, UnaryOperation>> = {
  execute,
  listTables,
  getTableInfo,
  /** Tells that the worker is idle. */
  ping: () => Buffer.alloc(0),
};

/** Operations that read and answer a stream; they run where `TRANSACTION_READ_OPERATIONS` do. */
export const STREAM_OPERATIONS: Readonly<Record<string, StreamOperation>> = {
  query,
  select,
};
