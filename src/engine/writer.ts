import { setTimeout as delay } from "node:timers/promises";
import { fromBinary } from "@bufbuild/protobuf";
import {
  RecoverResponseSchema,
  type RecoveryReport,
  RecoveryReportSchema,
} from "../../gen/code_analysis/driver/v1/recovery_pb.js";
import { DriverError, draining, type Reason } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import type { WorkerEvent } from "../workers/events.js";
import { lockedOut } from "../workers/lock-wait.js";
import { RequestField, stringField } from "../workers/request-fields.js";
import { WorkerLostError, type WorkerProcess } from "../workers/worker-process.js";
import type { WriterInfo } from "../workers/writer.js";
import { Admission } from "./admission.js";
import type { CallContext } from "./call.js";
import type { EngineLimits } from "./limits.js";
import type { EngineObserver } from "./observer.js";
import { cancelled, WaitingLine } from "./waiting-line.js";
import type { EngineLog } from "./worker-log.js";
import { startWriterProcess } from "./writer-process.js";

/** How often the writer process may die on a write, or while it starts, before that is given up. */
const MAX_ATTEMPTS = 3;
/** Time between two attempts to open a database that another process holds, in milliseconds; SQLite itself waits longer. */
const BUSY_RETRY_MS = 100;
/** A second commit that fails within this time ends the driver: the disk is not coming back by reopening a file. */
const COMMIT_FAILURE_WINDOW_MS = 60_000;

/** Why a writer process may fail to start once and not the next time: it died, or its disk failed. */
const STUMBLES: ReadonlySet<Reason> = new Set<Reason>(["INTERNAL", "COMMIT_OUTCOME_UNKNOWN"]);

const EMPTY = Buffer.alloc(0);

/** What the writer reports about the database beside answers. */
export interface WriterObserver {
  /** The database takes writes, or does not until further notice. */
  onServing(isServing: boolean, why: string): void;
  onTransactionLost(error: DriverError): void;
  /** The writer has started and found projects whose files an earlier process has not connected. */
  onUnresolvedProjects(projectIds: readonly string[]): void;
  /** What concerns nobody's call, for metrics. */
  readonly events: EngineObserver;
  /** The driver cannot go on: the writer cannot be started again, or the disk keeps failing. */
  onFatal(error: DriverError): void;
}

/** A turn at having the writer to oneself. */
export interface ExclusiveTurn {
  /** Lets the other writes go on. */
  end(): void;
}

/**
 * The main process's side of the writer process: admits writes, holds them back while an interactive transaction is open, and
 * starts the process anew when it died.
 *
 * Subtle: while an interactive transaction is open, whatever reaches the process runs inside it. So every call, also one that is
 * sent again after the process died, looks whether somebody has the exclusive turn in the same breath in which it is sent.
 */
export class Writer {
  readonly #databasePath: string;
  readonly #limits: EngineLimits;
  readonly #log: EngineLog;
  readonly #observer: WriterObserver;
  readonly #admission: Admission;
  /** For calls inside the open transaction, which writes that wait for its end must not keep out. */
  readonly #admissionInTurn: Admission;
  /** What the driver stores itself that waits or runs. */
  #stores = 0;
  /** Writes and turns that wait for the open interactive transaction. */
  readonly #line = new WaitingLine<"write" | "turn", void>();
  #process: WorkerProcess;
  /** The last process that has taken calls; undefined before the first one has. */
  #serving: WorkerProcess | undefined;
  #started: Promise<WriterInfo>;
  /** The last commit whose answers were all received; null until the writer has told where it starts. */
  #commitSeq: bigint | null = null;
  /** The database that the restarted writer found is ahead of the acknowledgements. */
  #hasUnacknowledgedCommit = false;
  #hasExclusiveTurn = false;
  #lastRecovery: RecoveryReport | undefined;
  #lastCommitFailureMs = Number.NEGATIVE_INFINITY;

  /** @param first - The process to begin with, when it was started already. */
  constructor(
    databasePath: string,
    limits: EngineLimits,
    log: EngineLog,
    observer: WriterObserver,
    first = startWriterProcess(databasePath, limits),
  ) {
    this.#databasePath = databasePath;
    this.#limits = limits;
    this.#log = log;
    this.#observer = observer;
    this.#admission = new Admission("writes", limits.maxQueuedWrites);
    this.#admissionInTurn = new Admission("calls of the transaction", limits.maxQueuedWrites);
    this.#process = this.#follow(first);
    this.#started = this.#awaitReady(this.#process);
    // Told by `started`, to whoever asks.
    this.#started.catch(() => undefined);
  }

