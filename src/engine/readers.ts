import { DriverError } from "../errors.js";
import { WorkerLostError, WorkerProcess } from "../workers/worker-process.js";
import type { CallContext } from "./call.js";
import type { EngineLimits } from "./limits.js";
import type { EngineLog } from "./worker-log.js";

const OVERLOAD_RETRY_MS = 50;
/** Another reader is started when every one has this many calls waiting. */
const BUSY_CALLS = 8;
/** How often a read is tried on another process when the one that ran it died. */
const MAX_ATTEMPTS = 3;
/** How long a reader may take to notice that its stream was cancelled before it is ended. */
const CANCEL_GRACE_MS = 1_000;

interface Waiter {
  proceed(reader: WorkerProcess): void;
}

/**
 * The main process's side of the reader processes, started when they are needed. Unary reads share a few; a stream has one to
 * itself, because it occupies its connection until its client has taken the last row.
 */
export class Readers {
  readonly #databasePath: string;
  readonly #limits: EngineLimits;
  readonly #log: EngineLog;
  readonly #unary: WorkerProcess[] = [];
  readonly #idleForStreams: WorkerProcess[] = [];
  readonly #waitingStreams: Waiter[] = [];
  #streamReaders = 0;
  #reads = 0;
  #isClosing = false;

  constructor(databasePath: string, limits: EngineLimits, log: EngineLog) {
    this.#databasePath = databasePath;
    this.#limits = limits;
    this.#log = log;
  }

  /** Reader processes that are running. */
  get count(): number {
    return this.#unary.length + this.#streamReaders;
  }

