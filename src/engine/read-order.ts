import { monotonicMs } from "../observability/clock.js";

/** What is known of a file while calls that index are under way. Times on the clock of `monotonicMs()`. */
interface FileState {
  /** When the newest read began whose outcome counts. */
  readMs: number;
  /** When something was last stored about the file. */
  storedMs: number;
  /** Resolves when what is being stored now is stored; null when nothing is. */
  storing: Promise<void> | null;
}

/**
 * Keeps the rows of a file those of the read that began last, however many calls read it at the same time and whichever of them is
 * quicker: one outcome of a file is stored at a time, and one that a newer read has overtaken is not stored at all; whoever has it
 * must read the file again.
 */
export class ReadOrder {
  readonly #files = new Map<string, FileState>();
  #calls = 0;

  /** A call that reads begins; returns what it must call when it has ended. What is known of files is kept until the last one has. */
  enter(): () => void {
    this.#calls++;
    return () => {
      this.#calls--;
      if (this.#calls === 0) this.#files.clear();
    };
  }

  /**
   * Runs `store`, which stores what a read of `file` that began at `readMs` came to; resolves with what that resolves with, or with
   * null when the read is outdated and `store` did not run.
   */
  async store<T>(file: string, readMs: number, store: () => Promise<T>): Promise<T | null> {
    return await this.#alone([file], async ([state]) => {
      if (state === undefined || readMs < state.readMs) return null;
      state.readMs = readMs;
      try {
        return await store();
      } finally {
        state.storedMs = monotonicMs();
      }
    });
  }

  /**
   * False when a read that began at `readMs` and found the stored rows right is outdated: rows that it has not seen were stored
   * meanwhile. True makes older reads outdated.
   */
  async confirm(file: string, readMs: number): Promise<boolean> {
    return await this.#alone([file], async ([state]) => {
      if (state === undefined || readMs < state.readMs || readMs < state.storedMs) return false;
      state.readMs = readMs;
      return true;
    });
  }

  /** Runs `remove`, which looks for `files` at the time `lookedMs` of its result; reads that began before are outdated then. */
  async remove<T extends { readonly lookedMs: number }>(
    files: readonly string[],
    remove: () => Promise<T>,
  ): Promise<T> {
    return await this.#alone(files, async (states) => {
      const removed = await remove();
      const storedMs = monotonicMs();
      for (const state of states) {
        state.readMs = Math.max(state.readMs, removed.lookedMs);
        state.storedMs = storedMs;
      }
      return removed;
    });
  }

  /** Runs `body` when nothing is being stored about any of the files, and lets nothing else be stored about them meanwhile. */
  async #alone<T>(files: readonly string[], body: (states: readonly FileState[]) => Promise<T>): Promise<T> {
    let states: FileState[];
    for (;;) {
      states = files.map((file) => this.#stateOf(file));
      const busy = states.find(({ storing }) => storing !== null);
      if (busy === undefined) break;
      await busy.storing;
    }
    // No await between the look and this.
    let end: () => void = () => undefined;
    const storing = new Promise<void>((resolve) => {
      end = resolve;
    });
    for (const state of states) state.storing = storing;
    try {
      return await body(states);
    } finally {
      for (const state of states) state.storing = null;
      end();
    }
  }

  #stateOf(file: string): FileState {
    let state = this.#files.get(file);
    if (state === undefined) {
      state = { readMs: Number.NEGATIVE_INFINITY, storedMs: Number.NEGATIVE_INFINITY, storing: null };
      this.#files.set(file, state);
    }
    return state;
  }
}
