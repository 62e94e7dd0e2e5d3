/** Files that are stored in one commit at most. */
const MAX_FILES = 32;
/** Bytes that wait at most; a parsed file is about three times as large as its source. */
const MAX_BYTES = 8 * 1024 * 1024;
/** How long the first of them waits for others, in milliseconds. */
const MAX_WAIT_MS = 50;

/**
 * Holds the files of an IndexProject back for a moment, so that many share a commit: the writer stores a file faster than a
 * parser makes the next one, and would otherwise pay an fsync for each.
 */
export class StoreBatcher {
  readonly #write: (payload: Uint8Array) => Promise<Buffer>;
  #waiting: (() => void)[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(write: (payload: Uint8Array) => Promise<Buffer>) {
    this.#write = write;
  }

  /** Resolves with the writer's answer once the file is on disk. */
  store(payload: Uint8Array): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        this.#write(payload).then(resolve, reject);
      });
      this.#bytes += payload.length;
      if (this.#waiting.length >= MAX_FILES || this.#bytes >= MAX_BYTES) this.#flush();
      else this.#timer ??= setTimeout(() => this.#flush(), MAX_WAIT_MS);
    });
  }

  /** Writes that are sent in one turn of the event loop arrive together and share a commit. */
  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    for (const send of waiting) send();
  }
}
