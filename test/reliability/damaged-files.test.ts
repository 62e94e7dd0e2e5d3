import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { DriverError } from "../../src/errors.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { reason, sqlValue, TestEngine } from "../support/engine.js";
import { untilNoWorkers } from "../support/processes.js";
import { Random } from "../support/random.js";
import { scratchDirectory } from "../support/scratch.js";
import { amount, report, SEED } from "./experiment.js";

/** https://sqlite.org/fileformat2.html#walformat */
const WAL_HEADER_BYTES = 32;
const FRAME_HEADER_BYTES = 24;
const DATABASE_HEADER_BYTES = 100;

const COMMITS = 10;
const SHORT_SAMPLE = 2;

/** A change of a file, and the state in which the database must be found after it. */
interface Damage {
  readonly what: string;
  apply(): void;
  /** Commits that must be there; undefined: that cannot be told, and the driver may also say that the database is damaged. */
  readonly commits?: number;
}

describe("damaged files", function () {
  this.timeout(7_200_000);
  const folder = scratchDirectory();
  const inFolder = (name: string): string => join(folder, name);
  const random = new Random(SEED);
  let wal: Buffer;
  let pageBytes: number;

  /** A driver writes its commits and is killed: all of them are in the WAL. */
  before(async () => {
    const path = inFolder("template.db");
    const first = await TestEngine.open(path);
    await first.sql("CREATE TABLE ledger(seq INTEGER, data TEXT)");
    await first.engine.close();
    pageBytes = readFileSync(path).readUInt16BE(16);
    const second = await TestEngine.open(path);
    for (let seq = 1; seq <= COMMITS; seq++) {
      await second.sql("INSERT INTO ledger VALUES (?, ?)", BigInt(seq), "x".repeat(random.below(9_000)));
    }
    second.engine.kill();
    await untilNoWorkers(path);
    wal = readFileSync(`${path}-wal`);
  });

  it(`a WAL that was cut has every commit before the cut and nothing of the others (seed ${SEED})`, async () => {
    const cuts = frames().flatMap((_, frame) => [-1, 0, 1].map((offset) => frameStart(frame) + offset));
    const damages = [...cuts, 0, 1, wal.length - 1].map((length) => ({
      what: `cut at ${length} of ${wal.length}`,
      apply: () => writeFileSync(inFolder("a.db-wal"), wal.subarray(0, length)),
      commits: commitsBefore(length),
    }));
    report(await examineSome(damages));
  });

  it(`a WAL with a flipped bit has every commit before it and nothing of the others (seed ${SEED})`, async () => {
    const places = Array.from({ length: 60 }, () => random.below(wal.length));
    const inHeaders = frames().map((_, frame) => frameStart(frame) + random.below(FRAME_HEADER_BYTES));
    const inHeader = Array.from({ length: WAL_HEADER_BYTES }, (_, index) => index);
    const damages = [...inHeader, ...inHeaders, ...places].map((at) => ({
      what: `bit flipped in byte ${at}`,
      apply: () => writeFileSync(inFolder("a.db-wal"), withBitFlipped(wal, at)),
      commits: at < WAL_HEADER_BYTES ? 0 : commitsBefore(frameStart(frameOf(at))),
    }));
    report(await examineSome(damages));
  });

  it("a WAL whose header is zeroed, or that is no WAL, or is missing, has no commit of it", async () => {
    const zeroed = Buffer.from(wal).fill(0, 0, WAL_HEADER_BYTES);
    const damages = [
      { what: "header zeroed", apply: () => writeFileSync(inFolder("a.db-wal"), zeroed), commits: 0 },
      { what: "text", apply: () => writeFileSync(inFolder("a.db-wal"), "not a WAL ".repeat(10_000)), commits: 0 },
      { what: "removed", apply: () => rmSync(inFolder("a.db-wal")), commits: 0 },
    ];
    report(await examineAll(damages));
  });

  it(`an index of the WAL that is damaged is made anew (seed ${SEED})`, async () => {
    const damages = ["zeros", "noise", "short"].map((what) => ({
      what: `-shm: ${what}`,
      apply: () => {
        const bytes =
          what === "zeros"
            ? Buffer.alloc(32_768)
            : Buffer.from(Array.from({ length: 32_768 }, () => random.below(256)));
        writeFileSync(inFolder("a.db-shm"), what === "short" ? bytes.subarray(0, 100) : bytes);
      },
      commits: COMMITS,
    }));
    report(await examineAll(damages));
  });

  it("a database whose header is not one does not start, and says that it is damaged", async () => {
    for (const [what, bytes] of [
      ["zeroed", Buffer.alloc(DATABASE_HEADER_BYTES)],
      ["noise", Buffer.alloc(DATABASE_HEADER_BYTES, 0xa5)],
      ["another magic", Buffer.from("SQLite format 4\0")],
    ] as const) {
      restore();
      rmSync(inFolder("a.db-wal"));
      const database = readFileSync(inFolder("a.db"));
      bytes.copy(database);
      writeFileSync(inFolder("a.db"), database);
      await assert.rejects(TestEngine.open(inFolder("a.db")), reason("DATABASE_CORRUPT"), what);
      assert.deepEqual(readFileSync(inFolder("a.db")), database, `${what}: left as it was found`);
    }
    report("3 headers: DATABASE_CORRUPT each");
  });

  it("a database whose commit number is damaged does not start, and says that it is damaged", async () => {
    checkpointTemplate();
    const connection = openConnection(inFolder("template.db"), { role: "reader" });
    const root = connection.prepare("SELECT rootpage FROM sqlite_schema WHERE name = 'driver_state'").pluck().get();
    connection.close();
    restore();
    const database = readFileSync(inFolder("a.db"));
    writeFileSync(inFolder("a.db"), database.fill(0xff, (Number(root) - 1) * pageBytes, Number(root) * pageBytes));
    await assert.rejects(TestEngine.open(inFolder("a.db")), reason("DATABASE_CORRUPT"));
  });

  it(`a database with a damaged page answers what is right or that it is damaged (seed ${SEED})`, async () => {
    checkpointTemplate();
    const database = readFileSync(inFolder("template.db"));
    const pages = database.length / pageBytes;
    // Pages that are no longer any; what a page contains has no checksum, so a changed value could not be noticed.
    const overwritten = random.sample(
      Array.from({ length: pages - 1 }, (_, index) => index + 2),
      50,
    );
    const damages = overwritten.map((page) => ({
      what: `page ${page} of ${pages} overwritten`,
      apply: () => {
        const damaged = Buffer.from(database).fill(0xff, (page - 1) * pageBytes, page * pageBytes);
        writeFileSync(inFolder("a.db"), damaged);
      },
    }));
    const cuts = [1, 2, Math.floor(pages / 2), pages - 1].flatMap((page) =>
      [-1, 0, 1].map((offset) => ({
        what: `cut at page ${page} ${offset}`,
        apply: () => writeFileSync(inFolder("a.db"), database.subarray(0, page * pageBytes + offset)),
      })),
    );
    report(await examineSome([...damages, ...cuts]));
  });

  function restore(): void {
    for (const suffix of ["-wal", "-shm", ".lock"]) rmSync(inFolder(`a.db${suffix}`), { force: true });
    for (const suffix of ["", "-wal"]) {
      if (existsSync(inFolder(`template.db${suffix}`)))
        copyFileSync(inFolder(`template.db${suffix}`), inFolder(`a.db${suffix}`));
    }
  }

  function checkpointTemplate(): void {
    const connection = openConnection(inFolder("template.db"), { role: "writer" });
    connection.pragma("wal_checkpoint(TRUNCATE)");
    connection.close();
    rmSync(inFolder("template.db-wal"), { force: true });
  }

  function examineSome(damages: readonly Damage[]): Promise<string> {
    return examineAll(random.sample(damages, amount(SHORT_SAMPLE, damages.length)));
  }

  async function examineAll(damages: readonly Damage[]): Promise<string> {
    let damaged = 0;
    for (const { what, apply, commits } of damages) {
      restore();
      apply();
      const found = await serve(what);
      if (found === "damaged") damaged++;
      if (commits !== undefined) assert.equal(found, commits, `${what} (seed ${SEED})`);
      else assert.ok(found === "damaged" || found === COMMITS, `${what}: ${found} commits are there (seed ${SEED})`);
    }
    return `${damages.length} damages: ${damages.length - damaged} served what was there, ${damaged} DATABASE_CORRUPT`;
  }

  /** Starts a driver on the files, and answers how many commits it shows: always the first ones, each whole. */
  async function serve(what: string): Promise<number | "damaged"> {
    let test: TestEngine | undefined;
    try {
      test = await TestEngine.open(inFolder("a.db"));
      const { rows } = await test.sql("SELECT seq, length(data) FROM ledger ORDER BY rowid");
      const seqs = rows.map(({ values }) => Number(values[0]?.kind.value));
      assert.deepEqual(
        seqs,
        Array.from(seqs, (_, index) => index + 1),
        what,
      );
      await test.call("execute", { sql: "INSERT INTO ledger VALUES (?, 'later')", parameters: [sqlValue(1_000n)] });
      const [verdict] = await test.values("PRAGMA integrity_check");
      if (verdict !== "ok") return "damaged";
      return seqs.length;
    } catch (error) {
      if (error instanceof assert.AssertionError) throw error;
      assert.equal(DriverError.from(error).reason, "DATABASE_CORRUPT", `${what}: ${String(error)}`);
      return "damaged";
    } finally {
      await test?.engine.close();
      await untilNoWorkers(inFolder("a.db"));
    }
  }

  function frameStart(frame: number): number {
    return WAL_HEADER_BYTES + frame * (FRAME_HEADER_BYTES + pageBytes);
  }

  function frameOf(at: number): number {
    return Math.floor((at - WAL_HEADER_BYTES) / (FRAME_HEADER_BYTES + pageBytes));
  }

  /** For each frame, whether it ends a commit: then it has the size of the database after it. */
  function frames(): boolean[] {
    const count = frameOf(wal.length);
    return Array.from({ length: count }, (_, frame) => wal.readUInt32BE(frameStart(frame) + 4) !== 0);
  }

  /** Commits of the ledger that lie before this byte of the WAL; a commit of the connect, if there is one, is the first. */
  function commitsBefore(at: number): number {
    const ends = frames();
    const ofConnect = ends.filter(Boolean).length - COMMITS;
    const before = ends.filter((isEnd, frame) => isEnd && frameStart(frame + 1) <= at).length;
    return Math.max(0, before - ofConnect);
  }
});

function withBitFlipped(bytes: Buffer, at: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[at] = (flipped[at] ?? 0) ^ (1 << (at % 8));
  return flipped;
}
