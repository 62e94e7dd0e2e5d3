/**
 * Entry file of the writer process: the one connection that writes. It takes all waiting writes, runs each in a savepoint inside
 * one transaction, commits once, and only then answers (`GroupCommit`). An interactive transaction has the connection to
 * itself; the main process sends nothing else while it is open.
 */
import { DriverError, draining } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { type Connection, openConnection, setPragma } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { acquireDriverPresence } from "../sqlite/presence-lock.js";
import { CommitFailedError, inTransaction, rewriteHeader } from "../sqlite/transaction.js";
import { hasFramesBehindEnd, inspectWal, walBytes } from "../sqlite/wal.js";
import { boundOf, UNBOUND } from "./call-bound.js";
import type { CommitBatch } from "./events.js";
import { GroupCommit, type Outcome, type PendingWrite } from "./group-commit.js";
import { announce, exitWorker, type WorkerCall, WorkerHost, workerOptions } from "./host.js";
import { LockWait, lockedOut } from "./lock-wait.js";
import { oncePerTurn } from "./once-per-turn.js";
import { connectDatabase } from "./operations/connect.js";
import { commitResponse, EXCLUSIVE_OPERATIONS } from "./operations/exclusive.js";
import { STREAM_OPERATIONS, TRANSACTION_READ_OPERATIONS, WRITE_OPERATIONS } from "./operations/tables.js";
import { queuedCalls } from "./queued-calls.js";
import type { DatabaseWorkerOptions } from "./reader.js";
import { RequestField, stringField } from "./request-fields.js";
import { assertStatementGateWorks } from "./session.js";
import { StreamRunner } from "./stream-runner.js";
import { WriterSession } from "./writer-session.js";

/** What the writer tells the main process when it serves. */
export interface WriterInfo {
  /** The last commit that was there when the database was opened: what an earlier process left. */
  readonly foundCommitSeq: string;
  /** The last commit now; connecting can make one of its own. */
  readonly commitSeq: string;
  readonly sqliteVersion: string;
  /** Projects whose files an earlier process has not connected, ended in the middle of an IndexProject. */
  readonly unresolvedProjects: readonly string[];
  /** Encoded `RecoveryReport` of this connect, in base64. */
  readonly recovery: string;
}

/** The writes of one commit: enough to share an fsync among many, few enough to keep the wait of the first one short. */
const MAX_BATCH_WRITES = 512;
/** Pages that the writer leaves in the WAL when it is idle; SQLite's own default. */
const IDLE_CHECKPOINT_PAGES = 1_000;
/** Pages in the WAL from which on it copies them into the database even when it is busy: 32 MiB with the usual page size. */
const BUSY_CHECKPOINT_PAGES = 8_000;
/** Without a write for this long the writer counts as idle, in milliseconds. */
const IDLE_AFTER_MS = 100;
/** How long a call waits for a stream of the same transaction of which nothing is read, in milliseconds. */
const MAX_STALL_MS = 2_000;
/** How long one attempt to get the write lock takes at most, in milliseconds. */
const LOCK_ATTEMPT_MS = 500;
/** How long a start waits for a migration that wants no driver beside it. */
const PRESENCE_WAIT_MS = 5_000;

const { databasePath, limits } = workerOptions<DatabaseWorkerOptions>();

let session: WriterSession;
let commits: GroupCommit;
const queue: WorkerCall[] = [];
/** Writes that arrive in the same turn of the event loop share a commit. */
const schedule = oncePerTurn(runQueue);
/** Since when the first call of the queue has waited; undefined while it is empty. */
let waitingSinceMs: number | undefined;
/** Nothing runs before the database is open, or when the parent is gone. */
let isOpen = false;
let isDraining = false;
const lockWait = new LockWait(limits.maxLockWaitMs);
let idleTimer: NodeJS.Timeout | undefined;
let stallTimer: NodeJS.Timeout | undefined;

const onWork = () => {
  waitingSinceMs ??= monotonicMs();
  schedule();
};
const calls = queuedCalls(queue, onWork, () => streams);
const host = new WorkerHost({
  ...calls,
  onCall: (call) => {
    if (call.operation === "drain") drain(call);
    else calls.onCall(call);
  },
});
const streams: StreamRunner = new StreamRunner(host, schedule);

/** The driver is going down: from now on nothing waits for a lock. Heard at once, and not in the turn of the call. */
function drain({ id }: WorkerCall): void {
  isDraining = true;
  host.respond(id, Buffer.alloc(0));
}