  /** What the writer found when it connected. Rejects with a `DriverError` when it could not. */
  get started(): Promise<WriterInfo> {
    return this.#started;
  }

  /** What recovery found and did the last time that it ran; undefined before the writer has started. */
  get lastRecovery(): RecoveryReport | undefined {
    return this.#lastRecovery;
  }

  /** Writes that wait or run, what the driver stores itself included. */
  get queueLength(): number {
    return this.#admission.calls + this.#admissionInTurn.calls + this.#stores;
  }

  /**
   * Runs one write in the next group commit and resolves once it is on disk.
   *
   * @throws DriverError of the operation, `OVERLOADED`, `DEADLINE_EXCEEDED`, `COMMIT_OUTCOME_UNKNOWN`.
   */
  async write(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    const leave = this.#admission.enter(request.length, this.#process.bufferedBytes);
    try {
      return await this.#run(operation, request, context);
    } finally {
      leave();
    }
  }

  /**
   * Like `write`, for a part of a call that was let in already: it takes no client's place, and is not refused because others have
   * filled the queue. How much of this is under way at a time, its callers bound.
   */
  async store(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    this.#admission.assertOpen();
    this.#stores++;
    try {
      return await this.#run(operation, request, context);
    } finally {
      this.#stores--;
    }
  }

  async #run(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    let mayHaveRun = false;
    for (let deaths = 0; ; ) {
      if (this.#hasExclusiveTurn) await this.#line.wait("write", context.signal);
      const process = this.#process;
      const isServing = process.isAlive && this.#serving === process;
      try {
        return await process.call(operation, request, context);
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
        mayHaveRun ||= isServing;
        await this.#awaitRestart(process, context.signal, mayHaveRun);
        this.#assertNotCommitted(request);
        if (!error.isBystander) deaths++;
        if (deaths === MAX_ATTEMPTS) throw gaveUp();
      }
    }
  }

  /**
   * Runs recovery now; takes an encoded `RecoverRequest` and answers the `RecoverResponse`.
   *
   * @param send - `store` for the driver's own recovery
   */
  async recover(request: Uint8Array, context: CallContext, send: "write" | "store" = "write"): Promise<Buffer> {
    const response = await this[send]("recover", request, context);
    this.#lastRecovery = fromBinary(RecoverResponseSchema, response).report;
    return response;
  }

