import type { WorkerProcess } from "../workers/worker-process.js";

/** How often readers with cancelled calls are looked at, in milliseconds, */
const LOOK_EVERY_MS = 100;
/**
 * and how many looks in a row may find one at work on such a call. Looks are counted and not time: while this process was held up
 * itself, it has not heard what the reader had to say.
 */
const MAX_LOOKS = 10;

/** Ends reader processes that go on with a read whose caller is gone: a statement that runs cannot be stopped otherwise. */
export class AbandonedReads {
  readonly #readers: Iterable<WorkerProcess>;
  readonly #looks = new WeakMap<WorkerProcess, number>();
  #timer: NodeJS.Timeout | undefined;

  /** @param readers those of the moment, whenever they are looked at. */
  constructor(readers: Iterable<WorkerProcess>) {
    this.#readers = readers;
  }

  /** A read was cancelled: looks from now on, until no reader has such a call any more. */
  watch(): void {
    this.#timer ??= setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  #look(): void {
    let isOver = true;
    for (const reader of this.#readers) {
      if (reader.hasCancelledCalls) isOver = false;
      const looks = reader.isReady && reader.worksForNobody ? (this.#looks.get(reader) ?? 0) + 1 : 0;
      this.#looks.set(reader, looks);
      if (looks === MAX_LOOKS) reader.kill();
    }
    if (!isOver) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
