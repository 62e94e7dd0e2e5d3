import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { UnstoredRows } from "../../src/engine/unstored-rows.js";
import { DriverError, draining } from "../../src/errors.js";
import { reason } from "../support/engine.js";

const FULL = new Uint8Array(64 * 1024 * 1024);

describe("rows that are not stored", () => {
  const { signal } = new AbortController();

  /** Holds as much as there may be until it is told to let go. */
  function fill(rows: UnstoredRows): { letGo: (error?: Error) => void; held: Promise<void> } {
    let letGo: (error?: Error) => void = () => undefined;
    const stored = new Promise<void>((resolve, reject) => {
      letGo = (error) => (error === undefined ? resolve() : reject(error));
    });
    return { letGo, held: rows.hold(FULL, () => stored) };
  }

  for (const error of [undefined, new DriverError("DISK_FULL", "no room")]) {
    it(`keep others waiting until they are ${error === undefined ? "stored" : "given up"}`, async () => {
      const rows = new UnstoredRows();
      await rows.room(signal);
      const { letGo, held } = fill(rows);
      let isThrough = 0;
      const waiting = Array.from({ length: 3 }, () => rows.room(signal).then(() => isThrough++));
      await turn();
      assert.equal(isThrough, 0);
      letGo(error);
      await (error === undefined ? held : assert.rejects(held, reason("DISK_FULL")));
      await Promise.all(waiting);
      assert.equal(isThrough, 3);
    });
  }

  it("let go of who gives up, and of everybody at the end", async () => {
    const rows = new UnstoredRows();
    const { letGo, held } = fill(rows);
    const abort = new AbortController();
    const gone = rows.room(abort.signal);
    const sentAway = rows.room(signal);
    abort.abort();
    await assert.rejects(gone, reason("CANCELLED"));
    rows.close(draining());
    await assert.rejects(sentAway, reason("DRAINING"));
    letGo();
    await held;
  });
});
