import type { Readable } from "node:stream";
import { overloaded } from "../engine/admission.js";
import type { DriverError } from "../errors.js";

/** So much of a request counts nothing: HTTP/2 lets that through unasked, and most requests are smaller. */
const UNCOUNTED_BYTES = 64 * 1024;
/** As much as one queue of the engine holds, which takes over when a request is whole. */
const MAX_BYTES = 256 * 1024 * 1024;
/** DEFLATE makes nothing smaller than that (https://zlib.net/zlib_tech.html). */
const MAX_COMPRESSION = 1_032;

interface ArrivingRequest {
  /** What is counted of it. */
  bytes: number;
  readonly refuse: () => void;
}

/** The requests that are arriving on all listeners, and the bound of what they hold together. */
export class ArrivingRequests {
  readonly #maxRequestBytes: number;
  readonly #maxBytes: number;
  /** Those that count. */
  readonly #requests = new Set<ArrivingRequest>();
  #bytes = 0;

  /** @param maxRequestBytes - The largest request, unpacked; grpc-js refuses a larger one. */
  constructor(maxRequestBytes: number, maxBytes = MAX_BYTES) {
    this.#maxRequestBytes = maxRequestBytes;
    this.#maxBytes = maxBytes;
  }

  /**
   * Counts the bytes of one request until it has ended. When all of them are too many, the largest goes: a client that begins
   * large requests and never ends them harms itself.
   *
   * @param isCompressed - It counts as large as it may be when it is unpacked.
   * @param refuse - Ends the call with `OVERLOADED`; called once at most.
   */
  follow(stream: Readable, isCompressed: boolean, refuse: (error: DriverError) => void): void {
    let receivedBytes = 0;
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
      receivedBytes += chunk.length;
      const bytes = isCompressed ? this.#unpackedBytes(receivedBytes) : receivedBytes;
      if (bytes <= UNCOUNTED_BYTES) return;
      if (!this.#requests.has(request)) {
        this.#requests.add(request);
        stream.once("end", leave).once("close", leave);
      }
      this.#bytes += bytes - request.bytes;
      request.bytes = bytes;
      if (this.#bytes > this.#maxBytes) this.#largest()?.refuse();
    };
    stream.on("data", count);
  }

  #unpackedBytes(packedBytes: number): number {
    return Math.max(packedBytes, Math.min(packedBytes * MAX_COMPRESSION, this.#maxRequestBytes));
  }

  #largest(): ArrivingRequest | undefined {
    let largest: ArrivingRequest | undefined;
    for (const request of this.#requests) if (largest === undefined || request.bytes > largest.bytes) largest = request;
    return largest;
  }
}
