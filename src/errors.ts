/**
 * The one error type of the project and the closed set of reasons it can have.
 *
 * A reason is the public, stable name of what went wrong; the status a gRPC client sees follows from it and from nothing
 * else. Foreign errors (SQLite, the file system, the parser) become a `DriverError` once, where they enter, and a gRPC
 * status or an exit code once, where they leave.
 */

/** The canonical status names of gRPC (https://grpc.io/docs/guides/status-codes/) that this project answers. */
export type StatusName =
  | "UNKNOWN"
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "DATA_LOSS"
  | "UNAUTHENTICATED";

/** Every reason and the status it is answered with. */
export const STATUS_OF_REASON = {
  INVALID_REQUEST: "INVALID_ARGUMENT",
  SQL_ERROR: "INVALID_ARGUMENT",
  REQUEST_ID_REUSED: "INVALID_ARGUMENT",

  PROJECT_NOT_FOUND: "NOT_FOUND",
  TRANSACTION_NOT_FOUND: "NOT_FOUND",
  TABLE_NOT_FOUND: "NOT_FOUND",
  FILE_NOT_FOUND: "NOT_FOUND",
  ENTITY_NOT_FOUND: "NOT_FOUND",
  SERVICE_NOT_FOUND: "NOT_FOUND",

  PATH_OUTSIDE_PROJECT: "PERMISSION_DENIED",
  FILE_NOT_READABLE: "PERMISSION_DENIED",
  STATEMENT_NOT_ALLOWED: "PERMISSION_DENIED",
  ROLE_NOT_ALLOWED: "PERMISSION_DENIED",
  UNAUTHENTICATED: "UNAUTHENTICATED",

  ANSWER_NOT_KEPT: "ALREADY_EXISTS",
  CONSTRAINT_UNIQUE: "ALREADY_EXISTS",
  TABLE_ALREADY_EXISTS: "ALREADY_EXISTS",
  CONSTRAINT_FOREIGN_KEY: "FAILED_PRECONDITION",
  CONSTRAINT_CHECK: "FAILED_PRECONDITION",
  CONSTRAINT_NOT_NULL: "FAILED_PRECONDITION",
  CONSTRAINT_TRIGGER: "FAILED_PRECONDITION",
  CONSTRAINT_DATATYPE: "FAILED_PRECONDITION",
  TEMP_TABLE_STATE: "FAILED_PRECONDITION",
  FILE_NOT_INDEXABLE: "FAILED_PRECONDITION",
  DATABASE_READ_ONLY: "FAILED_PRECONDITION",
  TRANSACTION_BUSY: "FAILED_PRECONDITION",

  OVERLOADED: "UNAVAILABLE",
  DRAINING: "UNAVAILABLE",
  DATABASE_BUSY: "UNAVAILABLE",
  /** Found by a client, never sent: nothing answers at the driver's address, or the call broke off. */
  DRIVER_UNREACHABLE: "UNAVAILABLE",

  DEADLINE_EXCEEDED: "DEADLINE_EXCEEDED",
  CANCELLED: "CANCELLED",
  TRANSACTION_EXPIRED: "ABORTED",
  SNAPSHOT_EXPIRED: "ABORTED",

  DISK_FULL: "RESOURCE_EXHAUSTED",
  LIMIT_EXCEEDED: "RESOURCE_EXHAUSTED",

  DATABASE_CORRUPT: "DATA_LOSS",
  COMMIT_OUTCOME_UNKNOWN: "UNKNOWN",
  NOT_IMPLEMENTED: "UNIMPLEMENTED",
  INTERNAL: "INTERNAL",
} as const satisfies Record<string, StatusName>;

/** `ErrorInfo.domain` of every error that a client gets. */
export const ERROR_DOMAIN = "code-analysis-driver";

/** A stable, public name of what went wrong: `ErrorInfo.reason` on the wire. */
export type Reason = keyof typeof STATUS_OF_REASON;

/** What a `DriverError` carries beside its reason and message. */
export interface DriverErrorOptions {
  /** What the operator or caller should do about it, one sentence. */
  readonly hint?: string;
  /** SQLite's extended result code by name, for example `SQLITE_CONSTRAINT_UNIQUE`. */
  readonly sqliteCode?: string;
  /** The request field that is at fault, in proto spelling, for example `file_path`. */
  readonly field?: string;
  /** How long a client should wait before it tries again, in milliseconds. */
  readonly retryAfterMs?: number;
  /** The error this one was made from; for logs, never sent to a client. */
  readonly cause?: unknown;
}

/** The plain form of a `DriverError`, as it crosses a process border. */
export interface SerializedDriverError extends Omit<DriverErrorOptions, "cause"> {
  readonly reason: Reason;
  readonly message: string;
}

/** An error of this project: one sentence that says what happened to which object, with a stable reason. */
export class DriverError extends Error {
  readonly reason: Reason;
  readonly hint: string | undefined;
  readonly sqliteCode: string | undefined;
  readonly field: string | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(reason: Reason, message: string, options: DriverErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.name = "DriverError";
    this.reason = reason;
    this.hint = options.hint;
    this.sqliteCode = options.sqliteCode;
    this.field = options.field;
    this.retryAfterMs = options.retryAfterMs;
  }

  /** The status a gRPC client sees. */
  get status(): StatusName {
    return STATUS_OF_REASON[this.reason];
  }

  /** The message followed by the hint: what a person should read. */
  get sentence(): string {
    return withHint(this.message, this.hint);
  }

  toJSON(): SerializedDriverError {
    return {
      reason: this.reason,
      message: this.message,
      ...(this.hint !== undefined && { hint: this.hint }),
      ...(this.sqliteCode !== undefined && { sqliteCode: this.sqliteCode }),
      ...(this.field !== undefined && { field: this.field }),
      ...(this.retryAfterMs !== undefined && { retryAfterMs: this.retryAfterMs }),
    };
  }

  static fromJSON({ reason, message, ...options }: SerializedDriverError): DriverError {
    return new DriverError(reason, message, options);
  }

  /** Any thrown value as a `DriverError`; what is not one already is a defect of ours, hence `INTERNAL`. */
  static from(error: unknown): DriverError {
    if (error instanceof DriverError) return error;
    const message = messageOf(error);
    return new DriverError("INTERNAL", message, { cause: error });
  }
}

/** What a thrown value says. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}

/** The name that the system, Node.js or SQLite gave to what went wrong, for example `ENOENT`; undefined where there is none. */
export function codeOf(thrown: unknown): string | undefined {
  return thrown instanceof Error && "code" in thrown && typeof thrown.code === "string" ? thrown.code : undefined;
}

/** A message followed by its hint. Those of SQLite end without a full stop. */
export function withHint(message: string, hint: string | undefined): string {
  if (hint === undefined) return message;
  return /[.!?…]$/.test(message) ? `${message} ${hint}` : `${message}. ${hint}`;
}

/** A word of a command that a hint tells to type, as a POSIX shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** How long a client should wait for the driver that comes after this one, in milliseconds. */
const DRAINING_RETRY_MS = 1_000;

/** The driver is going down. */
export function draining(message = "The driver is shutting down."): DriverError {
  return new DriverError("DRAINING", message, { retryAfterMs: DRAINING_RETRY_MS });
}

/** Ends an exhaustive switch: does not compile while a case is missing. */
export function assertNever(value: never): never {
  throw new DriverError("INTERNAL", `unexpected value ${JSON.stringify(value)}`);
}
