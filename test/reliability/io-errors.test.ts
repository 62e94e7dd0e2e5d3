import assert from "node:assert/strict";
import { copyFileSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DriverClient } from "../../src/client/client.js";
import { DriverError, type Reason } from "../../src/errors.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { DATABASE, DriverProcess, killDrivers } from "../driver/driver-process.js";
import { Random } from "../support/random.js";
import { scratchDirectory } from "../support/scratch.js";
import { whyNoSystemFaults } from "../support/system-faults.js";
import { amount, report, SEED } from "./experiment.js";

/** A system call on a file of the database, and how it fails. */
interface Fault {
  readonly call: string;
  readonly error: string;
  /** So many of the calls there are for certain: the short form lets one of them fail. */
  readonly some: number;
}

const FAULTS: readonly Fault[] = [
  { call: "fsync", error: "EIO", some: 12 },
  { call: "pwrite64", error: "EIO", some: 60 },
  { call: "pwrite64", error: "ENOSPC", some: 60 },
  { call: "ftruncate", error: "EIO", some: 2 },
  { call: "openat", error: "EIO", some: 4 },
  { call: "pread64", error: "EIO", some: 20 },
];
const SUFFIXES = ["", "-wal", "-shm", ".lock"];
const LOG = "strace.log";
/** No call and no end of the driver may take longer. */
const HANGS_AFTER_MS = 30_000;

/** After these a write is not there. */
const REFUSALS: ReadonlySet<Reason> = new Set<Reason>([
  "DISK_FULL",
  "DATABASE_BUSY",
  "DATABASE_READ_ONLY",
  "TRANSACTION_EXPIRED",
  "TRANSACTION_NOT_FOUND",
  "OVERLOADED",
  "DRAINING",
]);
/** After these it is there as a whole or not at all. */
const DOUBTS: ReadonlySet<Reason> = new Set<Reason>(["COMMIT_OUTCOME_UNKNOWN", "DRIVER_UNREACHABLE"]);

/** A write as a client knows it: how many rows it makes, and the answer. */
interface Entry {
  readonly rows: number;
  readonly outcome: "acknowledged" | "refused" | "in doubt";
}

interface Way {
  readonly rows: number;
  run(client: DriverClient, seq: number): Promise<unknown>;
}

function insert(seq: number, bytes = 1) {
  return { sql: `INSERT INTO ledger(seq, data) VALUES (${seq}, randomblob(${bytes}))` };
}

const WAYS = {
  plain: { rows: 1, run: (client, seq) => client.execute(insert(seq)) },
  repeatable: { rows: 1, run: (client, seq) => client.execute({ ...insert(seq), requestId: `r${seq}` }) },
  batch: { rows: 3, run: (client, seq) => client.executeBatch({ statements: [1, 2, 3].map(() => insert(seq)) }) },
  transaction: {
    rows: 2,
    async run(client, seq) {
      const { transactionId } = await client.beginTransaction({});
      for (let row = 0; row < 2; row++) await client.execute({ ...insert(seq), transactionId });
      await client.commitTransaction({ transactionId, requestId: `t${seq}` });
    },
  },
  large: { rows: 1, run: (client, seq) => client.execute(insert(seq, 40_000)) },
} as const satisfies Readonly<Record<string, Way>>;

/** At the end the driver is told to stop, and copies the WAL into the database. */
const SCENARIO: readonly (keyof typeof WAYS)[] = [
  ...(["plain", "repeatable", "batch", "transaction", "large"] as const),
  ...(["plain", "repeatable", "batch", "transaction"] as const),
];