  /** Waits until nobody else has the writer, and takes it. */
  async takeExclusiveTurn(signal: AbortSignal): Promise<ExclusiveTurn> {
    const leave = this.#admission.enter(0);
    try {
      if (this.#hasExclusiveTurn) await this.#line.wait("turn", signal);
      this.#hasExclusiveTurn = true;
    } finally {
      leave();
    }
    let hasEnded = false;
    return {
      end: () => {
        if (hasEnded) return;
        hasEnded = true;
        this.#hasExclusiveTurn = false;
        this.#releaseWaiting();
      },
    };
  }

  /** Begins the transaction of whoever has the exclusive turn; once more when the process dies, for nothing is lost then. */
  async beginInTurn(context: CallContext): Promise<void> {
    for (let deaths = 0; ; ) {
      const process = this.#process;
      try {
        await process.call("beginTransaction", EMPTY, context);
        return;
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
        await this.#awaitRestart(process, context.signal, false);
        if (++deaths === MAX_ATTEMPTS) throw gaveUp();
      }
    }
  }

  /**
   * Runs a call of whoever has the exclusive turn.
   *
   * @throws DriverError of the operation, `OVERLOADED`; `TRANSACTION_EXPIRED` when the process died, and the transaction with it.
   */
  async callInTurn(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    const leave = this.#admissionInTurn.enter(request.length, this.#process.bufferedBytes);
    try {
      return await this.#runInTurn(operation, request, context);
    } finally {
      leave();
    }
  }

  async #runInTurn(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    try {
      return await this.#process.call(operation, request, context);
    } catch (error) {
      throw error instanceof WorkerLostError ? diedInTransaction(error) : error;
    }
  }

  /** Streams an operation of whoever has the exclusive turn; fails like `callInTurn`. */
  async *streamInTurn(operation: string, request: Uint8Array, context: CallContext): AsyncGenerator<Buffer> {
    const leave = this.#admissionInTurn.enter(request.length, this.#process.bufferedBytes);
    try {
      yield* this.#process.stream(operation, request, context);
    } catch (error) {
      throw error instanceof WorkerLostError ? diedInTransaction(error) : error;
    } finally {
      leave();
    }
  }

  /**
   * Commits the transaction of whoever has the exclusive turn. When the process dies meanwhile, the database tells whether it
   * was committed, and with a `request_id` also what the answer is.
   *
   * @throws DriverError why it was not committed, or `COMMIT_OUTCOME_UNKNOWN`.
   */
  async commitInTurn(request: Uint8Array, context: CallContext): Promise<Buffer> {
    const process = this.#process;
    try {
      return await process.call("commitTransaction", request, context);
    } catch (error) {
      if (!(error instanceof WorkerLostError)) throw error;
      await this.#awaitRestart(process, context.signal, true);
      if (!this.#hasUnacknowledgedCommit) throw diedInTransaction(error);
      this.#assertNotCommitted(request);
      return await this.#runInTurn("commitTransaction", request, context);
    }
  }

  /**
   * Rolls back the transaction of whoever has the exclusive turn; it is gone when this has resolved, whatever happens: a process
   * that cannot roll back is ended.
   */
  async rollBackInTurn(): Promise<void> {
    const process = this.#process;
    try {
      await process.call("rollbackTransaction", EMPTY, { deadlineMs: Number.POSITIVE_INFINITY });
    } catch (error) {
      if (error instanceof WorkerLostError) return;
      this.#log("error", "a transaction could not be rolled back; the writer process is ended", {
        reason: DriverError.from(error).message,
      });
      process.kill();
      await process.exited;
    }
  }

  /** What waits, for a transaction to end or for the lock of another process, is refused, and what would have to wait. */
  drain(): void {
    this.#line.close(draining());
    // One that dies before it hears this waits for nothing any more, and the next one is ended when the driver closes.
    this.#process.call("drain", EMPTY, { deadlineMs: Number.POSITIVE_INFINITY }).catch(() => undefined);
  }

  /** Takes nothing in any more, checkpoints, closes the database and ends the process. */
  async close(): Promise<void> {
    this.#admission.close();
    this.#line.close(draining());
    try {
      await this.#started;
    } catch {
      // Told to whoever asked. The process ends by itself, and closes what it has open.
      this.#process.end();
      await this.#process.exited;
      return;
    }
    try {
      await this.#process.call("checkpoint", EMPTY, { deadlineMs: Number.POSITIVE_INFINITY });
      this.#process.end();
    } catch (error) {
      this.#log("warn", "the WAL could not be checkpointed", { reason: DriverError.from(error).message });
      this.kill();
    }
    await this.#process.exited;
  }

  /** Ends the process at once. */
  kill(): void {
    this.#admission.close();
    this.#line.close(draining());
    this.#process.kill();
  }

  /** Wakes those that wait, in order, up to and including the first that wants the turn for itself. */
  #releaseWaiting(): void {
    while (!this.#hasExclusiveTurn) {
      const wish = this.#line.firstWish;
      if (wish === undefined) return;
      this.#hasExclusiveTurn = wish === "turn";
      this.#line.grantFirst();
    }
  }

  /**
   * Resolves when the process that follows `process`, which died, serves.
   *
   * @param mayHaveRun whether the call may have been under way when the process died
   * @throws DriverError why there is none; `CANCELLED`; when another process keeps it from starting for too long, `DATABASE_BUSY` for
   *   a call that has not run.
   */
  async #awaitRestart(process: WorkerProcess, signal: AbortSignal, mayHaveRun: boolean): Promise<void> {
    await process.exited;
    if (this.#admission.isClosed) {
      throw outcomeUnknown("The driver was ended before it answered.");
    }
    const { maxLockWaitMs } = this.#limits;
    const ended = new AbortController();
    const patience = delay(maxLockWaitMs, undefined, { signal: AbortSignal.any([signal, ended.signal]) });
    const givenUp = patience.then(() => {
      throw mayHaveRun ? outcomeUnknown("The writer process cannot be started again yet.") : lockedOut(maxLockWaitMs);
    });
    try {
      await Promise.race([this.#started, givenUp]);
    } catch (error) {
      throw signal.aborted ? cancelled() : error;
    } finally {
      ended.abort();
    }
  }

  /**
   * When the database has a commit that was never acknowledged, this write may be part of it. With a `request_id` it can be
   * sent again all the same: the database knows the answer.
   */
  #assertNotCommitted(request: Uint8Array): void {
    if (!this.#hasUnacknowledgedCommit || stringField(request, RequestField.REQUEST_ID) !== "") return;
    throw outcomeUnknown("The writer process died while a commit was under way.");
  }

  #follow(process: WorkerProcess): WorkerProcess {
    return process.follow((event) => this.#onEvent(event));
  }

  async #awaitReady(process: WorkerProcess): Promise<WriterInfo> {
    let info: WriterInfo;
    try {
      info = (await process.ready) as WriterInfo;
    } catch (error) {
      throw error instanceof WorkerLostError
        ? new DriverError("INTERNAL", `The writer cannot be started: ${error.message}.`, { cause: error })
        : error;
    }
    this.#serving = process;
    // What the new process committed itself when it connected concerns nobody's write.
    this.#hasUnacknowledgedCommit = this.#commitSeq !== null && BigInt(info.foundCommitSeq) > this.#commitSeq;
    this.#commitSeq = BigInt(info.commitSeq);
    this.#lastRecovery = decodeRecovery(info.recovery);
    // One that dies before it is ready is a failed start, not a reason for the next one.
    void process.exited.then(() => this.#onDeath());
    this.#observer.onUnresolvedProjects(info.unresolvedProjects);
    return info;
  }

  #onDeath(): void {
    if (this.#admission.isClosed) return;
    this.#log("warn", "the writer process ended and is started again", {});
    this.#started = this.#restart();
    this.#started.then(
      () => this.#observer.onServing(true, "the writer process was started again"),
      (error: unknown) => {
        if (!this.#admission.isClosed) this.#observer.onFatal(DriverError.from(error));
      },
    );
    this.#observer.onTransactionLost(diedInTransaction());
  }

  async #restart(): Promise<WriterInfo> {
    for (let attempt = 1; ; ) {
      const process = this.#follow(startWriterProcess(this.#databasePath, this.#limits));
      this.#process = process;
      try {
        return await this.#awaitReady(process);
      } catch (thrown) {
        const error = DriverError.from(thrown);
        await process.exited;
        if (this.#admission.isClosed) throw draining();
        this.#log("error", "the writer process could not be started", { reason: error.message });
        this.#observer.onServing(false, error.message);
        if (error.reason === "DATABASE_BUSY") await delay(BUSY_RETRY_MS);
        else if (!STUMBLES.has(error.reason) || ++attempt > MAX_ATTEMPTS) throw error;
      }
    }
  }

  #onEvent(event: WorkerEvent): void {
    switch (event.type) {
      case "committed":
        this.#commitSeq = BigInt(event.commitSeq);
        if (event.batch !== undefined) this.#observer.events.onCommit(event.batch);
        break;
      case "recovered":
        this.#observer.events.onRecoveryAction();
        break;
      case "indexingError":
        this.#observer.events.onIndexingError(event.errorType);
        break;
      case "reopened":
        this.#commitSeq = BigInt(event.commitSeq);
        this.#lastRecovery = decodeRecovery(event.recovery);
        this.#observer.onServing(true, "the database was opened again");
        this.#observer.onUnresolvedProjects(event.unresolvedProjects);
        break;
      case "commitFailed":
        this.#onCommitFailed(DriverError.fromJSON(event.error));
        break;
      case "corrupt":
        this.#observer.onServing(false, event.error.message);
        break;
      case "transactionLost":
        this.#observer.onTransactionLost(DriverError.fromJSON(event.error));
        break;
      case "log":
        this.#log(event.level, event.message, event.fields);
        break;
    }
  }

  #onCommitFailed(error: DriverError): void {
    const now = monotonicMs();
    const isSecond = now - this.#lastCommitFailureMs < COMMIT_FAILURE_WINDOW_MS;
    this.#lastCommitFailureMs = now;
    this.#log("error", "a commit failed; the database is opened again", { reason: error.message });
    this.#observer.onServing(false, error.message);
    if (!isSecond) return;
    this.#observer.onFatal(error);
    this.kill();
  }
}

function decodeRecovery(base64: string): RecoveryReport {
  return fromBinary(RecoveryReportSchema, Buffer.from(base64, "base64"));
}

function gaveUp(): DriverError {
  return new DriverError("INTERNAL", `The writer process died ${MAX_ATTEMPTS} times while this write ran or waited.`, {
    hint: "See the driver's log for how it died.",
  });
}

function diedInTransaction(cause?: WorkerLostError): DriverError {
  return new DriverError("TRANSACTION_EXPIRED", "The transaction was rolled back because the writer process ended.", {
    cause,
    hint: "Begin a new transaction.",
  });
}

function outcomeUnknown(message: string): DriverError {
  return new DriverError("COMMIT_OUTCOME_UNKNOWN", message, {
    hint: "When the driver takes writes again, look whether this one is there; send writes with a request_id to make them repeatable.",
  });
}
