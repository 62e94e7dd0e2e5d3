import type { Readable } from "node:stream";
import { overloaded } from "../engine/admission.js";
import type { DriverError } from "../errors.js";

/** So much of a request counts nothing: HTTP/2 lets that through unasked, and most requests are smaller. */
const UNCOUNTED_BYTES = 64 * 1024;
/** As much as one queue of the engine holds, which takes over when a request is whole. */
const MAX_BYTES = 256 * 1024 * 1024;

interface ArrivingRequest {
  bytes: number;
  readonly refuse: () => void;
}

/** The requests that are arriving on all listeners, and the bound of what they hold together. */
export class ArrivingRequests {
  readonly #maxBytes: number;
  /** Those that count. */
  readonly #requests = new Set<ArrivingRequest>();
  #bytes = 0;

  constructor(maxBytes = MAX_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Counts the bytes of one request until it has ended. When all of them are too many, the largest goes: a client that begins
   * large requests and never ends them harms itself.
   *
   * @param refuse ends the call with `OVERLOADED`; called once at most
   */
  follow(stream: Readable, refuse: (error: DriverError) => void): void {
    const leave = (): void => {
      stream.off("data", count);
      if (this.#requests.delete(request)) this.#bytes -= request.bytes;
    };
    const request: ArrivingRequest = {
      bytes: 0,
      refuse: () => {
        const error = overloaded(`requests of ${this.#bytes} bytes`);
        leave();
        refuse(error);
      },
    };
    const count = (chunk: Buffer): void => {
      request.bytes += chunk.length;
      if (request.bytes <= UNCOUNTED_BYTES) return;
      if (this.#requests.has(request)) {
        this.#bytes += chunk.length;
      } else {
        this.#requests.add(request);
        this.#bytes += request.bytes;
        stream.once("end", leave).once("close", leave);
      }
      if (this.#bytes > this.#maxBytes) this.#largest()?.refuse();
    };
    stream.on("data", count);
  }

  #largest(): ArrivingRequest | undefined {
    let largest: ArrivingRequest | undefined;
    for (const request of this.#requests) if (largest === undefined || request.bytes > largest.bytes) largest = request;
    return largest;
  }
}