function runQueue(): void {
  if (!isOpen) return;
  if (streams.isBusy) watchStream();
  while (queue.length > 0 && !streams.isBusy) {
    if (session.connection.inTransaction) runInTransaction();
    else if (!takeExclusive()) runBatch();
    waitingSinceMs = queue.length > 0 ? monotonicMs() : undefined;
    // Let what has arrived meanwhile join the next batch.
    if (queue.length > 0) {
      schedule();
      break;
    }
  }
  if (session.connection.inTransaction || streams.isBusy) return;
  checkpointWhenDue(BUSY_CHECKPOINT_PAGES);
  clearTimeout(idleTimer);
  idleTimer = setTimeout(() => {
    if (queue.length === 0 && !session.connection.inTransaction) checkpointWhenDue(IDLE_CHECKPOINT_PAGES);
  }, IDLE_AFTER_MS);
}

/**
 * A call of the transaction waits for a stream of the same transaction to end. Its client may be reading it; but one that waits for
 * this call before it reads on would wait for ever.
 */
function watchStream(): void {
  if (queue.length === 0 || stallTimer !== undefined) return;
  stallTimer = setTimeout(() => {
    stallTimer = undefined;
    if (!streams.isBusy) return;
    if (streams.stalledMs >= MAX_STALL_MS) passStalledStream();
    watchStream();
  }, MAX_STALL_MS);
}

/** The client's wish to commit ends the stream; other calls are refused and the stream stays. */
function passStalledStream(): void {
  for (let call = queue[0]; call !== undefined; call = queue[0]) {
    if (call.operation === "commitTransaction") {
      streams.abort(transactionBusy("The stream was ended because its transaction is committed and nobody read on."));
      return;
    }
    queue.shift();
    host.fail(call.id, transactionBusy("A Query of the same transaction is open and nobody reads on."));
  }
}

function transactionBusy(message: string): DriverError {
  return new DriverError("TRANSACTION_BUSY", message, {
    hint: "Read it to its end, or cancel it, before the next call of the transaction.",
  });
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
  session.bound = boundOf(call, host.guard, limits);
  try {
    host.respond(call.id, commits.earlierAnswer(call) ?? run(session, call.request));
    lockWait.end();
  } catch (thrown) {
    const error = fromSqliteError(thrown);
    if (error instanceof CommitFailedError) {
      commitFailed([call], error);
      return true;
    }
    if (!isLockedOut(error)) host.fail(call.id, error);
    else putBack([call]);
  } finally {
    session.bound = UNBOUND;
  }
  committed();
  return true;
}

function runBatch(): void {
  const begunMs = monotonicMs();
  const waitMs = begunMs - (waitingSinceMs ?? begunMs);
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
    const waiting: PendingWrite[] = [];
    for (const write of writes) {
      const outcome = outcomes.get(write.id);
      if (outcome !== undefined && "error" in outcome && isLockedOut(outcome.error)) waiting.push(write);
      else acknowledge(write.id, outcome);
    }
    if (waiting.length > 0) putBack(waiting);
    else lockWait.end();
    committed({ writes: writes.length - waiting.length, waitMs, commitMs: commits.takeCommitMs() });
  } catch (error) {
    if (!(error instanceof CommitFailedError)) throw error;
    commitFailed(writes, error);
  }
}

function acknowledge(callId: number, outcome: Outcome | undefined): void {
  if (outcome === undefined) host.fail(callId, new DriverError("INTERNAL", "The write has no outcome."));
  else if ("response" in outcome) host.respond(callId, outcome.response);
  else host.fail(callId, outcome.error);
}

/** True when a call could not begin because another process holds the write lock. */
function isLockedOut({ sqliteCode }: DriverError): boolean {
  return sqliteCode === "SQLITE_BUSY" && !session.connection.inTransaction;
}

/**
 * Nothing of `calls` has run; those that have waited long enough for the lock are answered, and the others are the next again, after
 * what has been cancelled meanwhile was taken out.
 */
function putBack(calls: readonly WorkerCall[]): void {
  if (!lockWait.isLockedOut) host.log("warn", "another process has locked the database; writes wait for it");
  const now = monotonicMs();
  const waiting = calls.filter(({ id, deadlineMs }) => lockWait.refused(id, now) && now < deadlineMs && !isDraining);
  const isWaiting = new Set(waiting);
  for (const call of calls) {
    if (!isWaiting.has(call)) host.fail(call.id, isDraining ? draining() : lockedOut(limits.maxLockWaitMs));
  }
  queue.unshift(...waiting);
}

/** The answers leave now: they need not wait for a checkpoint or for the next batch. */
function committed(batch?: CommitBatch): void {
  const commitSeq = session.tables.commitSeq().toString();
  host.event({ type: "committed", commitSeq, ...(batch !== undefined && { batch }) });
  host.flush();
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
    const run = WRITE_OPERATIONS[call.operation] ?? TRANSACTION_READ_OPERATIONS[call.operation];
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
    if (error instanceof CommitFailedError) commitFailed([call], error);
    else host.fail(call.id, fromSqliteError(error));
  }
}

