import assert from "node:assert/strict";
import { Ledger } from "../support/ledger.js";
import { until, workerPids } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";

/** `KILL_CYCLES=1000 KILL_SEED=7 npx mocha dist/test/recovery/kill-ledger.test.js` for a long run. */
const CYCLES = Number(process.env.KILL_CYCLES ?? 25);
const SEED = Number(process.env.KILL_SEED ?? Date.now() % 1_000_000);
const CLIENTS = 16;
/** From the first acknowledgement of a cycle to the kill, at most. */
const MAX_LIFE_MS = 150;
const MS_PER_CYCLE = 20_000;

/** Numbers from 0 to 1, the same for the same seed (mulberry32, public domain). */
function randomNumbers(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}

describe("a driver that is killed", () => {
  const path = useTempFolder();

  it(`has every acknowledged write once, after ${CYCLES} kills under load (seed ${SEED})`, async function () {
    this.timeout(CYCLES * MS_PER_CYCLE);
    const random = randomNumbers(SEED);
    const ledger = new Ledger(path("test.db"));
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      const before = ledger.acknowledged;
      const lifeMs = random() * MAX_LIFE_MS;
      const kills = random() < 0.5 ? "driver" : "group";
      const isEnough = async (): Promise<void> => {
        await until("something is acknowledged", () => ledger.acknowledged > before);
        await pause(lifeMs);
      };
      await ledger.cycle(CLIENTS, isEnough, kills);
      // Workers whose driver was killed end by themselves; what they still commit was not acknowledged.
      await until("no worker is left", () => workerPids(path("test.db")).length === 0);
      assert.deepEqual(ledger.check(), [], `cycle ${cycle}, seed ${SEED}`);
    }
    assert.ok(ledger.acknowledged > CYCLES);
  });

  it("loses acknowledged writes when it answers before it commits", async () => {
    const ledger = new Ledger(path("early.db"), "early");
    const isEnough = () => until("something is acknowledged", () => ledger.acknowledged > 100);
    await ledger.cycle(CLIENTS, isEnough, "group");
    await until("no worker is left", () => workerPids(path("early.db")).length === 0);
    const lost = ledger.check().filter((finding) => finding.includes("was acknowledged and has 0 rows"));
    assert.ok(lost.length > 0, "the ledger finds nothing");
  });
});
