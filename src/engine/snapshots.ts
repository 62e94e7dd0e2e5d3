import { monotonicMs } from "../observability/clock.js";

/** The read snapshots that streams and backups hold; the write-ahead log keeps everything since the oldest one. */
export class Snapshots {
  /** In the order in which they were taken. */
  readonly #held = new Set<{ readonly sinceMs: number }>();

  /** A snapshot is held from now on; returns what to call when it is let go, once or more often. */
  hold(): () => void {
    const snapshot = { sinceMs: monotonicMs() };
    this.#held.add(snapshot);
    return () => this.#held.delete(snapshot);
  }

  /** How long the oldest one has been held, in milliseconds; undefined when there is none. */
  get oldestAgeMs(): number | undefined {
    const [oldest] = this.#held;
    return oldest && monotonicMs() - oldest.sinceMs;
  }
}