describe("an I/O error", function () {
  this.timeout(7_200_000);
  const folder = scratchDirectory();
  const inFolder = (name = ""): string => join(folder, name);
  const random = new Random(SEED);

  before(function () {
    const why = whyNoSystemFaults();
    if (why === null) return makeTemplate();
    process.stderr.write(`      skipped: ${why}\n`);
    this.skip();
  });
  afterEach(killDrivers);

  for (const { call, error, some } of FAULTS) {
    it(`${error} of ${amount("a", "each")} ${call} is answered with a status, and loses nothing (seed ${SEED})`, async () => {
      const [first, count] = amount([1 + random.below(some), 1], [1, Number.POSITIVE_INFINITY]);
      const answers = new Tally();
      let struck = 0;
      for (let at = first; at < first + count; at++) {
        if (!(await meet(`${call}:error=${error}:when=${at}`, answers))) break;
        struck++;
      }
      assert.ok(struck > 0, "no fault has struck");
      report(`${error} of ${call}, once: ${struck} runs; ${answers}`);
    });
  }

  it(`that stays is answered with a status, and loses nothing (seed ${SEED})`, async () => {
    for (const { call, error, some } of amount([random.pick(FAULTS)], FAULTS)) {
      const answers = new Tally();
      let struck = 0;
      for (let run = 0; run < amount(1, 12); run++) {
        if (await meet(`${call}:error=${error}:when=${1 + random.below(some)}+`, answers)) struck++;
      }
      assert.ok(struck > 0, "no fault has struck");
      report(`${error} of ${call}, from one on: ${struck} runs; ${answers}`);
    }
  });

  /** A database that a driver left when it was killed: the WAL has commits that are not in the file. */
  async function makeTemplate(): Promise<void> {
    const driver = await DriverProcess.start(inFolder());
    await driver.execute("CREATE TABLE ledger(seq INTEGER, data BLOB)");
    for (let i = 0; i < 5; i++) await driver.client.execute(insert(0));
    // A writer that sees the driver gone closes the database, and the last connection that is closed removes the WAL.
    const other = openConnection(inFolder(DATABASE), { role: "reader" });
    assert.equal(other.prepare("SELECT count(*) FROM ledger").pluck().get(), 5);
    await driver.kill();
    for (const suffix of SUFFIXES.slice(0, 2)) copyFileSync(inFolder(DATABASE + suffix), inFolder(`template${suffix}`));
    other.close();
  }

  /** Runs a driver that meets the fault, and asserts that it does nothing wrong. Answers whether the fault has struck. */
  async function meet(fault: string, answers: Tally): Promise<boolean> {
    const path = inFolder(DATABASE);
    for (const suffix of ["", "-wal"]) copyFileSync(inFolder(`template${suffix}`), path + suffix);
    const findings: string[] = [];
    const book = new Map<number, Entry>([[0, { rows: 5, outcome: "acknowledged" }]]);
    const driver = await startWith(fault, findings, answers);
    if (driver !== undefined) {
      for (const [index, way] of SCENARIO.entries()) {
        const outcome = await write(driver, way, index + 1, findings, answers);
        book.set(index + 1, { rows: WAYS[way].rows, outcome });
        await read(driver, book, findings, answers);
      }
      await end(driver, findings, answers);
    }
    await killDrivers();
    assert.deepEqual([...findings, ...compare(path, book)], [], fault);
    return readFileSync(inFolder(LOG), "utf8").includes("(INJECTED)");
  }

  async function startWith(fault: string, findings: string[], answers: Tally): Promise<DriverProcess | undefined> {
    const files = SUFFIXES.flatMap((suffix) => ["-P", inFolder(DATABASE + suffix)]);
    const [call = ""] = fault.split(":");
    const strace = ["strace", "-D", "-f", "-qq", "--seccomp-bpf", "-o", inFolder(LOG), ...files];
    const wrapper = [...strace, "-e", `trace=${call}`, "-e", `inject=${fault}`];
    const args = ["--readers", "1", "--log-level", "error"];
    try {
      return await within("start", DriverProcess.start(inFolder(), { args, wrapper }));
    } catch (error) {
      // That it does not start is an answer, when it says why and ends with the code for it.
      if (!String(error).includes("ended (1) before")) findings.push(`start: ${String(error)}`);
      answers.count("did not start");
      return undefined;
    }
  }

  async function write(
    driver: DriverProcess,
    way: keyof typeof WAYS,
    seq: number,
    findings: string[],
    answers: Tally,
  ): Promise<Entry["outcome"]> {
    try {
      await within(`${way} ${seq}`, WAYS[way].run(driver.client, seq) as Promise<unknown>);
      return "acknowledged";
    } catch (thrown) {
      const { reason, sqliteCode, message } = DriverError.from(thrown);
      answers.count(reason);
      if (REFUSALS.has(reason)) return "refused";
      if (!DOUBTS.has(reason) && !isOfDisk(reason, sqliteCode)) findings.push(`${way} ${seq}: ${reason} ${message}`);
      return "in doubt";
    }
  }

  /** A read shows what was acknowledged, or says why not. */
  async function read(
    driver: DriverProcess,
    book: ReadonlyMap<number, Entry>,
    findings: string[],
    answers: Tally,
  ): Promise<void> {
    const outcomes = [...book.values()].map(({ outcome }) => outcome);
    const least = outcomes.filter((outcome) => outcome === "acknowledged").length;
    const most = outcomes.filter((outcome) => outcome !== "refused").length;
    try {
      const [count] = await within("read", driver.values("SELECT count(DISTINCT seq) FROM ledger"));
      if (!(Number(count) >= least && Number(count) <= most)) {
        findings.push(`a read answered ${count} writes instead of ${least} to ${most}`);
      }
    } catch (thrown) {
      const { reason, sqliteCode, message } = DriverError.from(thrown);
      answers.count(`read ${reason}`);
      // A reader that cannot open the database ends.
      const isWithoutReader = reason === "INTERNAL" && message.includes("the reader process ended");
      const isExpected = reason === "DRIVER_UNREACHABLE" || isWithoutReader || isOfDisk(reason, sqliteCode);
      if (!isExpected) findings.push(`read: ${reason} ${message}`);
    }
  }

  /** It ended by itself, with a code that says so, or ends when it is told to. */
  async function end(driver: DriverProcess, findings: string[], answers: Tally): Promise<void> {
    const { child, ended } = driver.program;
    if (child.exitCode !== null) answers.count("ended by itself");
    driver.client.close();
    child.kill("SIGTERM");
    try {
      const { exitCode, stderr } = await within("end", ended);
      if (exitCode !== 0 && exitCode !== 1) findings.push(`it ended with ${exitCode}: ${stderr.slice(-2_000)}`);
    } catch (error) {
      findings.push(String(error));
    }
  }
});

