import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DriverError, messageOf, withHint } from "../../errors.js";
import { type Backup, backupPath, createBackup, partialPathOf } from "../../schema/backup.js";
import { BUILT_IN_SCHEMA } from "../../schema/built-in-schema.js";
import { createDriver } from "../../schema/direct-driver.js";
import { applyMigration, type MigrationProgress, type MigrationResult } from "../../schema/migration.js";
import { type ColumnRename, type MigrationPlan, type PlanStatus, statusOf } from "../../schema/plan.js";
import { planMigration } from "../../schema/planner.js";
import { formatPlan, formatResult, planDocument, resultDocument } from "../../schema/report.js";
import { type Connection, setPragma } from "../../sqlite/connection.js";
import { makeDirectory } from "../../sqlite/directory.js";
import { acquirePresence, type PresenceLock } from "../../sqlite/presence-lock.js";
import { removePresenceNote, writePresenceNote } from "../../sqlite/presence-note.js";
import { startProgress } from "../progress.js";
import type { CommandContext } from "./command-context.js";
import { aboutDatabase, assertDatabaseFile, type DatabaseFlags, resolveDatabasePath } from "./database-file.js";
import { ExitCode } from "./exit-code.js";

/** The flags of `config_cli schema`. */
export interface SchemaFlags extends DatabaseFlags {
  /** File with the CREATE statements of the wanted schema; default: the built-in one. */
  readonly schema?: string;
  readonly dryRun?: boolean;
  readonly check?: boolean;
  readonly json?: boolean;
  readonly allow?: readonly string[];
  readonly rename?: readonly ColumnRename[];
  readonly backupDir?: string;
  readonly backup: boolean;
  readonly online?: boolean;
  readonly waitMs: number;
}

/** What a run came to. */
interface Outcome {
  readonly plan: MigrationPlan;
  readonly exitCode: number;
  readonly backup?: Backup;
  readonly result?: MigrationResult;
}

const EXIT_CODE_OF_PLAN: Readonly<Record<PlanStatus, number>> = {
  empty: ExitCode.OK,
  ready: ExitCode.DRIFT,
  "needs-consent": ExitCode.NEEDS_CONSENT,
  blocked: ExitCode.FAILED,
};

/**
 * Brings a database to the wanted schema, or says what that would take.
 *
 * @throws DriverError with the reason why not; nothing is changed then.
 */
export async function runSchema(flags: SchemaFlags, context: CommandContext): Promise<number> {
  const path = resolveDatabasePath(flags);
  const onlyReads = flags.dryRun === true || flags.check === true;
  assertDatabaseFile(path, { isWritten: !onlyReads });
  const wantedSql = flags.schema === undefined ? BUILT_IN_SCHEMA : readSchemaFile(flags.schema);
  const print = flags.json === true ? () => undefined : (text: string) => context.terminal.stdout.write(text);

  if (!onlyReads) context.supervisor.watch(path);
  const presence = onlyReads ? undefined : await enter(path, flags, context);
  try {
    const outcome = await migrate(path, wantedSql, flags, onlyReads, context, print);
    if (flags.json === true) {
      context.terminal.stdout.write(`${JSON.stringify(outcomeDocument(path, outcome), null, 2)}\n`);
    }
    for (const { message, hint } of outcome.plan.problems) {
      context.reportError(withHint(message, hint));
    }
    return outcome.exitCode;
  } finally {
    removePresenceNote(path, process.pid);
    presence?.release();
  }
}

async function enter(path: string, flags: SchemaFlags, { terminal }: CommandContext): Promise<PresenceLock> {
  if (flags.waitMs > 0 && terminal.stderr.isTTY === true) {
    terminal.stderr.write(`Waiting up to ${flags.waitMs / 1_000} s for the database…\n`);
  }
  const mode = flags.online === true ? "shared" : "exclusive";
  const presence = await acquirePresence(path, mode, flags.waitMs);
  // Beside a driver, the note is the driver's.
  if (mode === "exclusive") writePresenceNote(path, { program: "config_cli", pid: process.pid, addresses: [] });
  return presence;
}

