import assert from "node:assert/strict";
import { until, untilNoWorkers } from "../support/processes.js";
import { Random } from "../support/random.js";
import { useTempFolder } from "../support/temp-folder.js";
import { amount, pause, report, SEED } from "./experiment.js";
import { Ledger } from "./ledger.js";

const CYCLES = amount(25, 1_000);
/** After so many the run says how far it is. */
const REPORTED_CYCLES = amount(25, 100);
const CLIENTS = 16;
/** From the first acknowledgement of a cycle to the kill, at most. */
const MAX_LIFE_MS = 150;
const MS_PER_CYCLE = 20_000;

describe("a driver that is killed", () => {
  const path = useTempFolder();

  it(`has every acknowledged write once, after ${CYCLES} kills under load (seed ${SEED})`, async function () {
    this.timeout(CYCLES * MS_PER_CYCLE);
    const random = new Random(SEED);
    const ledger = new Ledger(path("test.db"));
    for (let cycle = 1; cycle <= CYCLES; cycle++) {
      const before = ledger.acknowledged;
      const lifeMs = random.next() * MAX_LIFE_MS;
      const kills = random.chance(0.5) ? "driver" : "group";
      const isEnough = async (): Promise<void> => {
        await until("something is acknowledged", () => ledger.acknowledged > before);
        await pause(lifeMs);
      };
      await ledger.cycle(CLIENTS, isEnough, kills);
      // Workers whose driver was killed end by themselves; what they still commit was not acknowledged.
      await untilNoWorkers(path("test.db"));
      assert.deepEqual(ledger.check(), [], `cycle ${cycle}, seed ${SEED}`);
      if (cycle % REPORTED_CYCLES !== 0) continue;
      report(
        `${cycle} kills, ${ledger.acknowledged} acknowledged writes, ${ledger.inDoubt} in doubt, 0 lost, 0 doubled`,
      );
    }
    assert.ok(ledger.acknowledged > CYCLES);
  });

  it("loses acknowledged writes when it answers before it commits", async () => {
    const ledger = new Ledger(path("early.db"), "early");
    const isEnough = () => until("something is acknowledged", () => ledger.acknowledged > 100);
    await ledger.cycle(CLIENTS, isEnough, "group");
    await untilNoWorkers(path("early.db"));
    const lost = ledger.check().filter((finding) => finding.includes("was acknowledged and has 0 rows"));
    report(`control: ${lost.length} of ${ledger.acknowledged} acknowledged writes lost`);
    assert.ok(lost.length > 0, "the ledger finds nothing");
  });
});
