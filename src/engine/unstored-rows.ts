import type { DriverError } from "../errors.js";
import { WaitingLine } from "./waiting-line.js";

/** The rows of a file are up to twelve times as large as its source; so much is some seconds of work for the writer. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * The rows that parsers have made and the writer has not stored: they lie in the memory of the main process, for minutes when an
 * interactive transaction or another process holds the writer up.
 */
export class UnstoredRows {
  readonly #line = new WaitingLine<null, void>();
  #bytes = 0;

  /** Whether nothing more should be parsed. */
  get isFull(): boolean {
    return this.#bytes >= MAX_BYTES;
  }

  /**
   * Resolves when it is not full.
   *
   * @throws DriverError `CANCELLED` when the signal aborts before, or what `close` was given.
   */
  async room(signal: AbortSignal): Promise<void> {
    while (this.isFull) await this.#line.wait(null, signal);
  }

  /** Counts the rows for as long as `store` takes. */
  async hold<T>(rows: Uint8Array, store: () => Promise<T>): Promise<T> {
    this.#bytes += rows.length;
    try {
      return await store();
    } finally {
      this.#bytes -= rows.length;
      while (!this.isFull && this.#line.length > 0) this.#line.grantFirst();
    }
  }

  /** Sends everybody away who waits for room, and whoever would have to. */
  close(why: DriverError): void {
    this.#line.close(why);
  }
}
