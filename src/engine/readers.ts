import { DriverError, draining } from "../errors.js";
import { type CallOptions, WorkerLostError, WorkerProcess } from "../workers/worker-process.js";
import { AbandonedReads } from "./abandoned-reads.js";
import { Admission, overloaded } from "./admission.js";
import type { CallContext } from "./call.js";
import type { EngineLimits } from "./limits.js";
import type { Snapshots } from "./snapshots.js";
import { WaitingLine } from "./waiting-line.js";
import type { EngineLog } from "./worker-log.js";

/** Another reader is started when every one has this many calls waiting, */
const BUSY_CALLS = 8;
/** and when calls wait for one that takes longer than this. */
const PATIENCE_MS = 50;
/** How often a read may end the process that runs it before that is given up. */
const MAX_ATTEMPTS = 3;

/**
 * The main process's side of the reader processes, started when they are needed and ended when they no longer are. Unary reads share
 * a few; a stream has one to itself, because it occupies its connection until its client has taken the last row.
 */
export class Readers {
  readonly #databasePath: string;
  readonly #limits: EngineLimits;
  readonly #log: EngineLog;
  readonly #snapshots: Snapshots;
  readonly #onCorrupt: (error: DriverError) => void;
  readonly #admission: Admission;
  /** Every reader whose process has not ended yet. */
  readonly #all = new Set<WorkerProcess>();
  readonly #forUnary = new Set<WorkerProcess>();
  readonly #forStreams = new Set<WorkerProcess>();
  readonly #idleForStreams: WorkerProcess[] = [];
  readonly #line = new WaitingLine<null, WorkerProcess>();
  readonly #abandoned = new AbandonedReads(this.#all);
  /** Set while there are readers that may end when they are idle. */
  #idleCheck: NodeJS.Timeout | undefined;
  /** Set while a unary read waits for another. */
  #relief: NodeJS.Timeout | undefined;

  /**
   * @param snapshots told of those that streams hold
   * @param onCorrupt a reader has found that the database is damaged
   */
  constructor(
    databasePath: string,
    limits: EngineLimits,
    log: EngineLog,
    snapshots: Snapshots,
    onCorrupt: (error: DriverError) => void,
  ) {
    this.#databasePath = databasePath;
    this.#limits = limits;
    this.#log = log;
    this.#snapshots = snapshots;
    this.#onCorrupt = onCorrupt;
    this.#admission = new Admission("reads", limits.maxQueuedReads);
  }

  /** Reader processes that are running. */
  get count(): number {
    return this.#all.size;
  }

  /** Reads that wait or run. */
  get queueLength(): number {
    return this.#admission.calls;
  }

  /** @throws DriverError of the operation, or `OVERLOADED`. */
  async call(operation: string, request: Uint8Array, context: CallOptions): Promise<Buffer> {
    const leave = this.#admission.enter(request.length, this.#bufferedBytes);
    try {
      return await this.ask(operation, request, context);
    } finally {
      leave();
    }
  }

  /** Like `call`, for what the driver itself wants to know: it takes no client's place. */
  async ask(operation: string, request: Uint8Array, context: CallOptions): Promise<Buffer> {
    try {
      return await this.#untilAnswered(() => this.#leastBusy().call(operation, request, context));
    } finally {
      if (context.signal?.aborted) this.#abandoned.watch();
    }
  }

