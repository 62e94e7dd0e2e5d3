import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Reason } from "../../src/errors.js";
import { openConnection } from "../../src/sqlite/connection.js";

/** The kinds of write, and the rows that each makes: all or none. */
const PARTS = { plain: 1, repeatable: 1, batch: 3, transaction: 2 } as const;
export type WriteKind = keyof typeof PARTS;
const KINDS = Object.keys(PARTS) as WriteKind[];

export interface LedgerWrite {
  readonly id: number;
  readonly kind: WriteKind;
  readonly client: number;
  readonly seq: number;
}

export interface LedgerAnswer {
  readonly id: number;
  /** Null when the write was acknowledged. */
  readonly reason: Reason | null;
}

/**
 * How the driver is: `honest` as it is shipped, `early` answers before it commits, `unsynced` does not sync its commits
 * (synchronous=NORMAL).
 */
export type LedgerMode = "honest" | "early" | "unsynced";

/** What was acknowledged up to a moment: the kind of each write by its key. */
export type Book = ReadonlyMap<string, WriteKind>;

/** The answers after which a write is there or not, and its client cannot know. */
const UNKNOWN: ReadonlySet<Reason> = new Set<Reason>(["COMMIT_OUTCOME_UNKNOWN"]);

/**
 * Clients that write to a driver process and keep book of what was acknowledged. They live in another process than the driver, so
 * the book survives every kill.
 */
export class Ledger {
  readonly #databasePath: string;
  readonly #mode: LedgerMode;
  readonly #acknowledged = new Map<string, WriteKind>();
  readonly #unknown = new Map<string, WriteKind>();
  /** Writes that were cut off and can be sent again: each is, until it is acknowledged. */
  #cutOff: LedgerWrite[] = [];
  #nextSeq = 0;
  #nextId = 0;

  constructor(databasePath: string, mode: LedgerMode = "honest") {
    this.#databasePath = databasePath;
    this.#mode = mode;
    const connection = openConnection(databasePath, { role: "writer" });
    connection.exec("CREATE TABLE ledger(client INTEGER, seq INTEGER, part INTEGER)");
    connection.close();
  }

  get acknowledged(): number {
    return this.#acknowledged.size;
  }

  /** Writes that are there or not, and nobody knows. */
  get inDoubt(): number {
    return this.#unknown.size;
  }

  /** The book as it is now. */
  copyBook(): Book {
    return new Map(this.#acknowledged);
  }

  /** Starts a driver, lets `clients` write at once until `isEnough` resolves, then kills it: alone or with its workers. */
  async cycle(clients: number, isEnough: () => Promise<void>, kills: "driver" | "group"): Promise<void> {
    const program = fileURLToPath(new URL("./ledger-driver.js", import.meta.url));
    // The worker processes are started with the options of their parent.
    const execArgv =
      this.#mode === "unsynced" ? ["--import", new URL("./synchronous-normal.js", import.meta.url).href] : [];
    const child = fork(program, [this.#databasePath, this.#mode], { detached: true, execArgv });
    child.setMaxListeners(0); // two for each client
    const exited = once(child, "exit");
    await once(child, "message");
    const repeated = this.#cutOff.splice(0);
    const running = Array.from({ length: clients }, (_, client) => this.#writeUntilKilled(child, client, repeated));
    const failure = Promise.all(running);
    await Promise.race([isEnough(), failure]);
    process.kill(kills === "group" ? -(child.pid ?? 0) : (child.pid ?? 0), "SIGKILL");
    await failure;
    await exited;
  }

  /**
   * What a database has against the book, one sentence each; none when nothing was lost, doubled or torn.
   *
   * @param path of the database, or of a copy that was taken
   * @param acknowledged the book as it was when the copy was taken
   */
  check(path = this.#databasePath, acknowledged: Book = this.#acknowledged): string[] {
    const connection = openConnection(path, { role: "reader" });
    try {
      const stored = new Map<string, { rows: number; parts: number }>();
      const sql =
        "SELECT client, seq, count(*) AS rows, count(DISTINCT part) AS parts FROM ledger GROUP BY client, seq";
      for (const row of connection.prepare(sql).iterate() as Iterable<Record<string, number>>) {
        stored.set(`${row.client}-${row.seq}`, { rows: row.rows ?? 0, parts: row.parts ?? 0 });
      }
      const findings: string[] = [];
      for (const [key, kind] of acknowledged) {
        const rows = stored.get(key)?.rows ?? 0;
        if (rows !== PARTS[kind]) findings.push(`${kind} ${key} was acknowledged and has ${rows} rows`);
      }
      const unanswered = new Map([...this.#unknown, ...this.#cutOff.map((it) => [keyOf(it), it.kind] as const)]);
      for (const [key, { rows, parts }] of stored) {
        const kind = this.#acknowledged.get(key) ?? unanswered.get(key);
        if (kind === undefined) findings.push(`${key} is there and nobody wrote it`);
        else if (rows !== PARTS[kind] || parts !== rows) findings.push(`${kind} ${key} has ${rows} rows`);
      }
      const verdict: unknown = connection.pragma("integrity_check", { simple: true });
      if (verdict !== "ok") findings.push(`integrity_check: ${String(verdict)}`);
      return findings;
    } finally {
      connection.close();
    }
  }

  async #writeUntilKilled(child: ChildProcess, client: number, repeated: LedgerWrite[]): Promise<void> {
    for (;;) {
      const again = repeated.pop();
      const kind = again?.kind ?? KINDS[this.#nextSeq % KINDS.length] ?? "plain";
      const write = { id: ++this.#nextId, kind, client: again?.client ?? client, seq: again?.seq ?? this.#nextSeq++ };
      const answer = await send(child, write);
      if (answer === null) {
        if (kind === "plain") this.#unknown.set(keyOf(write), kind);
        else this.#cutOff.push(write);
        // What nobody got to in this cycle waits for the next.
        this.#cutOff.push(...repeated.splice(0));
        return;
      }
      // A transaction that is sent again is another one for the driver, which knows the id of the first: so that was committed.
      const wasCommitted = again !== undefined && kind === "transaction" && answer.reason === "REQUEST_ID_REUSED";
      if (answer.reason === null || wasCommitted) this.#acknowledged.set(keyOf(write), kind);
      else if (UNKNOWN.has(answer.reason)) this.#unknown.set(keyOf(write), kind);
      else throw new Error(`${kind} ${keyOf(write)} failed: ${answer.reason}`);
    }
  }
}

function keyOf({ client, seq }: LedgerWrite): string {
  return `${client}-${seq}`;
}

/** Resolves with null when the driver ends before it has answered. */
function send(child: ChildProcess, write: LedgerWrite): Promise<LedgerAnswer | null> {
  return new Promise((resolve) => {
    const settle = (answer: LedgerAnswer | null): void => {
      child.off("message", onMessage);
      child.off("disconnect", onGone);
      resolve(answer);
    };
    const onMessage = (answer: LedgerAnswer): void => {
      if (answer.id === write.id) settle(answer);
    };
    const onGone = (): void => settle(null);
    child.on("message", onMessage);
    child.on("disconnect", onGone);
    if (!child.connected) settle(null);
    else child.send(write, () => undefined);
  });
}
