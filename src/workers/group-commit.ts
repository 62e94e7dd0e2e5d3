import { DriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import type { Statement } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { CommitFailedError, commitOpen } from "../sqlite/transaction.js";
import { type DriverTables, keptAnswer } from "./driver-tables.js";
import type { WorkerCall } from "./host.js";
import { explainMissingTable } from "./missing-table.js";
import type { WriteOperation } from "./operations/operation.js";
import { RequestField, stringField } from "./request-fields.js";
import { requestHash } from "./request-hash.js";
import type { StatementGuard } from "./watchdog.js";
import type { WriterSession } from "./writer-session.js";

/** A write that waits to be run. */
export interface PendingWrite extends WorkerCall {
  readonly run: WriteOperation;
}

/** Longest `request_id`, in bytes of UTF-8; a UUID has 36. */
const MAX_REQUEST_ID_BYTES = 128;

/** What a write came to: the response to send once the commit has returned, or why there is none. */
export type Outcome = { readonly response: Uint8Array } | { readonly error: DriverError };

/** Points at which a test can stop the process or make it fail. */
export interface Failpoints {
  beforeCommit?(): void;
  afterCommitBeforeAck?(): void;
}

type Attempt =
  | { readonly kind: "committed"; readonly outcomes: Map<number, Outcome> }
  /** The whole transaction ended while this write ran; the others were undone with it. */
  | { readonly kind: "interrupted"; readonly culprit: PendingWrite; readonly error: DriverError }
  /** COMMIT was refused for a reason that one of the writes has given: a deferred foreign key, a full disk. */
  | { readonly kind: "refused"; readonly error: DriverError };

/**
 * Runs many writes in one transaction and one fsync, each in a savepoint of its own, so that they fail alone and commit
 * together; a single one is the whole transaction. Nothing may be acknowledged before `run` has returned.
 *
 * Subtle: `INSERT OR ROLLBACK`, `RAISE(ROLLBACK)`, a full disk and an I/O error end the *outer* transaction
 * (https://sqlite.org/lang_conflict.html); the next SAVEPOINT would then open, and commit, a transaction of its own. So
 * `inTransaction` is looked at after every write, and the writes that went down with a culprit run again without it.
 */
export class GroupCommit {
  readonly #session: WriterSession;
  readonly #tables: DriverTables;
  readonly #guard: StatementGuard;
  readonly #failpoints: Failpoints;
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #savepoint: Statement;
  readonly #release: Statement;
  readonly #rollbackTo: Statement;
  #commitMs = 0;

  constructor(session: WriterSession, guard: StatementGuard, failpoints: Failpoints = {}) {
    const { connection } = session;
    this.#session = session;
    this.#tables = session.tables;
    this.#guard = guard;
    this.#failpoints = failpoints;
    this.#begin = connection.prepare("BEGIN IMMEDIATE");
    this.#commit = connection.prepare("COMMIT");
    this.#rollback = connection.prepare("ROLLBACK");
    this.#savepoint = connection.prepare("SAVEPOINT request");
    this.#release = connection.prepare("RELEASE request");
    this.#rollbackTo = connection.prepare("ROLLBACK TO request");
  }

  /**
   * Runs and commits `writes`, in order, and returns the outcome of each by call id.
   *
   * @throws CommitFailedError when it is unknown whether the writes are on disk.
   */
  run(writes: readonly PendingWrite[]): Map<number, Outcome> {
    const outcomes = new Map<number, Outcome>();
    let pending = writes;
    const add = (more: ReadonlyMap<number, Outcome>): void => {
      for (const [id, outcome] of more) outcomes.set(id, outcome);
    };
    while (pending.length > 0) {
      const attempt = this.#attempt(pending);
      if (attempt.kind === "committed") {
        add(attempt.outcomes);
        break;
      }
      if (attempt.kind === "interrupted") {
        const { culprit, error } = attempt;
        const at = pending.indexOf(culprit);
        // The earlier ones are committed before the rest is tried: none runs again for every culprit that may follow.
        add(this.run(pending.slice(0, at)));
        outcomes.set(culprit.id, { error });
        pending = pending.slice(at + 1);
      } else if (pending.length === 1) {
        add(allFailed(pending, attempt.error));
        break;
      } else {
        // Alone, each write shows whether it is the one: a bad request fails alone.
        for (const write of pending) add(this.run([write]));
        break;
      }
    }
    return outcomes;
  }

  /** How long COMMIT has taken since this was last asked, in milliseconds. */
  takeCommitMs(): number {
    const commitMs = this.#commitMs;
    this.#commitMs = 0;
    return commitMs;
  }

  /**
   * Runs one write inside the transaction that is open, in a savepoint of its own.
   *
   * @throws DriverError why it failed; `connection.inTransaction` then tells whether the transaction survived.
   */
  runInTransaction(write: PendingWrite): Uint8Array {
    return this.#guarded(write, () => {
      this.#savepoint.run();
      try {
        const response = this.#answer(write);
        this.#release.run();
        return response;
      } catch (error) {
        if (this.#session.connection.inTransaction) {
          this.#rollbackTo.run();
          this.#release.run();
        }
        throw error;
      }
    });
  }

  /**
   * Runs the only write of the transaction that is open. It needs no savepoint, which would cost much where the write is a large
   * one: SQLite copies every page that is changed inside a savepoint, and at the end of each statement walks the list of them.
   *
   * @throws DriverError why it failed; the transaction is then gone.
   */
  #runAlone(write: PendingWrite): Uint8Array {
    return this.#guarded(write, () => {
      try {
        return this.#answer(write);
      } catch (error) {
        if (this.#session.connection.inTransaction) this.#rollback.run();
        throw error;
      }
    });
  }

  #guarded(write: PendingWrite, run: () => Uint8Array): Uint8Array {
    const now = monotonicMs();
    if (now >= write.deadlineMs) {
      throw new DriverError("DEADLINE_EXCEEDED", "The deadline passed before the call was started; it did not run.");
    }
    this.#guard.enter(write.id, Math.min(write.deadlineMs, now + this.#session.limits.maxStatementMs));
    try {
      return run();
    } catch (error) {
      throw explainMissingTable(this.#session.connection, error);
    } finally {
      this.#guard.leave();
    }
  }

  /**
   * Commits the open interactive transaction for `call`, remembering the answer when the call has a `request_id`.
   *
   * @throws DriverError why SQLite refused; the transaction was rolled back.
   * @throws CommitFailedError when the outcome is unknown.
   */
  commitInteractive(call: PendingWrite): Uint8Array {
    const commitSeq = this.#tables.commitSeq() + 1n;
    this.#session.commitSeq = commitSeq;
    const response = this.runInTransaction(call);
    const refusal = this.#commitAs(commitSeq);
    if (refusal !== null) throw refusal;
    return response;
  }

  /**
   * The answer that a write with this `request_id` was given before, or null.
   *
   * @throws DriverError `REQUEST_ID_REUSED` when it was another request, or `ANSWER_NOT_KEPT`.
   */
  earlierAnswer(call: WorkerCall): Uint8Array | null {
    const requestId = requestIdOf(call);
    return requestId === ""
      ? null
      : this.#earlierAnswer(requestId, requestHash(call.operation, call.request, this.#session.limits));
  }

  #attempt(writes: readonly PendingWrite[]): Attempt {
    const { connection } = this.#session;
    let commitSeq: bigint;
    try {
      this.#begin.run();
      commitSeq = this.#tables.commitSeq() + 1n;
    } catch (error) {
      if (connection.inTransaction) connection.exec("ROLLBACK");
      return { kind: "committed", outcomes: allFailed(writes, fromSqliteError(error)) };
    }
    this.#session.commitSeq = commitSeq;
    const outcomes = new Map<number, Outcome>();
    let hasResponse = false;
    const isAlone = writes.length === 1;
    for (const write of writes) {
      try {
        outcomes.set(write.id, { response: isAlone ? this.#runAlone(write) : this.runInTransaction(write) });
        hasResponse = true;
      } catch (thrown) {
        const error = DriverError.from(thrown);
        if (!connection.inTransaction) return { kind: "interrupted", culprit: write, error };
        outcomes.set(write.id, { error });
      }
    }
    const refusal = this.#commitAs(hasResponse ? commitSeq : null);
    return refusal === null ? { kind: "committed", outcomes } : { kind: "refused", error: refusal };
  }

  /**
   * Commits the open transaction as number `commitSeq`, or without a number when nothing in it succeeded. Returns null, or why
   * SQLite refused, in which case the transaction was rolled back.
   *
   * @throws CommitFailedError when the outcome is unknown.
   */
  #commitAs(commitSeq: bigint | null): DriverError | null {
    try {
      commitOpen(this.#session.connection, () => {
        if (commitSeq !== null) this.#tables.setCommitSeq(commitSeq);
        this.#failpoints.beforeCommit?.();
        const begunMs = monotonicMs();
        this.#commit.run();
        this.#commitMs += monotonicMs() - begunMs;
      });
    } catch (thrown) {
      if (thrown instanceof CommitFailedError) throw thrown;
      return fromSqliteError(thrown);
    }
    this.#failpoints.afterCommitBeforeAck?.();
    return null;
  }

  /** Runs the write, or gives the answer that its `request_id` was given before. */
  #answer(write: PendingWrite): Uint8Array {
    const requestId = requestIdOf(write);
    if (requestId === "") return write.run(this.#session, write.request);
    const hash = requestHash(write.operation, write.request, this.#session.limits);
    const earlier = this.#earlierAnswer(requestId, hash);
    if (earlier !== null) return earlier;
    const response = write.run(this.#session, write.request);
    this.#tables.rememberRequest(requestId, hash, response);
    return response;
  }

  #earlierAnswer(requestId: string, hash: Buffer): Uint8Array | null {
    const earlier = this.#tables.findRequest(requestId);
    if (earlier === undefined) return null;
    if (earlier.requestHash.equals(hash)) return keptAnswer(requestId, earlier);
    throw new DriverError("REQUEST_ID_REUSED", `The request_id ${requestId} was used for another request.`, {
      field: "request_id",
      hint: "Give every new request an id of its own.",
    });
  }
}

function allFailed(writes: readonly PendingWrite[], error: DriverError): Map<number, Outcome> {
  return new Map(writes.map(({ id }) => [id, { error }]));
}

/** @throws DriverError `INVALID_REQUEST` for an id that is too long, or inside a transaction, whose commit may carry one. */
function requestIdOf({ operation, request }: WorkerCall): string {
  const requestId = stringField(request, RequestField.REQUEST_ID);
  if (requestId === "") return requestId;
  const field = { field: "request_id" };
  if (Buffer.byteLength(requestId) > MAX_REQUEST_ID_BYTES) {
    throw new DriverError("INVALID_REQUEST", `The request_id is longer than ${MAX_REQUEST_ID_BYTES} bytes.`, field);
  }
  if (operation !== "commitTransaction" && stringField(request, RequestField.TRANSACTION_ID) !== "") {
    throw new DriverError("INVALID_REQUEST", "A call inside a transaction cannot have a request_id.", {
      ...field,
      hint: "Give it to CommitTransaction: a transaction is repeated as a whole.",
    });
  }
  return requestId;
}