  /** @throws DriverError of the operation, `OVERLOADED`, or `SNAPSHOT_EXPIRED` when its client is too slow. */
  async *stream(operation: string, request: Uint8Array, context: CallContext): AsyncGenerator<Buffer> {
    const leave = this.#admission.enter(request.length, this.#bufferedBytes);
    try {
      // Until its first message a stream is like a unary call: nobody has seen anything of it.
      const { first, rest } = await this.#untilAnswered(async () => {
        const stream = this.#streamOnce(operation, request, context);
        return { first: await stream.next(), rest: stream };
      });
      if (first.done) return;
      try {
        yield first.value;
        yield* rest;
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
        throw this.#admission.isClosed ? draining() : gaveUp(error);
      } finally {
        await rest.return(undefined);
      }
    } finally {
      leave();
    }
  }

  /** What waits for a reader is refused, and what would have to wait. */
  drain(): void {
    this.#line.close(draining());
  }

  /** Ends every reader at once. */
  async close(): Promise<void> {
    this.#admission.close();
    clearTimeout(this.#relief);
    clearInterval(this.#idleCheck);
    this.drain();
    const readers = [...this.#all];
    for (const reader of readers) reader.kill();
    await Promise.all(readers.map(({ exited }) => exited));
  }

  async #untilAnswered<Answer>(attempt: () => Promise<Answer>): Promise<Answer> {
    for (let deaths = 0; ; ) {
      try {
        return await attempt();
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
        this.#admission.assertOpen();
        if (!error.isBystander) deaths++;
        if (deaths === MAX_ATTEMPTS) throw gaveUp(error);
      }
    }
  }

  async *#streamOnce(operation: string, request: Uint8Array, context: CallContext): AsyncGenerator<Buffer> {
    const { maxSnapshotAgeMs } = this.#limits;
    const reader = await this.#takeStreamReader(context.signal);
    const expired = new AbortController();
    let expiry: NodeJS.Timeout | undefined;
    let letGo: (() => void) | undefined;
    try {
      // A new process has no snapshot yet.
      await reader.ready;
      letGo = this.#snapshots.hold();
      expiry = setTimeout(() => expired.abort(), maxSnapshotAgeMs);
      const signal = AbortSignal.any([context.signal, expired.signal]);
      yield* reader.stream(operation, request, { deadlineMs: context.deadlineMs, signal });
    } catch (error) {
      throw expired.signal.aborted && !context.signal.aborted ? snapshotExpired(maxSnapshotAgeMs) : error;
    } finally {
      clearTimeout(expiry);
      letGo?.();
      void this.#giveBack(reader);
    }
  }

  /** What readers have not read yet, calls that were cancelled or handed over included. */
  get #bufferedBytes(): number {
    let bytes = 0;
    for (const reader of this.#all) bytes += reader.bufferedBytes;
    return bytes;
  }

  #leastBusy(): WorkerProcess {
    this.#admission.assertOpen();
    // Until a new one serves, the others are quicker.
    const best =
      leastBusyOf(this.#forUnary, isFree) ??
      leastBusyOf(this.#forUnary, ({ isReady }) => isReady) ??
      leastBusyOf(this.#forUnary, ({ isAlive }) => isAlive) ??
      this.#spawn(this.#forUnary);
    if (best.outstandingCalls >= BUSY_CALLS) this.#spawnAnother();
    if (best.outstandingCalls > 0) this.#relieveSoon();
    return best;
  }

  #spawnAnother(): void {
    const readers = [...this.#forUnary];
    if (readers.length < this.#limits.readers && readers.every(({ isReady }) => isReady)) this.#spawn(this.#forUnary);
  }

  #relieveSoon(): void {
    this.#relief ??= setTimeout(() => {
      this.#relief = undefined;
      this.#relieve();
    }, PATIENCE_MS);
  }

  /** Reads that wait for a long one are taken over by another reader, which is started when there is none. */
  #relieve(): void {
    for (const reader of this.#forUnary) {
      if (reader.outstandingCalls < 2) continue;
      this.#relieveSoon();
      if (!reader.isReady || isFree(reader)) continue;
      const other = leastBusyOf(this.#forUnary, isFree);
      if (other === undefined) this.#spawnAnother();
      // Behind as many others nothing would wait for less.
      else if (other.outstandingCalls < reader.outstandingCalls - 1) reader.handOver(other);
    }
  }

  async #takeStreamReader(signal: AbortSignal): Promise<WorkerProcess> {
    this.#admission.assertOpen();
    const idle = this.#idleForStreams.pop();
    if (idle !== undefined) return idle;
    if (this.#forStreams.size < this.#limits.maxStreams) return this.#spawn(this.#forStreams);
    if (this.#line.length >= this.#limits.maxStreams) throw overloaded(`${this.#forStreams.size} streams`);
    return await this.#line.wait(null, signal);
  }

  /** A reader may still run the statement of a cancelled stream. */
  async #giveBack(reader: WorkerProcess): Promise<void> {
    if (reader.hasCancelledCalls) this.#abandoned.watch();
    try {
      await reader.call("ping", Buffer.alloc(0), { deadlineMs: Number.POSITIVE_INFINITY });
      this.#offer(reader);
    } catch {
      // A new one takes its place when the process is gone.
      reader.kill();
    }
  }

  #offer(reader: WorkerProcess): void {
    if (this.#line.length > 0) this.#line.grantFirst(reader);
    else this.#idleForStreams.push(reader);
  }

  #spawn(pool: Set<WorkerProcess>): WorkerProcess {
    const options = { databasePath: this.#databasePath, limits: this.#limits };
    const reader = new WorkerProcess("reader", options).follow((event) => {
      if (event.type === "log") this.#log(event.level, event.message, event.fields);
      else if (event.type === "corrupt") this.#onCorrupt(DriverError.fromJSON(event.error));
    });
    this.#all.add(reader);
    pool.add(reader);
    if (pool.size > 1) this.#idleCheck ??= setInterval(() => this.#endIdle(), this.#limits.maxReaderIdleMs).unref();
    reader.ready.catch((error: unknown) => {
      if (this.#admission.isClosed) return;
      this.#log("error", "a reader process could not be started", { reason: DriverError.from(error).message });
    });
    void reader.exited.then(() => this.#onDeath(reader));
    return reader;
  }

  /** What a busy time has started does not stay for ever; one of each kind does, and those that are wanted. */
  #endIdle(): void {
    const isIdle = ({ isReady, idleMs }: WorkerProcess) => isReady && idleMs >= this.#limits.maxReaderIdleMs;
    const unary = [...this.#forUnary].filter(isIdle).slice(0, this.#forUnary.size - 1);
    const streams = this.#idleForStreams.filter(isIdle).slice(0, this.#forStreams.size - 1);
    for (const reader of [...unary, ...streams]) {
      this.#forget(reader);
      reader.end();
    }
    if (this.#forUnary.size > 1 || this.#forStreams.size > 1) return;
    clearInterval(this.#idleCheck);
    this.#idleCheck = undefined;
  }

  /** No call is given to it any more. @returns whether it was one for streams. */
  #forget(reader: WorkerProcess): boolean {
    this.#forUnary.delete(reader);
    const index = this.#idleForStreams.indexOf(reader);
    if (index >= 0) this.#idleForStreams.splice(index, 1);
    return this.#forStreams.delete(reader);
  }

  #onDeath(reader: WorkerProcess): void {
    this.#all.delete(reader);
    const wasForStreams = this.#forget(reader);
    if (wasForStreams && this.#line.length > 0 && !this.#admission.isClosed) this.#offer(this.#spawn(this.#forStreams));
  }
}

/** It answers calls, and works on none that takes long. */
function isFree(reader: WorkerProcess): boolean {
  return reader.isReady && reader.silentMs <= PATIENCE_MS;
}

function leastBusyOf(
  readers: Iterable<WorkerProcess>,
  isEligible: (reader: WorkerProcess) => boolean,
): WorkerProcess | undefined {
  let best: WorkerProcess | undefined;
  for (const reader of readers) {
    if (!isEligible(reader)) continue;
    if (best === undefined || reader.outstandingCalls < best.outstandingCalls) best = reader;
  }
  return best;
}

function gaveUp(cause: WorkerLostError): DriverError {
  return new DriverError("INTERNAL", `The read failed: ${cause.message}.`, { cause, hint: "See the driver's log." });
}

function snapshotExpired(maxSnapshotAgeMs: number): DriverError {
  return new DriverError("SNAPSHOT_EXPIRED", `The stream was ended after ${maxSnapshotAgeMs} ms.`, {
    hint: "Read faster, or page through the rows with several queries.",
  });
}