function answer(call: WorkerCall, run: () => Uint8Array): void {
  try {
    host.respond(call.id, run());
  } catch (error) {
    host.fail(call.id, fromSqliteError(error));
  }
}

/**
 * What a connection has in its caches after a failed fsync may not be what is on the disk: start from the disk. How often that may
 * happen, the main process decides: it outlives this one.
 */
function commitFailed(calls: readonly WorkerCall[], error: CommitFailedError): void {
  // They had the lock.
  lockWait.end();
  for (const { id } of calls) host.fail(id, error);
  host.event({ type: "commitFailed", error: error.cause.toJSON() });
  session.connection.close();
  try {
    open();
    const verdict: unknown = session.connection.pragma("quick_check(1)", { simple: true });
    if (verdict !== "ok") throw new DriverError("DATABASE_CORRUPT", `quick_check says: ${String(verdict)}.`);
    const recovery = prepareToServe();
    const { tables } = session;
    const unresolvedProjects = tables.unresolvedProjects();
    host.event({ type: "reopened", commitSeq: tables.commitSeq().toString(), recovery, unresolvedProjects });
  } catch (fatal) {
    if (fatal instanceof CommitFailedError) host.event({ type: "commitFailed", error: fatal.cause.toJSON() });
    host.log("error", "the writer cannot go on after a failed commit", { reason: DriverError.from(fatal).message });
    host.flush();
    exitWorker(1);
  }
}

/** A failure costs nothing that was committed: it is all in the WAL, and the next checkpoint copies it. */
function checkpointWhenDue(pages: number): void {
  try {
    const { frames, copiedFrames } = inspectWal(session.connection);
    if (frames - copiedFrames < pages) return;
    session.connection.pragma("wal_checkpoint(PASSIVE)");
    if (walBytes(session.connection) > limits.maxWalBytes) truncateWal(session.connection);
  } catch (thrown) {
    const error = fromSqliteError(thrown);
    if (error.reason === "DATABASE_CORRUPT") host.event({ type: "corrupt", error: error.toJSON() });
    host.log("warn", "the WAL could not be copied into the database", { reason: error.message });
  }
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
  session = new WriterSession(
    connection,
    limits,
    (line) => {
      host.log("warn", line);
      host.event({ type: "recovered" });
    },
    (errorType) => host.event({ type: "indexingError", errorType }),
  );
  commits = new GroupCommit(session, host.guard);
  // The last connection that closes removes the WAL. One that still reads for a stream cannot be closed; then recovery does it.
  host.onEnd = () => {
    isOpen = false;
    if (!streams.isBusy) connection.close();
  };
}

/**
 * Writes a commit over what stands behind the end of the WAL: that of a COMMIT that failed, or in which a writer was killed. It would
 * be there after the next recovery of the WAL, although its caller, who is answered only after this, was told that it is not. One
 * frame is enough, however many are to go: the checksum of each includes all before it.
 *
 * It waits for a lock no longer than opening the database did, which takes the same one. A full disk is no hindrance to what is
 * written in place; where a file system cannot do that, the driver ends, and the next one's recovery decides what is there.
 */
function overwriteLostCommit(connection: Connection): void {
  if (hasFramesBehindEnd(connection)) inTransaction(connection, () => rewriteHeader(connection));
}

/** @returns what `connectDatabase` does; from then on nothing waits inside of SQLite for long: meanwhile nobody could be answered. */
function prepareToServe(): string {
  overwriteLostCommit(session.connection);
  const recovery = connectDatabase(session);
  setPragma(session.connection, { name: "busy_timeout", value: Math.min(LOCK_ATTEMPT_MS, limits.maxLockWaitMs) });
  return recovery;
}

await announce(host, async () => {
  assertStatementGateWorks();
  const presence = await acquireDriverPresence(databasePath, PRESENCE_WAIT_MS);
  process.once("exit", () => presence.release());
  if (presence.otherDriver !== null) {
    host.log(
      "warn",
      `the database is also open in ${presence.otherDriver}: both serve it, and their writes take turns`,
    );
  }
  open();
  const foundCommitSeq = session.tables.commitSeq().toString();
  const info: WriterInfo = {
    recovery: prepareToServe(),
    foundCommitSeq,
    commitSeq: session.tables.commitSeq().toString(),
    sqliteVersion: session.connection.prepare("SELECT sqlite_version()").pluck().get() as string,
    unresolvedProjects: session.tables.unresolvedProjects(),
  };
  isOpen = true;
  if (queue.length > 0) schedule();
  return info;
});
