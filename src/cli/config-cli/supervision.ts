import { type ChildProcess, spawn } from "node:child_process";
import { readSync, rmSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";
import type { Duplex } from "node:stream";
import { DriverError } from "../../errors.js";
import { removePresenceNote } from "../../sqlite/presence-note.js";
import { ExitCode } from "./exit-code.js";

/**
 * The calls to SQLite are synchronous, and while one runs no signal handler does: a copy or an index over millions of rows
 * could not be interrupted in its own process. So every command runs in a child process. The parent does nothing but wait for
 * signals; when one comes, it ends the child, and SQLite rolls back what was not committed. Before the child commits it asks,
 * and from then on it is too late to interrupt: that way "interrupted" always means that nothing was changed.
 */

/** The child finds the channel to its parent under this number. */
const CHANNEL_FD = 3;
/** Set in the child. */
const CHILD_VARIABLE = "CODE_ANALYSIS_CONFIG_CLI_SUPERVISED";

/** What the child tells, one a line of JSON. */
type Message =
  | { readonly type: "database"; readonly path: string }
  /** A file to be removed when the child cannot do so itself. */
  | { readonly type: "temporaryFile"; readonly path: string }
  | { readonly type: "commit" };

/** What the parent answers to `commit`, one byte. */
const Answer = { STOP: 0, GO_ON: 1 } as const;

/** How long the child may take to end by itself after a signal; it can as long as it is not inside SQLite. */
const GRACE_MS = 300;

/** True in a child process of `superviseChild`. */
export function isSupervised(environment: NodeJS.ProcessEnv): boolean {
  return environment[CHILD_VARIABLE] === "1";
}

/** The child's side. */
export interface Supervisor {
  /** Says which database is about to be written. */
  watch(databasePath: string): void;
  /** Says that this file is being made and means nothing before it is complete. */
  watchTemporaryFile(path: string): void;
  /** True when the parent is gone, and with it whoever wanted this. */
  isAbandoned(): boolean;
  /**
   * Asks whether the transaction may be committed. After it has returned, the parent does not interrupt any more.
   *
   * @throws DriverError `CANCELLED` when a signal came before, or the parent is gone.
   */
  assertMayCommit(): void;
}

/** The channel to the parent; only in a child of `superviseChild`. */
export function connectSupervisor(): Supervisor {
  const tell = (message: Message) => writeSync(CHANNEL_FD, `${JSON.stringify(message)}\n`);
  const parent = process.ppid;
  return {
    isAbandoned: () => process.ppid !== parent,
    watch: (path) => tell({ type: "database", path }),
    watchTemporaryFile: (path) => tell({ type: "temporaryFile", path }),
    assertMayCommit() {
      const answer = Buffer.from([Answer.STOP]);
      try {
        tell({ type: "commit" });
        readSync(CHANNEL_FD, answer, 0, 1, null);
      } catch {
        // EPIPE or ECONNRESET: there is no parent that could say yes.
      }
      if (answer[0] !== Answer.GO_ON) throw interrupted();
    },
  };
}

function interrupted(): DriverError {
  return new DriverError("CANCELLED", "Interrupted; nothing was changed.");
}

/**
 * Runs `script` with `args` in a child process that has this one's standard streams, and sees to it that SIGINT and SIGTERM end
 * it at once with the database as it was.
 *
 * @returns the exit code: the child's, or 130.
 */
export async function superviseChild(script: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, script, ...args], {
    stdio: ["inherit", "inherit", "inherit", "pipe"],
    env: { ...process.env, [CHILD_VARIABLE]: "1" },
  });
  const channel = child.stdio[CHANNEL_FD] as Duplex;
  channel.on("error", () => undefined); // The child's end tells the same.

  const watched = { database: undefined as string | undefined, temporaryFiles: [] as string[] };
  let isInterrupted = false;
  let mayCommit = false;
  createInterface({ input: channel }).on("line", (line) => {
    const message = JSON.parse(line) as Message;
    if (message.type === "database") watched.database = message.path;
    else if (message.type === "temporaryFile") watched.temporaryFiles.push(message.path);
    else {
      mayCommit = !isInterrupted;
      channel.write(Buffer.from([mayCommit ? Answer.GO_ON : Answer.STOP]));
    }
  });
  const interrupt = (): void => {
    if (mayCommit || isInterrupted) return;
    isInterrupted = true;
    child.kill("SIGTERM");
    setTimeout(() => child.kill("SIGKILL"), GRACE_MS).unref();
  };
  process.on("SIGINT", interrupt).on("SIGTERM", interrupt);

  const end = await endOf(child);
  if (end.exitCode !== null && !isInterrupted) return end.exitCode;
  // Whoever opens the database next would do it; but the file is to be as it was now.
  if (watched.database !== undefined) {
    await rollBack(watched.database);
    if (child.pid !== undefined) removePresenceNote(watched.database, child.pid);
  }
  for (const path of watched.temporaryFiles) rmSync(path, { force: true });
  if (isInterrupted) {
    process.stderr.write(`${interrupted().message}\n`);
    return ExitCode.INTERRUPTED;
  }
  const outcome = mayCommit ? "Run it again to see whether the change was made." : "Nothing was changed.";
  process.stderr.write(`error: The process that did the work was ended by ${end.signal}. ${outcome}\n`);
  return ExitCode.FAILED;
}

interface ProcessEnd {
  readonly exitCode: number | null;
  readonly signal: string | null;
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (exitCode, signal) => resolve({ exitCode, signal }));
  });
}

/**
 * Reading is enough: SQLite undoes first what a killed process left in a journal (https://sqlite.org/lockingv3.html). But it
 * leaves a journal that was begun and not used; a transaction that writes takes it over, and its rollback deletes it.
 */
async function rollBack(databasePath: string): Promise<void> {
  // Loaded here because it is hardly ever needed, and would slow down every start.
  const { openConnection } = await import("../../sqlite/connection.js");
  const { rewriteHeader } = await import("../../sqlite/transaction.js");
  try {
    const connection = openConnection(databasePath, { role: "migration" });
    connection.exec("BEGIN IMMEDIATE");
    rewriteHeader(connection);
    connection.exec("ROLLBACK");
    connection.close();
  } catch (error) {
    process.stderr.write(`${DriverError.from(error).sentence} It is rolled back when it is next opened.\n`);
  }
}
