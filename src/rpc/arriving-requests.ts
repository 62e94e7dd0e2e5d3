import { overloaded } from "../engine/admission.js";
import type { DriverError } from "../errors.js";

/** So much of a request counts nothing: HTTP/2 lets that through unasked, and most requests are smaller. */
const UNCOUNTED_BYTES = 64 * 1024;
/** As much as one queue of the engine holds, which takes over when a request is whole. */
const MAX_BYTES = 256 * 1024 * 1024;

/** Says how many bytes of a request are in memory now: what has arrived, and what became of it when it was unpacked. */
export type Hold = (bytes: number) => void;

interface ArrivingRequest {
  /** What is counted of it. */
  bytes: number;
  readonly refuse: () => void;
}

/** The requests that are arriving on all listeners, and the bound of what they hold together. */
export class ArrivingRequests {
  readonly #maxBytes: number;
  /** Those that count. */
  readonly #requests = new Set<ArrivingRequest>();
  #bytes = 0;

  /**
   * @param maxRequestBytes - The largest request, packed and unpacked.
   * @param maxBytes - Default: 256 MiB, and never less than the largest request holds while it is unpacked.
   */
  constructor(maxRequestBytes: number, maxBytes = Math.max(MAX_BYTES, 2 * maxRequestBytes)) {
    this.#maxBytes = maxBytes;
  }

  /**
   * Counts the bytes of one request until it holds 0. When all of them are too many, the largest goes: a client that begins large
   * requests and never ends them harms itself.
   *
   * @param refuse - Ends the call with `OVERLOADED`; called once at most, and the request counts no more.
   */
  follow(refuse: (error: DriverError) => void): Hold {
    let isRefused = false;
    const request: ArrivingRequest = {
      bytes: 0,
      refuse: () => {
        const error = overloaded(`requests of ${this.#bytes} bytes`);
        this.#count(request, 0);
        isRefused = true;
        refuse(error);
      },
    };
    return (bytes) => {
      if (!isRefused) this.#count(request, bytes > UNCOUNTED_BYTES ? bytes : 0);
    };
  }

  #count(request: ArrivingRequest, bytes: number): void {
    if (bytes === request.bytes) return;
    this.#bytes += bytes - request.bytes;
    request.bytes = bytes;
    if (bytes === 0) this.#requests.delete(request);
    else this.#requests.add(request);
    if (this.#bytes > this.#maxBytes) this.#largest()?.refuse();
  }

  #largest(): ArrivingRequest | undefined {
    let largest: ArrivingRequest | undefined;
    for (const request of this.#requests) if (largest === undefined || request.bytes > largest.bytes) largest = request;
    return largest;
  }
}
