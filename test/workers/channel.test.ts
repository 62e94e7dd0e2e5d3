import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { serialize } from "node:v8";
import fc from "fast-check";
import { Channel, decodeCall, encodeCallHeader, type Frame, FrameKind } from "../../src/workers/channel.js";
import { RequestField, stringField } from "../../src/workers/request-fields.js";

/** A stream that keeps what is written to it. */
class Wire extends Duplex {
  readonly written: Buffer[] = [];

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.written.push(chunk);
    done();
  }

  override _read(): void {}
}

const KINDS = Object.values(FrameKind);
const frames = fc.array(
  fc.record(
    {
      callId: fc.nat({ max: 2 ** 29 - 1 }),
      kind: fc.constantFrom(...KINDS),
      payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  ),
);

describe("Channel", () => {
  it("gives back every frame, in order, however the bytes are cut", () => {
    fc.assert(
      fc.property(frames, fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1 }), (sent, cuts) => {
        const out = new Wire();
        const sender = new Channel(out, () => undefined);
        for (const { callId, kind, payload } of sent) sender.send(callId, kind, payload);
        sender.flush();
        const bytes = Buffer.concat(out.written);

        const received: Frame[] = [];
        const wire = new Wire();
        new Channel(wire, (frame) => received.push({ ...frame, payload: Buffer.from(frame.payload) }));
        for (let at = 0, cut = 0; at < bytes.length; cut++) {
          const length = cuts[cut % cuts.length] ?? 1;
          wire.emit("data", bytes.subarray(at, at + length));
          at += length;
        }
        assert.deepEqual(received, sent);
      }),
    );
  });

  it("hands over so many frames in a turn, all in order, and the rest at once when it is drained", async () => {
    const wire = new Wire();
    const sender = new Channel(wire, () => undefined);
    for (let callId = 1; callId <= 10; callId++) sender.send(callId, FrameKind.RESPONSE, Buffer.from([callId]));
    sender.flush();
    const received: number[] = [];
    const receiver = new Channel(wire, ({ callId }) => received.push(callId), 3);
    const [bytes = Buffer.alloc(0)] = wire.written;
    wire.emit("data", bytes.subarray(0, 60));
    wire.emit("data", bytes.subarray(60));
    assert.deepEqual(received, [1, 2, 3]);
    await new Promise(setImmediate);
    assert.deepEqual(received, [1, 2, 3, 4, 5, 6]);
    receiver.drain();
    assert.deepEqual(received, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
    await new Promise(setImmediate);
    assert.equal(received.length, 10);
  });

  it("writes what is sent in one turn at once, and knows how much has not left", async () => {
    const wire = new Wire();
    const channel = new Channel(wire, () => undefined);
    channel.send(1, FrameKind.RESPONSE, Buffer.alloc(10));
    channel.send(2, FrameKind.RESPONSE, Buffer.alloc(20));
    assert.equal(channel.bufferedBytes, 2 * 9 + 30);
    await new Promise(setImmediate);
    assert.equal(wire.written.length, 1);
    assert.equal(channel.bufferedBytes, 0);
  });

  it("does not copy a large part of a frame, and keeps the order of all parts", () => {
    const wire = new Wire();
    const channel = new Channel(wire, () => undefined);
    const large = Buffer.alloc(100_000, "L");
    channel.send(1, FrameKind.MESSAGE, Buffer.from("head"), large, Buffer.from("tail"));
    channel.send(2, FrameKind.END);
    channel.flush();
    assert.ok(wire.written.some((chunk) => chunk.buffer === large.buffer && chunk.length === large.length));

    const received: Frame[] = [];
    const receiver = new Wire();
    new Channel(receiver, (frame) => received.push(frame));
    receiver.emit("data", Buffer.concat(wire.written));
    assert.deepEqual(
      received.map(({ callId, kind }) => [callId, kind]),
      [
        [1, FrameKind.MESSAGE],
        [2, FrameKind.END],
      ],
    );
    assert.ok(received[0]?.payload.equals(Buffer.concat([Buffer.from("head"), large, Buffer.from("tail")])));
  });
});

describe("encodeCallHeader()", () => {
  it("keeps operation, deadline and request", () => {
    fc.assert(
      fc.property(
        fc.stringMatching(/^[a-zA-Z]{1,40}$/),
        fc.oneof(fc.double({ noNaN: true }), fc.constant(Number.POSITIVE_INFINITY)),
        fc.uint8Array(),
        (operation, deadlineMs, request) => {
          const decoded = decodeCall(Buffer.concat([encodeCallHeader({ operation, deadlineMs }), request]));
          assert.deepEqual(decoded, { operation, deadlineMs, request: Buffer.from(request) });
        },
      ),
    );
  });
});

describe("stringField()", () => {
  it("finds nothing in a message between two worker processes, which is no protobuf", () => {
    fc.assert(
      fc.property(fc.anything({ withBigInt: true }), (value) => {
        let bytes: Buffer;
        try {
          bytes = serialize(value);
        } catch {
          return; // a value that cannot be cloned
        }
        assert.equal(stringField(bytes, RequestField.REQUEST_ID), "");
        assert.equal(stringField(bytes, RequestField.TRANSACTION_ID), "");
      }),
    );
  });
});
