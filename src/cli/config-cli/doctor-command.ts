import { wantedModel } from "../../schema/built-in-schema.js";
import { createDriver } from "../../schema/direct-driver.js";
import { type DoctorReport, examine, type FixReport, fix } from "../../schema/doctor.js";
import { acquirePresence } from "../../sqlite/presence-lock.js";
import type { CommandContext } from "./command-context.js";
import { aboutDatabase, assertDatabaseFile, type DatabaseFlags, resolveDatabasePath } from "./database-file.js";
import { ExitCode } from "./exit-code.js";

/** The flags of `config_cli doctor`. */
export interface DoctorFlags extends DatabaseFlags {
  readonly fix?: boolean;
  readonly json?: boolean;
}

/**
 * Examines a database and, with `--fix`, heals what can be healed without losing a row. Runs beside a driver, but not beside
 * another migration.
 *
 * @throws DriverError when the database cannot be examined, or nothing could be changed.
 */
export async function runDoctor(flags: DoctorFlags, { terminal, supervisor }: CommandContext): Promise<number> {
  const path = resolveDatabasePath(flags);
  assertDatabaseFile(path, { isWritten: flags.fix === true });
  const presence = flags.fix === true ? await acquirePresence(path, "shared", 0) : undefined;
  try {
    const driver = createDriver("sqlite", { path });
    try {
      const report =
        flags.fix === true
          ? fixDatabase(driver.connection, path, supervisor)
          : { fixed: [], remaining: examine(driver.connection, wantedModel()) };
      terminal.stdout.write(
        flags.json === true
          ? `${JSON.stringify({ database: path, ...report.remaining, fixed: report.fixed }, null, 2)}\n`
          : formatReport(path, report),
      );
      return report.remaining.isHealthy ? ExitCode.OK : ExitCode.DRIFT;
    } catch (error) {
      throw aboutDatabase(path, error);
    } finally {
      driver.close();
    }
  } finally {
    presence?.release();
  }
}

function fixDatabase(
  connection: Parameters<typeof fix>[0],
  path: string,
  supervisor: CommandContext["supervisor"],
): FixReport {
  supervisor.watch(path);
  return fix(connection, wantedModel(), { beforeCommit: () => supervisor.assertMayCommit() });
}

function formatReport(path: string, { fixed, remaining }: FixReport): string {
  return [
    ...section("Fixed", fixed),
    ...section(fixed.length > 0 ? "Left" : "Found", describeFindings(remaining)),
    remaining.isHealthy
      ? `${path} is healthy (${remaining.checkedTables} tables checked).`
      : `${path} is not healthy: ${summary(remaining)}`,
    "",
  ].join("\n");
}

function describeFindings({ findings }: DoctorReport): string[] {
  return findings.map(({ message, isFixable }) => `${message}${isFixable ? "" : " (not fixable without loss)"}`);
}

function summary({ findings }: DoctorReport): string {
  const fixable = findings.filter(({ isFixable }) => isFixable).length;
  const byHand = findings.length - fixable;
  return [
    ...(fixable > 0 ? [`doctor --fix heals ${fixable} of ${findings.length} findings.`] : []),
    ...(byHand > 0 ? [`${byHand} ${byHand === 1 ? "needs" : "need"} a person.`] : []),
  ].join(" ");
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  - ${line}`), ""];
}
