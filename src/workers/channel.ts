import { once } from "node:events";
import type { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";

/**
 * Frames over a byte stream between the main process and a worker process:
 *
 *     u32 payload length | u32 call id | u8 kind | payload        (little endian)
 *
 * Frames that are sent in one turn of the event loop leave in one write, so a busy channel costs a system call for many
 * calls. Payloads are handed out as views of the received chunk, not copies.
 */
const HEADER_BYTES = 9;

export interface Frame {
  readonly callId: number;
  readonly kind: FrameKind;
  readonly payload: Buffer;
}

/** What a frame means. The main process sends the first group, a worker the second. */
export const FrameKind = {
  /** Start a call; payload: a `CallHeader` and the request. */
  CALL: 1,
  /** The caller is gone, and wants no answer. The call ends with a frame of its own all the same: that tells when it is over. */
  CANCEL: 2,
  /** The caller of a stream has taken a message and can take one more; `STREAM_WINDOW` are pulled from the start. */
  PULL: 3,

  /** One message of a stream. */
  MESSAGE: 16,
  /** A stream has ended well, or a call was given up because it was cancelled. */
  END: 17,
  /** The one answer of a unary call. */
  RESPONSE: 18,
  /** A call has failed; payload: `SerializedDriverError` as JSON. */
  ERROR: 19,
  /** Not about a call (id 0); payload: `WorkerEvent` as JSON. */
  EVENT: 20,
} as const;
export type FrameKind = (typeof FrameKind)[keyof typeof FrameKind];

/**
 * How many messages of a stream may be on their way: some are sent while the next is made, and the worker need not wait when the
 * main process is held up for a moment. A stream starts with so many, so that a PULL only ever concerns a stream that runs.
 */
export const STREAM_WINDOW = 4;

/** From this size on a part of a frame leaves as it is; smaller ones are copied into one piece. */
const LARGE_PART_BYTES = 16 * 1024;

/**
 * One end of the channel. `onFrame` is called for each received frame, in order, for at most `framesPerTurn` in one turn of the
 * event loop.
 */
export class Channel {
  readonly #stream: Duplex;
  readonly #onFrame: (frame: Frame) => void;
  readonly #framesPerTurn: number;
  #outgoing: Uint8Array[] = [];
  #outgoingBytes = 0;
  #received: Buffer[] = [];
  #receivedBytes = 0;
  /** Bytes that must be there before the next frame is whole. */
  #neededBytes = HEADER_BYTES;
  /** Whole frames wait for the next turn. */
  #isBehind = false;

  constructor(stream: Duplex, onFrame: (frame: Frame) => void, framesPerTurn = Number.POSITIVE_INFINITY) {
    this.#stream = stream;
    this.#onFrame = onFrame;
    this.#framesPerTurn = framesPerTurn;
    stream.on("data", (chunk: Buffer) => this.#receive(chunk));
  }

  /** Sends one frame; its payload is `parts` one after the other, which must not change afterwards. */
  send(callId: number, kind: FrameKind, ...parts: readonly Uint8Array[]): void {
    const payloadBytes = parts.reduce((sum, { length }) => sum + length, 0);
    const header = Buffer.allocUnsafe(HEADER_BYTES);
    header.writeUInt32LE(payloadBytes, 0);
    header.writeUInt32LE(callId, 4);
    header.writeUInt8(kind, 8);
    if (this.#outgoing.length === 0) setImmediate(() => this.flush());
    this.#outgoing.push(header, ...parts);
    this.#outgoingBytes += HEADER_BYTES + payloadBytes;
  }

  sendJson(callId: number, kind: FrameKind, value: unknown): void {
    this.send(callId, kind, Buffer.from(JSON.stringify(value)));
  }

  /** Bytes that were sent and that the operating system has not taken yet. */
  get bufferedBytes(): number {
    return this.#outgoingBytes + this.#stream.writableLength;
  }

  /** Hands what was sent so far to the operating system now, as far as it takes it. */
  flush(): void {
    const parts = this.#outgoing;
    if (parts.length === 0) return;
    this.#outgoing = [];
    this.#outgoingBytes = 0;
    if (this.#stream.destroyed) return;
    this.#stream.cork();
    let firstSmall = 0;
    for (const [index, part] of parts.entries()) {
      if (part.length < LARGE_PART_BYTES) continue;
      if (index > firstSmall) this.#stream.write(Buffer.concat(parts.slice(firstSmall, index)));
      this.#stream.write(part);
      firstSmall = index + 1;
    }
    if (firstSmall < parts.length) this.#stream.write(Buffer.concat(parts.slice(firstSmall)));
    this.#stream.uncork();
  }

  /** Resolves when the operating system has taken what was sent, and what had come by now is received. */
  async exchange(): Promise<void> {
    this.flush();
    // The first turn may be the rest of one that looked for input before it came.
    await nextTurn();
    await nextTurn();
    if (this.#stream.writableNeedDrain) await once(this.#stream, "drain");
  }

  /** Hands over now what was received; for the time when no turn must be waited for, because the other end is gone. */
  drain(): void {
    this.#handOver(Number.POSITIVE_INFINITY);
  }

  #receive(chunk: Buffer): void {
    this.#received.push(chunk);
    this.#receivedBytes += chunk.length;
    if (!this.#isBehind) this.#handOver(this.#framesPerTurn);
  }

  #handOver(maxFrames: number): void {
    this.#isBehind = false;
    // A large frame arrives in many chunks: joined once, when it is whole.
    if (this.#receivedBytes < this.#neededBytes) return;
    const [first, ...others] = this.#received;
    if (first === undefined) return;
    const bytes = others.length === 0 ? first : Buffer.concat(this.#received);
    let start = 0;
    let frames = 0;
    this.#neededBytes = HEADER_BYTES;
    while (bytes.length - start >= HEADER_BYTES) {
      const payloadStart = start + HEADER_BYTES;
      const end = payloadStart + bytes.readUInt32LE(start);
      if (bytes.length < end) {
        this.#neededBytes = end - start;
        break;
      }
      if (frames++ === maxFrames) {
        this.#isBehind = true;
        setImmediate(() => this.#handOver(this.#framesPerTurn));
        break;
      }
      const callId = bytes.readUInt32LE(start + 4);
      const kind = bytes.readUInt8(start + 8) as FrameKind;
      this.#onFrame({ callId, kind, payload: bytes.subarray(payloadStart, end) });
      start = end;
    }
    this.#received = start === bytes.length ? [] : [bytes.subarray(start)];
    this.#receivedBytes = bytes.length - start;
  }
}

/** What precedes the request in a CALL frame. */
export interface CallHeader {
  /** Name of the operation in the worker's table. */
  readonly operation: string;
  /** Monotonic time after which the call must not start, and its statement must not go on; Infinity for none. */
  readonly deadlineMs: number;
}

const DEADLINE_BYTES = 8;

/** What comes before the request in the payload of a CALL frame. */
export function encodeCallHeader({ operation, deadlineMs }: CallHeader): Buffer {
  const header = Buffer.allocUnsafe(DEADLINE_BYTES + 1 + operation.length);
  header.writeDoubleLE(deadlineMs, 0);
  header.writeUInt8(operation.length, DEADLINE_BYTES);
  header.write(operation, DEADLINE_BYTES + 1, "latin1");
  return header;
}

export function decodeCall(payload: Buffer): CallHeader & { readonly request: Buffer } {
  const requestStart = DEADLINE_BYTES + 1 + payload.readUInt8(DEADLINE_BYTES);
  return {
    deadlineMs: payload.readDoubleLE(0),
    operation: payload.toString("latin1", DEADLINE_BYTES + 1, requestStart),
    request: payload.subarray(requestStart),
  };
}
