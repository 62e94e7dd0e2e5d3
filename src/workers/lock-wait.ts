import { DriverError } from "../errors.js";

/** How long a client should wait before it tries again, in milliseconds: what holds a lock that long is a migration. */
const RETRY_MS = 1_000;

/** Calls that wait for the write lock of the database because another process, a migration for example, holds it. */
export class LockWait {
  readonly #maxWaitMs: number;
  /** When each call was first refused the lock. */
  readonly #sinceMs = new Map<number, number>();

  /** @param maxWaitMs how long a call waits. */
  constructor(maxWaitMs: number) {
    this.#maxWaitMs = maxWaitMs;
  }

  /** True while somebody waits. */
  get isLockedOut(): boolean {
    return this.#sinceMs.size > 0;
  }

  /** The call was refused the lock: true when it is to wait on, false when its time is up and it is to be answered. */
  refused(callId: number, nowMs: number): boolean {
    const sinceMs = this.#sinceMs.get(callId) ?? nowMs;
    const mustWait = nowMs - sinceMs < this.#maxWaitMs;
    if (mustWait) this.#sinceMs.set(callId, sinceMs);
    else this.#sinceMs.delete(callId);
    return mustWait;
  }

  /** The lock was got. */
  end(): void {
    this.#sinceMs.clear();
  }
}

/** What a call is answered that has waited too long for a lock. */
export function lockedOut(maxWaitMs: number): DriverError {
  return new DriverError("DATABASE_BUSY", `Another process has held the database for more than ${maxWaitMs} ms.`, {
    hint: "A migration holds it while it runs; try again later.",
    retryAfterMs: RETRY_MS,
  });
}
