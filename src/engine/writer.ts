import { DriverError } from "../errors.js";
import type { WorkerEvent } from "../workers/events.js";
import { RequestField, stringField } from "../workers/request-fields.js";
import { WorkerLostError, WorkerProcess } from "../workers/worker-process.js";
import type { WriterInfo } from "../workers/writer.js";
import type { CallContext } from "./call.js";
import type { EngineLimits } from "./limits.js";
import type { EngineLog } from "./worker-log.js";

/** How long a client should wait when the queue is full, in milliseconds. */
const OVERLOAD_RETRY_MS = 50;
/** A write that was running or waiting when the writer process died this often is not tried again. */
const MAX_ATTEMPTS = 3;

/** Closing a database whose WAL was just copied takes milliseconds; whoever waits for the driver's end has other plans. */
const CLOSE_TIMEOUT_MS = 2_000;

/** What the writer reports about the database beside answers. */
export interface WriterObserver {
  /** The database takes writes, or does not until further notice. */
  onServing(isServing: boolean, why: string): void;
  onTransactionLost(error: DriverError): void;
  /** The writer cannot be started again. */
  onFatal(error: DriverError): void;
}

/** A turn at having the writer to oneself. */
export interface ExclusiveTurn {
  /** Lets the other writes go on. */
  end(): void;
}

interface Waiter {
  readonly isExclusive: boolean;
  proceed(): void;
}

/**
 * The main process's side of the writer process: admits writes, holds them back while an interactive transaction is open, and
 * starts the process anew when it died.
 */
export class Writer {
  readonly #databasePath: string;
  readonly #limits: EngineLimits;
  readonly #log: EngineLog;
  readonly #observer: WriterObserver;
  /** Writes and turns that wait for the open interactive transaction, first come first served. */
  readonly #waiting: Waiter[] = [];
  #process: WorkerProcess;
  #started: Promise<WriterInfo>;
  /** The last commit whose answers were all received. */
  #commitSeq = 0n;
  /** The database that the restarted writer found is ahead of the acknowledgements. */
  #hasUnacknowledgedCommit = false;
  #admitted = 0;
  #hasExclusiveTurn = false;
  #isClosing = false;

  constructor(databasePath: string, limits: EngineLimits, log: EngineLog, observer: WriterObserver) {
    this.#databasePath = databasePath;
    this.#limits = limits;
    this.#log = log;
    this.#observer = observer;
    this.#process = this.#spawn();
    this.#started = this.#awaitReady(this.#process);
  }

  /** What the writer found when it connected. Rejects when it could not. */
  get started(): Promise<WriterInfo> {
    return this.#started;
  }

  /** Writes that wait or run. */
  get queueLength(): number {
    return this.#admitted;
  }

