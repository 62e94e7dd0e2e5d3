import { DriverError } from "../errors.js";

interface Waiter<Wish, Grant> {
  readonly wish: Wish;
  proceed(grant: Grant): void;
  giveUp(error: DriverError): void;
}

/** Callers that wait for something, first come first served; one whose signal aborts leaves the line. */
export class WaitingLine<Wish, Grant> {
  readonly #waiters: Waiter<Wish, Grant>[] = [];
  #closed: DriverError | undefined;

  get length(): number {
    return this.#waiters.length;
  }

  /** What the first one wants; undefined when nobody waits. */
  get firstWish(): Wish | undefined {
    return this.#waiters[0]?.wish;
  }

  /**
   * Resolves with what `grantFirst` gives this caller.
   *
   * @throws DriverError `CANCELLED` when the signal aborts before, or what `close` was given.
   */
  wait(wish: Wish, signal: AbortSignal): Promise<Grant> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    if (signal.aborted) return Promise.reject(cancelled());
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#waiters.splice(this.#waiters.indexOf(waiter), 1);
        reject(cancelled());
      };
      const waiter: Waiter<Wish, Grant> = {
        wish,
        proceed: (grant) => {
          signal.removeEventListener("abort", onAbort);
          resolve(grant);
        },
        giveUp: (error) => {
          signal.removeEventListener("abort", onAbort);
          reject(error);
        },
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiters.push(waiter);
    });
  }

  /** Lets the first one go on; there must be one. */
  grantFirst(grant: Grant): void {
    this.#waiters.shift()?.proceed(grant);
  }

  /** Sends everybody away, and whoever comes later. */
  close(why: DriverError): void {
    this.#closed = why;
    for (const waiter of this.#waiters.splice(0)) waiter.giveUp(why);
  }
}

/** The caller is gone. */
export function cancelled(): DriverError {
  return new DriverError("CANCELLED", "The caller cancelled the call while it waited.");
}
