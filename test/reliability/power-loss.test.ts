import assert from "node:assert/strict";
import { join } from "node:path";
import { sqlValue, TestEngine } from "../support/engine.js";
import { until, untilNoWorkers } from "../support/processes.js";
import { Random } from "../support/random.js";
import { DiskImage, type FileSystem, whyNoDiskImages } from "./disk-image.js";
import { amount, pause, report, SEED } from "./experiment.js";
import { type Book, Ledger } from "./ledger.js";

const SNAPSHOTS = amount(2, 20);
const CLIENTS = 8;
/** Between two snapshots, at most. */
const MAX_PAUSE_MS = 400;
const DATABASE = "test.db";

interface PowerLoss {
  /** The disk's image, and what had been acknowledged when the copying began. */
  readonly image: string;
  readonly book: Book;
}

describe("a power loss", function () {
  this.timeout(600_000);
  let disk: DiskImage | undefined;

  before(function () {
    const why = whyNoDiskImages();
    if (why === null) return;
    process.stderr.write(`      skipped: ${why}\n`);
    this.skip();
  });
  afterEach(() => {
    disk?.remove();
    disk = undefined;
  });

  for (const fileSystem of ["ext4", "xfs"] as const) {
    it(`loses no acknowledged write on ${fileSystem}: ${SNAPSHOTS} at random moments (seed ${SEED})`, async () => {
      const { ledger, findings, acknowledged } = await losePower(fileSystem);
      assert.deepEqual(findings.flat(), []);
      assert.ok(acknowledged > SNAPSHOTS);
      report(`${fileSystem}: ${SNAPSHOTS} snapshots, ${ledger.acknowledged} acknowledged writes, 0 lost, 0 torn`);
    });

    it(`loses acknowledged writes on ${fileSystem} when commits are not synced (control)`, async () => {
      const { ledger, findings } = await losePower(fileSystem, "unsynced");
      const lost = findings.map((list) => list.filter((it) => it.includes("was acknowledged and has 0 rows")).length);
      const losses = lost.filter((count) => count > 0).length;
      report(
        `control ${fileSystem}, synchronous=NORMAL: ${losses} of ${SNAPSHOTS} snapshots lost writes, ` +
          `at most ${Math.max(...lost)} of ${ledger.acknowledged}`,
      );
      assert.ok(losses > 0, "nothing was lost");
    });
  }

  /** Lets clients write to a driver on a disk, cuts its power at random moments, and compares what is there with the book. */
  async function losePower(fileSystem: FileSystem, mode: "honest" | "unsynced" = "honest") {
    const random = new Random(SEED);
    disk = new DiskImage(fileSystem);
    const ledger = new Ledger(join(disk.folder, DATABASE), mode);
    const losses: PowerLoss[] = [];
    const cutPower = async (): Promise<void> => {
      while (losses.length < SNAPSHOTS) {
        const before = ledger.acknowledged;
        await until("something is acknowledged", () => ledger.acknowledged > before);
        await pause(random.next() * MAX_PAUSE_MS);
        const book = ledger.copyBook();
        losses.push({ image: disk?.snapshot() ?? "", book });
      }
    };
    await ledger.cycle(CLIENTS, cutPower, "group");
    await untilNoWorkers(join(disk.folder, DATABASE));
    const findings: string[][] = [];
    for (const { image, book } of losses) {
      findings.push(
        await disk.withSnapshot(image, async (folder) => {
          const path = join(folder, DATABASE);
          const found = ledger.check(path, book);
          await assertServes(path);
          return found;
        }),
      );
    }
    return { ledger, findings, acknowledged: losses.at(-1)?.book.size ?? 0 };
  }
});

/** A driver starts on what is left, and takes writes. */
async function assertServes(path: string): Promise<void> {
  const test = await TestEngine.open(path);
  try {
    const { affectedRows } = await test.call("execute", {
      sql: "INSERT INTO ledger(client, seq, part) VALUES (?, 0, 0)",
      parameters: [sqlValue(-1n)],
    });
    assert.equal(affectedRows, 1n);
  } finally {
    await test.engine.close();
  }
}