/**
 * A failing system call that is no commit is reported with the code that SQLite gives it. EIO of a read it takes for a damaged
 * file system (SQLITE_IOERR_CORRUPTFS, https://sqlite.org/rescode.html), and that for a damaged database.
 */
function isOfDisk(reason: Reason, sqliteCode: string | undefined): boolean {
  return (
    reason === "DATABASE_CORRUPT" || (reason === "INTERNAL" && /^SQLITE_(?:IOERR|CANTOPEN)/.test(sqliteCode ?? ""))
  );
}

async function within<T>(what: string, answer: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} hangs`)), HANGS_AFTER_MS);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** What the database has against the book, one sentence each. */
function compare(path: string, book: ReadonlyMap<number, Entry>): string[] {
  const connection = openConnection(path, { role: "writer" });
  try {
    const rows = connection.prepare("SELECT seq, count(*) FROM ledger GROUP BY seq").raw().all() as [number, number][];
    const stored = new Map(rows);
    const findings = [...book].flatMap(([seq, { rows, outcome }]) => {
      const found = stored.get(seq) ?? 0;
      const isRight = { acknowledged: found === rows, refused: found === 0, "in doubt": found === 0 || found === rows };
      return isRight[outcome] ? [] : [`write ${seq} is ${outcome} and has ${found} of ${rows} rows`];
    });
    findings.push(...rows.filter(([seq]) => !book.has(seq)).map(([seq]) => `nobody wrote ${seq}`));
    const verdict: unknown = connection.pragma("integrity_check", { simple: true });
    return verdict === "ok" ? findings : [...findings, `integrity_check: ${String(verdict)}`];
  } finally {
    connection.close();
  }
}

/** How often something happened. */
class Tally {
  readonly #counts = new Map<string, number>();

  count(what: string): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + 1);
  }

  toString(): string {
    return [...this.#counts].map(([what, count]) => `${what} ${count}`).join(", ") || "nobody noticed";
  }
}
