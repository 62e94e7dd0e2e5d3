/** Limits that operations keep; the main process takes them from the configuration and hands them to every worker. */
export interface WorkerLimits {
  /** Largest request, kept by the gRPC server, and largest row of a stream. */
  readonly maxRequestBytes: number;
  /** Rows of one `Execute` answer; the rest is cut off and `truncated` is set. */
  readonly maxExecuteRows: number;
  /** Bytes of one `Execute` answer, likewise. */
  readonly maxExecuteBytes: number;
  readonly maxBatchStatements: number;
  /** Time one statement may run, in milliseconds. */
  readonly maxStatementMs: number;
  /** Time a write waits for the lock that another process holds on the database, in milliseconds. */
  readonly maxLockWaitMs: number;
  /** Size of a source file that is indexed, in bytes. */
  readonly maxFileBytes: number;
  /** Time one source file may take to parse, in milliseconds. */
  readonly maxParseMs: number;
  /** Size of the write-ahead log past which it is truncated, in bytes. */
  readonly maxWalBytes: number;
  /** Entries of one page of a paged answer; a request for more gets this many. */
  readonly maxPageSize: number;
}