async function migrate(
  path: string,
  wantedSql: string,
  flags: SchemaFlags,
  onlyReads: boolean,
  context: CommandContext,
  print: (text: string) => void,
): Promise<Outcome> {
  const driver = createDriver("sqlite", { path });
  const { connection } = driver;
  const run = async (isOptimistic: boolean): Promise<Outcome> => {
    const renames = flags.rename ?? [];
    const plan = planMigration(connection, wantedSql, { allow: flags.allow ?? [], renames, isOptimistic });
    print(formatPlan(plan));
    const exitCode = EXIT_CODE_OF_PLAN[statusOf(plan)];
    if (onlyReads || statusOf(plan) !== "ready") return { plan, exitCode };

    const backup = flags.backup ? await backUp(connection, path, flags, context) : undefined;
    if (backup !== undefined) print(`\nBackup: ${backup.path}\n`);
    const result = apply(connection, plan, context);
    print(`\n${formatResult(result)}`);
    return { plan, exitCode: ExitCode.OK, result, ...(backup !== undefined && { backup }) };
  };
  // Alone with the database, a refusal under the write lock keeps nobody waiting, and without a backup none is made in vain.
  const isOptimistic = !onlyReads && !flags.backup && flags.online !== true;
  try {
    const busyTimeoutMs = Number(connection.pragma("busy_timeout", { simple: true }));
    setPragma(connection, { name: "busy_timeout", value: Math.max(busyTimeoutMs, flags.waitMs) });
    return await runOnceOrTwice(run, isOptimistic, print);
  } catch (error) {
    throw aboutDatabase(path, error);
  } finally {
    driver.close();
  }
}

/** When SQLite has refused a row, everything is as it was; the second run counts such rows and names them. */
async function runOnceOrTwice(
  run: (isOptimistic: boolean) => Promise<Outcome>,
  isOptimistic: boolean,
  print: (text: string) => void,
): Promise<Outcome> {
  try {
    return await run(isOptimistic);
  } catch (error) {
    if (!isOptimistic || !DriverError.from(error).reason.startsWith("CONSTRAINT_")) throw error;
    print("\nSQLite refused a row; nothing was changed. Which ones it is about:\n\n");
    return await run(false);
  }
}

async function backUp(
  connection: Connection,
  path: string,
  flags: SchemaFlags,
  { supervisor, terminal, signal }: CommandContext,
): Promise<Backup> {
  const progress = startProgress("Backup", terminal.stderr);
  try {
    const directory = resolve(flags.backupDir ?? dirname(path));
    makeDirectory(directory);
    const target = backupPath(path, directory);
    supervisor.watchTemporaryFile(partialPathOf(target));
    return await createBackup(connection, target, {
      onProgress: ({ donePages, totalPages }) => {
        assertNotAborted(signal);
        progress.update(donePages, totalPages, "pages");
      },
    });
  } finally {
    progress.stop();
  }
}

function apply(
  connection: Connection,
  plan: MigrationPlan,
  { supervisor, terminal, signal }: CommandContext,
): MigrationResult {
  const progress = startProgress("Migration", terminal.stderr);
  try {
    assertNotAborted(signal);
    return applyMigration(connection, plan, {
      onProgress: (at) => progress.update(...progressOf(at)),
      shouldStop: supervisor.isAbandoned,
      onStep: (sql) => {
        if (sql === "COMMIT") supervisor.assertMayCommit();
      },
    });
  } finally {
    progress.stop();
  }
}

function progressOf({ operation, position, operations, rows }: MigrationProgress): [number, number, string] {
  const what = `${operation.kind.replaceAll("-", " ")} ${operation.object} (${position} of ${operations})`;
  return rows === undefined ? [position - 1, operations, what] : [rows.done, rows.total, what];
}

function assertNotAborted(signal: AbortSignal): void {
  if (signal.aborted) throw new DriverError("CANCELLED", "Interrupted; nothing was changed.");
}

function readSchemaFile(file: string): string {
  const path = resolve(file);
  try {
    // Editors of Windows begin a file with a byte order mark, which is no SQL.
    return readFileSync(path, "utf8").replace(/^\uFEFF/, "");
  } catch (error) {
    const why = messageOf(error);
    throw new DriverError("FILE_NOT_FOUND", `The schema file ${path} cannot be read: ${why}.`, {
      hint: "Name a file of CREATE statements with --schema.",
      cause: error,
    });
  }
}

/** What `--json` prints; stable keys. */
function outcomeDocument(database: string, { plan, exitCode, backup, result }: Outcome): Record<string, unknown> {
  return {
    database,
    exitCode,
    ...planDocument(plan),
    ...(backup !== undefined && { backup: { path: backup.path, bytes: backup.bytes } }),
    ...(result !== undefined && { result: resultDocument(result) }),
  };
}
