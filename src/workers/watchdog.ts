import { rmSync } from "node:fs";
import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { monotonicMs } from "../observability/clock.js";
import { writeKilledCall } from "./status-file.js";

/**
 * Ends its own process when the statement that runs there is past its deadline, or when the parent process is gone.
 *
 * better-sqlite3 is synchronous and cannot be interrupted, and `worker.terminate()` waits for the running statement, so the
 * only way to stop a statement is to end its process. This thread shares one word of memory with the thread that runs
 * statements: `callId << 2 | phase`. Both change it with compare-and-exchange, so a commit that has begun is never killed and
 * a call is never killed for its predecessor's deadline.
 */
const PHASE_BITS = 2;
const PHASE_MASK = 2 ** PHASE_BITS - 1;
const Phase = { IDLE: 0, RUNNING: 1, KILLED: 2 } as const;

const POLL_INTERVAL_MS = 50;

/** Call ids stay below this, so that a word holds one beside its phase. */
export const MAX_CALL_ID = 2 ** (31 - PHASE_BITS) - 1;

/** What the thread that runs statements tells its watchdog. */
export interface Watched {
  readonly buffer: SharedArrayBuffer;
  /** As it was when the process began: by the time the watchdog runs, it may be gone. */
  readonly parentPid: number;
  /** Files that mean nothing without the parent process; removed when it is gone, because nobody else would. */
  readonly temporaryFiles: readonly string[];
}

interface SharedState {
  readonly word: Int32Array;
  readonly deadlineMs: Float64Array;
}

function viewsOf(buffer: SharedArrayBuffer): SharedState {
  return { deadlineMs: new Float64Array(buffer, 0, 1), word: new Int32Array(buffer, 8, 1) };
}

/** The side of the thread that runs statements. */
export class StatementGuard {
  readonly buffer = new SharedArrayBuffer(16);
  readonly #state = viewsOf(this.buffer);
  #running = 0;

  /** `callId` may be killed from now on, once `deadlineMs` (monotonic) has passed. */
  enter(callId: number, deadlineMs: number): void {
    this.#running = (callId << PHASE_BITS) | Phase.RUNNING;
    this.#state.deadlineMs[0] = deadlineMs;
    Atomics.store(this.#state.word, 0, this.#running);
  }

  /** The running call may go on until then: it has done a part of its work. Without one this means nothing. */
  extend(deadlineMs: number): void {
    this.#state.deadlineMs[0] = deadlineMs;
  }

  /** Nothing may be killed from now on. */
  leave(): void {
    const before = Atomics.compareExchange(this.#state.word, 0, this.#running, Phase.IDLE);
    if (before !== this.#running) this.#awaitKill();
  }

  // The watchdog has already told the parent that this call was stopped: nothing else must become visible.
  #awaitKill(): never {
    for (;;) Atomics.wait(this.#state.word, 0, this.#state.word[0] ?? 0);
  }
}

function watch({ buffer, parentPid, temporaryFiles }: Watched): void {
  const { word, deadlineMs } = viewsOf(buffer);
  setInterval(() => {
    if (process.ppid !== parentPid) abandon(temporaryFiles);
    const running = Atomics.load(word, 0);
    if ((running & PHASE_MASK) !== Phase.RUNNING) return;
    if (monotonicMs() < (deadlineMs[0] ?? Number.POSITIVE_INFINITY)) return;
    const callId = running >> PHASE_BITS;
    const killed = (callId << PHASE_BITS) | Phase.KILLED;
    if (Atomics.compareExchange(word, 0, running, killed) !== running) return;
    try {
      writeKilledCall(callId);
    } finally {
      process.kill(process.pid, "SIGKILL");
    }
  }, POLL_INTERVAL_MS);
}

function abandon(temporaryFiles: readonly string[]): void {
  try {
    for (const file of temporaryFiles) rmSync(file, { force: true });
  } finally {
    process.kill(process.pid, "SIGKILL");
  }
}

if (!isMainThread && parentPort !== null) watch(workerData as Watched);
