import assert from "node:assert/strict";
import { ReadOrder } from "../../src/engine/read-order.js";
import { monotonicMs } from "../../src/observability/clock.js";

/** A write that ends when it is told to. */
function heldWrite(): {
  readonly write: () => Promise<string>;
  readonly end: () => void;
  readonly isBegun: () => boolean;
} {
  let end: (value: string) => void = () => undefined;
  let isBegun = false;
  const done = new Promise<string>((resolve) => {
    end = resolve;
  });
  return {
    write: () => {
      isBegun = true;
      return done;
    },
    end: () => end("stored"),
    isBegun: () => isBegun,
  };
}

async function settled(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe("ReadOrder", () => {
  let order: ReadOrder;
  let leave: () => void;
  beforeEach(() => {
    order = new ReadOrder();
    leave = order.enter();
  });

  const quick = async (): Promise<string> => "stored";

  it("stores a newer read after an older one, and not the other way round", async () => {
    assert.equal(await order.store("a", 1, quick), "stored");
    assert.equal(await order.store("a", 3, quick), "stored");
    assert.equal(await order.store("a", 2, () => assert.fail("an outdated read was stored")), null);
    assert.equal(await order.store("b", 2, quick), "stored");
  });

  it("stores one outcome of a file at a time, and judges the next one when it is its turn", async () => {
    const first = heldWrite();
    const second = heldWrite();
    const stored = [order.store("a", 1, first.write), order.store("a", 3, second.write), order.store("a", 2, quick)];
    await settled();
    assert.deepEqual([first.isBegun(), second.isBegun()], [true, false]);
    assert.equal(await order.store("b", 1, quick), "stored");
    first.end();
    await settled();
    assert.equal(second.isBegun(), true);
    second.end();
    assert.deepEqual(await Promise.all(stored), ["stored", "stored", null]);
  });

  it("takes a verdict `unchanged` for outdated when rows were stored that it has not seen", async () => {
    const write = heldWrite();
    const stored = order.store("a", 1, write.write);
    const verdict = order.confirm("a", 2);
    write.end();
    assert.equal(await stored, "stored");
    assert.equal(await verdict, false);
    assert.equal(await order.confirm("a", monotonicMs()), true);
  });

  it("takes a read for outdated when a newer one has found the stored rows right", async () => {
    assert.equal(await order.confirm("a", 2), true);
    assert.equal(await order.store("a", 1, quick), null);
  });

  it("takes reads for outdated that began before the file was found gone", async () => {
    await order.remove(["a", "b"], async () => ({ lookedMs: 5 }));
    assert.equal(await order.store("a", 4, quick), null);
    assert.equal(await order.store("b", 6, quick), "stored");
  });

  it("removes nothing while something is being stored about one of the files", async () => {
    const write = heldWrite();
    const stored = order.store("b", 1, write.write);
    let isRemoved = false;
    const removed = order.remove(["a", "b"], async () => {
      isRemoved = true;
      return { lookedMs: 2 };
    });
    await settled();
    assert.equal(isRemoved, false);
    write.end();
    await Promise.all([stored, removed]);
    assert.equal(isRemoved, true);
  });

  it("goes on after a write that failed", async () => {
    await assert.rejects(
      order.store("a", 1, () => Promise.reject(new Error("no"))),
      /no/,
    );
    assert.equal(await order.store("a", 2, quick), "stored");
  });

  it("forgets the files when the last call has ended", async () => {
    const leaveSecond = order.enter();
    await order.store("a", 2, quick);
    leave();
    assert.equal(await order.store("a", 1, quick), null);
    leaveSecond();
    assert.equal(await order.store("a", 1, quick), "stored");
  });
});
