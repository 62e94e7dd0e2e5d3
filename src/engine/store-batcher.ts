import { decodeMessage, encodeMessage, type FileOutcome } from "../workers/index-messages.js";

/** Files that are stored in one commit at most. */
const MAX_FILES = 64;
/** Bytes that wait at most; a parsed file is three to twelve times as large as its source. */
const MAX_BYTES = 4 * 1024 * 1024;
/** How long the first of them waits for others, in milliseconds. */
const MAX_WAIT_MS = 500;

/** Runs an operation of the writer; resolves with its answer once that is on disk. */
export type Write = (operation: "storeFile" | "storeFiles", request: Uint8Array) => Promise<Uint8Array>;

interface WaitingFile {
  readonly payload: Uint8Array;
  readonly resolve: (outcome: FileOutcome | Promise<FileOutcome>) => void;
}

/**
 * Holds the files of an IndexProject back for a moment, so that many share a commit: the writer stores a file faster than a
 * parser makes the next one, and would otherwise pay an fsync, and pages of the same indexes, for each.
 */
export class StoreBatcher {
  readonly #write: Write;
  #waiting: WaitingFile[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(write: Write) {
    this.#write = write;
  }

  /** Resolves once the file is on disk. */
  store(payload: Uint8Array): Promise<FileOutcome> {
    return new Promise((resolve) => {
      this.#waiting.push({ payload, resolve });
      this.#bytes += payload.length;
      if (this.#waiting.length >= MAX_FILES || this.#bytes >= MAX_BYTES) this.flush();
      else this.#timer ??= setTimeout(() => this.flush(), MAX_WAIT_MS);
    });
  }

  /** Stores what waits now: nothing more is to come soon. */
  flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const files = this.#waiting;
    this.#waiting = [];
    this.#bytes = 0;
    if (files.length > 0) void this.#storeAll(files);
  }

  /** All in one write; when that fails, each in one of its own, so that a file fails alone. */
  async #storeAll(files: readonly WaitingFile[]): Promise<void> {
    let outcomes: FileOutcome[] = [];
    try {
      const request = encodeMessage(files.map(({ payload }) => payload));
      outcomes = decodeMessage<FileOutcome[]>(await this.#write("storeFiles", request));
    } catch {
      // Whatever it was, each file meets it again by itself, or does not.
    }
    for (const [index, { payload, resolve }] of files.entries()) {
      resolve(outcomes[index] ?? this.#storeAlone(payload));
    }
  }

  async #storeAlone(payload: Uint8Array): Promise<FileOutcome> {
    return decodeMessage<FileOutcome>(await this.#write("storeFile", payload));
  }
}
