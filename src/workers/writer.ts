/**
 * Entry file of the writer process: the one connection that writes. It takes all waiting writes, runs each in a savepoint inside
 * one transaction, commits once, and only then answers (`GroupCommit`). An interactive transaction has the connection to
 * itself; the main process sends nothing else while it is open.
 */
import { statSync } from "node:fs";
import { DriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { type Connection, openConnection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { DriverTables } from "./driver-tables.js";
import { CommitFailedError, GroupCommit, type Outcome, type PendingWrite } from "./group-commit.js";
import { announce, type WorkerCall, WorkerHost, workerOptions } from "./host.js";
import { commitResponse, connectDatabase, EXCLUSIVE_OPERATIONS } from "./operations/exclusive.js";
import { READ_OPERATIONS, STREAM_OPERATIONS, WRITE_OPERATIONS } from "./operations/tables.js";
import type { DatabaseWorkerOptions } from "./reader.js";
import { RequestField, stringField } from "./request-fields.js";
import { assertStatementGateWorks, Session } from "./session.js";
import { StreamRunner } from "./stream-runner.js";

/** What the writer tells the main process when it serves. */
export interface WriterInfo {
  readonly commitSeq: string;
  readonly sqliteVersion: string;
  /** Encoded `RecoveryReport` of this connect, in base64. */
  readonly recovery: string;
  readonly schemaHash: string;
}

/** The writes of one commit: enough to share an fsync among many, few enough to keep the wait of the first one short. */
const MAX_BATCH_WRITES = 512;
/** Pages in the WAL from which on the writer copies them into the database when it is idle; SQLite's own default. */
const CHECKPOINT_PAGES = 1_000;
/** A second commit that fails within this time ends the process: the disk is not coming back by reopening a file. */
const COMMIT_FAILURE_WINDOW_MS = 60_000;

const { databasePath, limits } = workerOptions<DatabaseWorkerOptions>();

let session: Session;
let tables: DriverTables;
let commits: GroupCommit;
let lastCommitFailureMs = Number.NEGATIVE_INFINITY;
const queue: WorkerCall[] = [];
let isScheduled = false;

const host = new WorkerHost({
  onCall: (call) => {
    queue.push(call);
    schedule();
  },
  onCancel: (callId) => {
    const index = queue.findIndex(({ id }) => id === callId);
    if (index >= 0) queue.splice(index, 1);
    streams.cancel(callId);
  },
  onPull: (callId) => streams.pull(callId),
});
const streams = new StreamRunner(host, schedule);

/** Writes that arrive in the same turn of the event loop share a commit. */
function schedule(): void {
  if (isScheduled) return;
  isScheduled = true;
  setImmediate(() => {
    isScheduled = false;
    runQueue();
  });
}

function runQueue(): void {
  while (queue.length > 0 && !streams.isBusy) {
    if (session.connection.inTransaction) runInTransaction();
    else if (takeExclusive()) continue;
    else runBatch();
    // Let what has arrived meanwhile join the next batch.
    if (queue.length > 0) {
      schedule();
      break;
    }
  }
  if (!session.connection.inTransaction && !streams.isBusy) checkpointWhenDue();
}

/** Runs the call at the head of the queue when it is one that has the connection to itself. */
function takeExclusive(): boolean {
  const call = queue[0];
  const run = call && EXCLUSIVE_OPERATIONS[call.operation];
  if (call === undefined || run === undefined) return false;
  queue.shift();
  if (monotonicMs() >= call.deadlineMs) {
    host.fail(call.id, new DriverError("DEADLINE_EXCEEDED", "The deadline passed before the call was started."));
    return true;
  }
  answer(
    call,
    () => commits.earlierAnswer(call) ?? run(session, call.request, { tables, log: (line) => host.log("warn", line) }),
  );
  return true;
}

function runBatch(): void {
  const writes: PendingWrite[] = [];
  while (writes.length < MAX_BATCH_WRITES) {
    const call = queue[0];
    if (call === undefined || EXCLUSIVE_OPERATIONS[call.operation] !== undefined) break;
    queue.shift();
    const run = WRITE_OPERATIONS[call.operation];
    // Sent before its client could know that SQLite has rolled the transaction back: it must not run outside of it.
    if (isOfTransaction(call)) host.fail(call.id, transactionLost());
    else if (run === undefined) host.fail(call.id, new DriverError("INTERNAL", `The writer has no ${call.operation}.`));
    else writes.push({ ...call, run });
  }
  try {
    const outcomes = commits.run(writes);
    for (const { id } of writes) acknowledge(id, outcomes.get(id));
    committed();
  } catch (error) {
    if (!(error instanceof CommitFailedError)) throw error;
    for (const { id } of writes) host.fail(id, outcomeUnknown(error.cause));
    afterCommitFailure(error.cause);
  }
}

function acknowledge(callId: number, outcome: Outcome | undefined): void {
  if (outcome === undefined) host.fail(callId, new DriverError("INTERNAL", "The write has no outcome."));
  else if ("response" in outcome) host.respond(callId, outcome.response);
  else host.fail(callId, outcome.error);
}

function committed(): void {
  host.event({ type: "committed", commitSeq: tables.commitSeq().toString() });
}

/** The open interactive transaction: its calls run one by one, each in a savepoint. */
function runInTransaction(): void {
  const call = queue.shift();
  if (call === undefined) return;
  session.commitSeq = 0n;
  if (call.operation === "commitTransaction") commitTransaction(call);
  else if (!isOfTransaction(call) && call.operation !== "rollbackTransaction") {
    // Acknowledged inside somebody else's transaction, it would be lost with it.
    host.fail(call.id, new DriverError("INTERNAL", `A call of ${call.operation} reached the writer in a transaction.`));
  } else if (call.operation === "rollbackTransaction") {
    answer(call, () => {
      session.connection.exec("ROLLBACK");
      return Buffer.alloc(0);
    });
  } else if (STREAM_OPERATIONS[call.operation] !== undefined) {
    const run = STREAM_OPERATIONS[call.operation];
    if (run !== undefined) streams.start(session, call, run);
  } else {
    const run = WRITE_OPERATIONS[call.operation] ?? READ_OPERATIONS[call.operation];
    answer(call, () => {
      if (run === undefined) throw new DriverError("INTERNAL", `The writer has no ${call.operation}.`);
      return commits.runInTransaction({ ...call, run });
    });
    if (!session.connection.inTransaction) {
      host.event({ type: "transactionLost", error: transactionLost().toJSON() });
    }
  }
}

function isOfTransaction({ request }: WorkerCall): boolean {
  return stringField(request, RequestField.TRANSACTION_ID) !== "";
}

function transactionLost(): DriverError {
  return new DriverError("TRANSACTION_EXPIRED", "SQLite rolled the transaction back when a statement failed.", {
    hint: "Begin a new transaction.",
  });
}

function commitTransaction(call: WorkerCall): void {
  try {
    host.respond(call.id, commits.commitInteractive({ ...call, run: commitResponse }));
    committed();
  } catch (error) {
    if (error instanceof CommitFailedError) {
      host.fail(call.id, outcomeUnknown(error.cause));
      afterCommitFailure(error.cause);
    } else {
      host.fail(call.id, fromSqliteError(error));
    }
  }
}

function answer(call: WorkerCall, run: () => Uint8Array): void {
  try {
    host.respond(call.id, run());
  } catch (error) {
    host.fail(call.id, fromSqliteError(error));
  }
}

function outcomeUnknown(cause: DriverError): DriverError {
  return new DriverError("COMMIT_OUTCOME_UNKNOWN", `The commit failed: ${cause.message}.`, {
    hint: "Ask again with the same request_id; without one, look whether the write is there.",
    ...(cause.sqliteCode !== undefined && { sqliteCode: cause.sqliteCode }),
  });
}

/** What a connection has in its caches after a failed fsync may not be what is on the disk: start from the disk. */
function afterCommitFailure(error: DriverError): void {
  host.event({ type: "commitFailed", error: error.toJSON() });
  session.connection.close();
  const now = performance.now();
  const isSecond = now - lastCommitFailureMs < COMMIT_FAILURE_WINDOW_MS;
  lastCommitFailureMs = now;
  try {
    if (isSecond) throw error;
    open();
    const verdict: unknown = session.connection.pragma("quick_check(1)", { simple: true });
    if (verdict !== "ok") throw new DriverError("DATABASE_CORRUPT", `quick_check says: ${String(verdict)}.`);
    host.event({ type: "reopened", commitSeq: tables.commitSeq().toString() });
  } catch (fatal) {
    host.log("error", "the writer cannot go on after a failed commit", { reason: DriverError.from(fatal).message });
    host.flush();
    process.exit(1);
  }
}

/** A failure costs nothing that was committed: it is all in the WAL, and the next checkpoint copies it. */
function checkpointWhenDue(): void {
  try {
    const [progress] = session.connection.pragma("wal_checkpoint(NOOP)") as { log: number; checkpointed: number }[];
    if (progress === undefined || progress.log - progress.checkpointed < CHECKPOINT_PAGES) return;
    // The answers need not wait for the copying.
    host.flush();
    session.connection.pragma("wal_checkpoint(PASSIVE)");
    if (walBytes() > limits.maxWalBytes) truncateWal(session.connection);
  } catch (thrown) {
    const error = fromSqliteError(thrown);
    if (error.reason === "DATABASE_CORRUPT") host.event({ type: "corrupt", error: error.toJSON() });
    host.log("warn", "the WAL could not be copied into the database", { reason: error.message });
  }
}

function walBytes(): number {
  return statSync(`${databasePath}-wal`, { throwIfNoEntry: false })?.size ?? 0;
}

/** TRUNCATE waits for readers as long as the busy timeout says; writes must not wait for that. */
function truncateWal(connection: Connection): void {
  const timeoutMs: unknown = connection.pragma("busy_timeout", { simple: true });
  connection.pragma("busy_timeout = 0");
  try {
    connection.pragma("wal_checkpoint(TRUNCATE)");
  } finally {
    connection.pragma(`busy_timeout = ${String(timeoutMs)}`);
  }
}

function open(): void {
  const connection = openConnection(databasePath, { role: "writer" });
  session = new Session(connection, limits);
  tables = new DriverTables(connection);
  commits = new GroupCommit(session, tables, host.guard);
}

await announce(host, () => {
  assertStatementGateWorks();
  open();
  const info: WriterInfo = {
    ...connectDatabase(session, (line) => host.log("warn", line)),
    commitSeq: tables.commitSeq().toString(),
    sqliteVersion: session.connection.prepare("SELECT sqlite_version()").pluck().get() as string,
  };
  return info;
});
