import { DriverError, draining } from "../errors.js";

/** How long a client should wait when a queue is full, in milliseconds. */
const OVERLOAD_RETRY_MS = 50;
/** Requests that wait are held in memory; so many bytes of them, however few they are, are a full queue. */
const MAX_QUEUED_BYTES = 256 * 1024 * 1024;

/** The bounds of one queue: how many calls, and how many bytes of requests, may wait or run. */
export class Admission {
  readonly #what: string;
  readonly #maxCalls: number;
  #calls = 0;
  #bytes = 0;
  #isClosed = false;

  /** @param what the calls that are counted, in plural, for the error: `writes`. */
  constructor(what: string, maxCalls: number) {
    this.#what = what;
    this.#maxCalls = maxCalls;
  }

  /** Calls that wait or run. */
  get calls(): number {
    return this.#calls;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /**
   * Takes a call of `bytes` in, and returns what must be called once when it has ended.
   *
   * @param bufferedBytes what worker processes have not read yet, calls that were cancelled and no longer count included
   * @throws DriverError `OVERLOADED`, or `DRAINING` after `close`.
   */
  enter(bytes: number, bufferedBytes = 0): () => void {
    this.assertOpen();
    if (this.#calls >= this.#maxCalls) throw overloaded(`${this.#calls} ${this.#what}`);
    const heldBytes = Math.max(this.#bytes, bufferedBytes);
    // One that is larger than that by itself still has its turn.
    if (heldBytes > 0 && heldBytes + bytes > MAX_QUEUED_BYTES) throw overloaded(`${this.#what} of ${heldBytes} bytes`);
    this.#calls++;
    this.#bytes += bytes;
    return () => {
      this.#calls--;
      this.#bytes -= bytes;
    };
  }

  /** From now on nothing is taken in. */
  close(): void {
    this.#isClosed = true;
  }

  /** @throws DriverError `DRAINING` */
  assertOpen(): void {
    if (this.#isClosed) throw draining();
  }
}

/** A bound is reached; the client should come back soon. */
export function overloaded(what: string): DriverError {
  return new DriverError("OVERLOADED", `The driver has ${what} under way already.`, {
    hint: "Try again later, or send fewer calls at the same time.",
    retryAfterMs: OVERLOAD_RETRY_MS,
  });
}