  /**
   * Runs one write in the next group commit and resolves once it is on disk.
   *
   * @throws DriverError of the operation, `OVERLOADED`, `DEADLINE_EXCEEDED`, `COMMIT_OUTCOME_UNKNOWN`.
   */
  async write(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    this.#admit();
    try {
      if (this.#hasExclusiveTurn) await this.#wait(context.signal, false);
      return await this.#callUntilAnswered(operation, request, context);
    } finally {
      this.#admitted--;
    }
  }

  /** Waits until nobody else has the writer, and takes it. */
  async takeExclusiveTurn(signal: AbortSignal): Promise<ExclusiveTurn> {
    this.#admit();
    try {
      if (this.#hasExclusiveTurn) await this.#wait(signal, true);
      this.#hasExclusiveTurn = true;
    } finally {
      this.#admitted--;
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

  /** Runs a call of whoever has the exclusive turn; it is not tried again when the process dies. */
  callInTurn(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    return this.#process.call(operation, request, context);
  }

  /** Streams an operation of whoever has the exclusive turn. */
  streamInTurn(operation: string, request: Uint8Array, context: CallContext): AsyncIterable<Buffer> {
    return this.#process.stream(operation, request, context);
  }

  /** Checkpoints, closes the database and ends the process. Nothing else may run. */
  async close(): Promise<void> {
    this.#isClosing = true;
    try {
      await this.#started;
      await this.#process.call("checkpoint", Buffer.alloc(0), { deadlineMs: Number.POSITIVE_INFINITY });
      this.#process.end();
    } catch (error) {
      this.#log("warn", "the WAL could not be checkpointed", { reason: DriverError.from(error).message });
      this.kill();
    }
    const timer = setTimeout(() => this.kill(), CLOSE_TIMEOUT_MS);
    await this.#process.exited;
    clearTimeout(timer);
  }

  /** Ends the process at once. */
  kill(): void {
    this.#isClosing = true;
    this.#process.kill();
  }

  #admit(): void {
    if (this.#isClosing) throw new DriverError("DRAINING", "The driver is shutting down.");
    if (this.#admitted >= this.#limits.maxQueuedWrites) {
      throw new DriverError("OVERLOADED", `The driver has ${this.#admitted} writes waiting already.`, {
        hint: "Try again later, or send fewer writes at the same time.",
        retryAfterMs: OVERLOAD_RETRY_MS,
      });
    }
    this.#admitted++;
  }

  #wait(signal: AbortSignal, isExclusive: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        isExclusive,
        proceed: () => {
          signal.removeEventListener("abort", giveUp);
          resolve();
        },
      };
      const giveUp = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new DriverError("CANCELLED", "The caller cancelled the call while it waited for a transaction to end."));
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waiting.push(waiter);
    });
  }

  /** Wakes those that wait, in order, up to and including the first that wants the turn for itself. */
  #releaseWaiting(): void {
    while (!this.#hasExclusiveTurn) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#hasExclusiveTurn = next.isExclusive;
      next.proceed();
    }
  }

  async #callUntilAnswered(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    for (let attempt = 1; ; attempt++) {
      const process = this.#process;
      try {
        return await process.call(operation, request, context);
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
        await process.exited;
        await this.#started;
        this.#assertNotCommitted(request);
        if (attempt === MAX_ATTEMPTS) {
          throw new DriverError(
            "INTERNAL",
            `The writer process died ${attempt} times while this write ran or waited.`,
            {
              hint: "See the driver's log for how it died.",
            },
          );
        }
      }
    }
  }

  /**
   * When the database has a commit that was never acknowledged, this write may be part of it. With a `request_id` it can be
   * sent again all the same: the database knows the answer.
   */
  #assertNotCommitted(request: Uint8Array): void {
    if (!this.#hasUnacknowledgedCommit || stringField(request, RequestField.REQUEST_ID) !== "") return;
    throw new DriverError("COMMIT_OUTCOME_UNKNOWN", "The writer process died while a commit was under way.", {
      hint: "Look whether the write is there; send writes with a request_id to make them repeatable.",
    });
  }

  #spawn(): WorkerProcess {
    const process = new WorkerProcess("writer", { databasePath: this.#databasePath, limits: this.#limits }, (event) =>
      this.#onEvent(event),
    );
    void process.exited.then(() => {
      if (!this.#isClosing) this.#restart();
    });
    return process;
  }

  async #awaitReady(process: WorkerProcess): Promise<WriterInfo> {
    const info = (await process.ready) as WriterInfo;
    const commitSeq = BigInt(info.commitSeq);
    this.#hasUnacknowledgedCommit = commitSeq > this.#commitSeq;
    this.#commitSeq = commitSeq;
    return info;
  }

  #restart(): void {
    this.#log("warn", "the writer process ended and is started again", {});
    this.#observer.onTransactionLost(
      new DriverError("TRANSACTION_EXPIRED", "The transaction was rolled back because the writer process ended."),
    );
    this.#process = this.#spawn();
    this.#started = this.#awaitReady(this.#process);
    this.#started.then(
      () => this.#observer.onServing(true, "the writer process was started again"),
      (error: unknown) => this.#observer.onFatal(DriverError.from(error)),
    );
  }

  #onEvent(event: WorkerEvent): void {
    switch (event.type) {
      case "committed":
        this.#commitSeq = BigInt(event.commitSeq);
        break;
      case "reopened":
        this.#commitSeq = BigInt(event.commitSeq);
        this.#observer.onServing(true, "the database was opened again");
        break;
      case "commitFailed":
        this.#observer.onServing(false, event.error.message);
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
}
