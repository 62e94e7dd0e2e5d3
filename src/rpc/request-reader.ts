import type { ServerHttp2Stream } from "node:http2";
import { createGunzip, createInflate } from "node:zlib";
import { DriverError } from "../errors.js";
import type { Hold } from "./arriving-requests.js";

/** What grpc-js unpacks too, by the name of the encoding. */
const UNPACKERS = new Map([
  ["gzip", createGunzip],
  ["deflate", createInflate],
]);
/** A message follows a byte that says whether it is compressed, and four with its length. */
const PREFIX_BYTES = 5;
const COMPRESSED = 1;

type Listener = (...values: unknown[]) => void;

/** How the messages of one request are read. */
export interface RequestReaderOptions {
  /** A value of `grpc-encoding`, one that `isUnpacked` knows; undefined for a request that is not compressed. */
  readonly encoding: string | undefined;
  /** The largest message, packed and unpacked. */
  readonly maxMessageBytes: number;
  /** What was handed over counts until the next message is wanted; otherwise until the request has ended. */
  readonly hasRequestStream: boolean;
  readonly hold: Hold;
  /** Ends the call, which closes its stream. */
  readonly refuse: (error: DriverError) => void;
}

/** Whether a `RequestReader` unpacks messages of that `grpc-encoding`. */
export function isUnpacked(encoding: string): boolean {
  return UNPACKERS.has(encoding);
}

/**
 * Stands between a stream and grpc-js: reads the messages of a request (the framing is that of
 * https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), unpacks them, and hands them over one after the other when they
 * are whole. grpc-js would unpack all that have arrived at once, and say to nobody how large they become.
 */
export class RequestReader {
  readonly #stream: ServerHttp2Stream;
  readonly #options: RequestReaderOptions;
  readonly #onData: readonly Listener[];
  readonly #onEnd: readonly Listener[];
  /** Of the message that is arriving, its prefix included. */
  #chunks: Buffer[] = [];
  #arrivedBytes = 0;
  /** All that is in memory of the request. */
  #heldBytes = 0;
  /** So much of that grpc-js has. */
  #handedBytes = 0;
  #line: Promise<void> = Promise.resolve();

  /** @param serve - Makes grpc-js listen to the stream; its listeners get what is read instead. */
  constructor(stream: ServerHttp2Stream, options: RequestReaderOptions, serve: () => void) {
    this.#stream = stream;
    this.#options = options;
    [this.#onData, this.#onEnd] = listenersAddedBy(serve, stream);
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
    stream.on("end", () => this.#inLine(() => this.#end()));
    stream.on("close", () => this.#hold(0));
    if (options.hasRequestStream) stream.on("resume", () => this.#release());
  }

  #receive(chunk: Buffer): void {
    if (this.#stream.closed) return;
    this.#hold(chunk.length);
    this.#chunks.push(chunk);
    this.#arrivedBytes += chunk.length;
    while (!this.#stream.closed && this.#arrivedBytes >= PREFIX_BYTES) {
      // Joins no more than the first few bytes of a message.
      if ((this.#chunks[0]?.length ?? 0) < PREFIX_BYTES) this.#chunks = [Buffer.concat(this.#chunks)];
      const messageBytes = this.#chunks[0]?.readUInt32BE(1) ?? 0;
      if (messageBytes > this.#options.maxMessageBytes) this.#refuseLarge();
      if (this.#arrivedBytes < PREFIX_BYTES + messageBytes) return;
      this.#take(PREFIX_BYTES + messageBytes);
    }
  }

  /** Takes a message that is whole, and no more of the stream until grpc-js wants it. */
  #take(messageBytes: number): void {
    const message = this.#chunks;
    const last = message.pop() ?? Buffer.alloc(0);
    this.#arrivedBytes -= messageBytes;
    // Only the last chunk can have something of the next message. What is kept of it keeps no more than that chunk in memory.
    const end = last.length - this.#arrivedBytes;
    message.push(last.subarray(0, end));
    this.#chunks = this.#arrivedBytes > 0 ? [last.subarray(end)] : [];
    this.#stream.pause();
    this.#inLine(async () => this.#handOver(await this.#unpack(message, messageBytes)));
  }

  #inLine(run: () => void | Promise<void>): void {
    this.#line = this.#line.then(async () => {
      try {
        if (!this.#stream.closed) await run();
      } catch (thrown) {
        this.#options.refuse(DriverError.from(thrown));
      }
    });
  }

  /** The message as it is when nobody has compressed it. */
  async #unpack(message: readonly Buffer[], messageBytes: number): Promise<readonly Buffer[]> {
    const { encoding = "", maxMessageBytes } = this.#options;
    const createUnpacker = UNPACKERS.get(encoding);
    if (message[0]?.[0] !== COMPRESSED || createUnpacker === undefined) return message;
    const unpacker = createUnpacker().end(Buffer.concat(message).subarray(PREFIX_BYTES));
    const prefix = Buffer.alloc(PREFIX_BYTES);
    const parts: Buffer[] = [prefix];
    let bytes = 0;
    try {
      for await (const part of unpacker as AsyncIterable<Buffer>) {
        bytes += part.length;
        this.#hold(part.length);
        if (bytes > maxMessageBytes) this.#refuseLarge();
        if (this.#stream.closed) return [];
        parts.push(part);
      }
    } catch (cause) {
      throw new DriverError("INVALID_REQUEST", `A message of the request cannot be unpacked as ${encoding}.`, {
        cause,
      });
    }
    prefix.writeUInt32BE(bytes, 1);
    this.#hold(PREFIX_BYTES - messageBytes);
    return parts;
  }

  #handOver(parts: readonly Buffer[]): void {
    if (this.#stream.closed) return;
    // grpc-js pauses again when it takes the message, and does not when it has answered the call already.
    this.#stream.resume();
    for (const part of parts) {
      this.#handedBytes += part.length;
      for (const listener of this.#onData) listener(part);
    }
  }

  #end(): void {
    // The handler, which runs now, counts it.
    this.#hold(-this.#heldBytes);
    for (const listener of this.#onEnd) listener();
  }

  /** grpc-js resumes the stream when the handler has all that was handed over and wants more. */
  #release(): void {
    if (this.#stream.isPaused()) return;
    this.#hold(-this.#handedBytes);
    this.#handedBytes = 0;
  }

  #hold(bytes: number): void {
    this.#heldBytes += bytes;
    this.#options.hold(this.#stream.closed ? 0 : this.#heldBytes);
  }

  #refuseLarge(): void {
    const { maxMessageBytes, refuse } = this.#options;
    refuse(new DriverError("LIMIT_EXCEEDED", `A message of the request has more than ${maxMessageBytes} bytes.`));
  }
}

/** Takes from the stream those listeners for its data and for its end that `add` adds. */
function listenersAddedBy(add: () => void, stream: ServerHttp2Stream): [Listener[], Listener[]] {
  const before = [stream.listeners("data"), stream.listeners("end")];
  add();
  const [onData, onEnd] = ["data", "end"].map((event, i) => {
    const added = stream.listeners(event).filter((listener) => !before[i]?.includes(listener)) as Listener[];
    for (const listener of added) stream.off(event, listener);
    return added;
  });
  return [onData ?? [], onEnd ?? []];
}