  /** Starts the first reader, so that the first read does not wait for it. */
  warmUp(): void {
    if (this.#unary.length === 0) this.#unary.push(this.#spawn());
  }

  /** @throws DriverError of the operation, or `OVERLOADED`. */
  async call(operation: string, request: Uint8Array, context: CallContext): Promise<Buffer> {
    this.#admit();
    try {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#leastBusy().call(operation, request, context);
        } catch (error) {
          if (!(error instanceof WorkerLostError)) throw error;
          if (attempt === MAX_ATTEMPTS) throw lost(error);
        }
      }
    } finally {
      this.#reads--;
    }
  }

  /** @throws DriverError of the operation, `OVERLOADED`, or `SNAPSHOT_EXPIRED` when its client is too slow. */
  async *stream(operation: string, request: Uint8Array, context: CallContext): AsyncGenerator<Buffer> {
    this.#admit();
    let reader: WorkerProcess | undefined;
    const ended = new AbortController();
    let isExpired = false;
    const expiry = setTimeout(() => {
      isExpired = true;
      ended.abort();
    }, this.#limits.maxSnapshotAgeMs);
    try {
      reader = await this.#takeStreamReader(context.signal);
      const signal = AbortSignal.any([context.signal, ended.signal]);
      yield* reader.stream(operation, request, { deadlineMs: context.deadlineMs, signal });
    } catch (error) {
      if (isExpired) throw snapshotExpired(this.#limits.maxSnapshotAgeMs);
      throw error instanceof WorkerLostError ? lost(error) : error;
    } finally {
      clearTimeout(expiry);
      this.#reads--;
      if (reader !== undefined) void this.#giveBack(reader);
    }
  }

  /** Ends every reader at once. */
  async close(): Promise<void> {
    this.#isClosing = true;
    const readers = [...this.#unary, ...this.#idleForStreams];
    for (const reader of readers) reader.kill();
    await Promise.all(readers.map(({ exited }) => exited));
  }

  #admit(): void {
    if (this.#isClosing) throw new DriverError("DRAINING", "The driver is shutting down.");
    if (this.#reads >= this.#limits.maxQueuedReads) throw this.#overloaded(`${this.#reads} reads`);
    this.#reads++;
  }

  #overloaded(what: string): DriverError {
    return new DriverError("OVERLOADED", `The driver has ${what} under way already.`, {
      hint: "Try again later, or send fewer calls at the same time.",
      retryAfterMs: OVERLOAD_RETRY_MS,
    });
  }

  #leastBusy(): WorkerProcess {
    let best: WorkerProcess | undefined;
    for (const reader of this.#unary) {
      if (!reader.isAlive) continue;
      if (best === undefined || reader.outstandingCalls < best.outstandingCalls) best = reader;
    }
    const wantsMore = best === undefined || best.outstandingCalls >= BUSY_CALLS;
    if (wantsMore && this.#unary.length < this.#limits.readers) {
      const reader = this.#spawn();
      this.#unary.push(reader);
      best ??= reader;
    }
    if (best === undefined) throw new DriverError("INTERNAL", "The driver is configured without a reader.");
    return best;
  }

  async #takeStreamReader(signal: AbortSignal): Promise<WorkerProcess> {
    const idle = this.#idleForStreams.pop();
    if (idle !== undefined) return idle;
    if (this.#streamReaders < this.#limits.maxStreams) {
      this.#streamReaders++;
      return this.#spawn();
    }
    if (this.#waitingStreams.length >= this.#limits.maxStreams)
      throw this.#overloaded(`${this.#streamReaders} streams`);
    return await new Promise((resolve, reject) => {
      const waiter: Waiter = {
        proceed: (reader) => {
          signal.removeEventListener("abort", giveUp);
          resolve(reader);
        },
      };
      const giveUp = (): void => {
        this.#waitingStreams.splice(this.#waitingStreams.indexOf(waiter), 1);
        reject(new DriverError("CANCELLED", "The caller cancelled the stream before it started."));
      };
      signal.addEventListener("abort", giveUp, { once: true });
      this.#waitingStreams.push(waiter);
    });
  }

  /** A reader that does not answer soon still runs the statement of a cancelled stream: its process is ended. */
  async #giveBack(reader: WorkerProcess): Promise<void> {
    const timer = setTimeout(() => reader.kill(), CANCEL_GRACE_MS);
    let isUsable = reader.isAlive && !this.#isClosing;
    try {
      if (isUsable) await reader.call("ping", Buffer.alloc(0), { deadlineMs: Number.POSITIVE_INFINITY });
    } catch {
      isUsable = false; // lost: a new one takes its place
    } finally {
      clearTimeout(timer);
    }
    if (!isUsable) {
      reader.kill();
      if (this.#waitingStreams.length === 0 || this.#isClosing) {
        this.#streamReaders--;
        return;
      }
    }
    const next = isUsable ? reader : this.#spawn();
    const waiter = this.#waitingStreams.shift();
    if (waiter === undefined) this.#idleForStreams.push(next);
    else waiter.proceed(next);
  }

  #spawn(): WorkerProcess {
    const options = { databasePath: this.#databasePath, limits: this.#limits };
    const reader = new WorkerProcess("reader", options, (event) => {
      if (event.type === "log") this.#log(event.level, event.message, event.fields);
    });
    void reader.exited.then(() => this.#forget(reader));
    return reader;
  }

  #forget(reader: WorkerProcess): void {
    const index = this.#unary.indexOf(reader);
    if (index >= 0) this.#unary.splice(index, 1);
    const idleIndex = this.#idleForStreams.indexOf(reader);
    if (idleIndex < 0) return;
    this.#idleForStreams.splice(idleIndex, 1);
    this.#streamReaders--;
  }
}

function lost(cause: WorkerLostError): DriverError {
  return new DriverError("INTERNAL", `The read failed: ${cause.message}.`, { cause, hint: "See the driver's log." });
}

function snapshotExpired(maxSnapshotAgeMs: number): DriverError {
  return new DriverError("SNAPSHOT_EXPIRED", `The stream was ended after ${maxSnapshotAgeMs} ms.`, {
    hint: "Read faster, or page through the rows with several queries.",
  });
}
