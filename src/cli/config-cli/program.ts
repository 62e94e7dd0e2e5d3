import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { DriverError } from "../../errors.js";
import { CONSENT_KINDS, isConsentId } from "../../schema/consent.js";
import type { ColumnRename } from "../../schema/plan.js";
import { createStyler } from "../terminal.js";
import type { CommandContext } from "./command-context.js";
import { runGenerate, runValidate } from "./config-command.js";
import { type DoctorFlags, runDoctor } from "./doctor-command.js";
import { ExitCode, exitCodeOf } from "./exit-code.js";
import { runSchema, type SchemaFlags } from "./schema-command.js";

/** What the program needs beside. */
export interface ProgramOptions extends Omit<CommandContext, "reportError"> {
  readonly version: string;
}

const PROGRAM = "config_cli";

const EXIT_CODES = `
Exit codes:
  0    the schema is as wanted, or was made so
  1    error; nothing was changed, unless it says that the disk failed a COMMIT
  2    --check or --dry-run found a difference that can be applied safely
  3    changes need consent; each is listed with the --allow that permits it; nothing was changed
  4    the database is busy; nothing was changed
  130  interrupted; nothing was changed`;

const DOCTOR_EXIT_CODES = `
Exit codes:
  0  healthy
  2  something to fix, or something is left that only a person can decide
  1  error`;

/**
 * Runs the command that `argv` (without node and script) asks for.
 *
 * @returns The exit code; see `ExitCode`. Wrong usage is 1, because 2 says that a schema differs.
 */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<number> {
  let exitCode: number = ExitCode.OK;
  const style = createStyler(options.terminal.stderr);
  const context: CommandContext = {
    ...options,
    reportError: (sentence) => options.terminal.stderr.write(`${style(["bold", "red"], "error:")} ${sentence}\n`),
  };
  const program = createProgram(context, options.version, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.OK : ExitCode.FAILED;
    return report(DriverError.from(error), argv, context);
  }
}

function report(error: DriverError, argv: readonly string[], { terminal, reportError }: CommandContext): number {
  // Doctor has no code of its own for a busy database.
  const exitCode = argv[0] === "doctor" && error.reason === "DATABASE_BUSY" ? ExitCode.FAILED : exitCodeOf(error);
  if (argv.includes("--json")) {
    terminal.stdout.write(`${JSON.stringify({ exitCode, error: error.toJSON() }, null, 2)}\n`);
  }
  // Whoever sent the signal is told by the supervising process.
  if (error.reason !== "CANCELLED") reportError(error.sentence);
  return exitCode;
}

function createProgram(context: CommandContext, version: string, onExitCode: (exitCode: number) => void): Command {
  const { terminal } = context;
  const program = new Command(PROGRAM)
    .description("Examines a SQLite database of code-analysis-driver and migrates its schema without losing a row.")
    .version(version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHelpWidth: () => terminal.stdout.columns ?? 120,
      getErrHelpWidth: () => terminal.stderr.columns ?? 120,
    });

  const command = (name: string, description: string, help: string) =>
    program
      .command(name)
      .description(description)
      .showHelpAfterError(`See ${PROGRAM} ${name} --help.`)
      .addHelpText("after", help);

  const withDatabase = (target: Command) =>
    target
      .addOption(new Option("--db <PATH>", "The database.").conflicts("config"))
      .option(
        "--config <FILE>",
        "File that names the database: code_analysis.db_path, else code_analysis.database.driver.config.path. [default: config.json where it exists]",
      );

  withDatabase(command("schema", "Compare the schema of a database with the wanted one, and migrate it.", EXIT_CODES))
    .option("--schema <FILE>", "The wanted schema: plain CREATE statements. [default: the built-in schema]")
    .addOption(new Option("--dry-run", "Print the plan; change nothing.").conflicts("check"))
    .option("--check", "The same, for CI: the exit code says whether the schema is as wanted.")
    .option("--json", "Print one JSON document.")
    .option("--allow <CONSENT...>", "Permit a loss or change of data that the plan names. Repeatable.", collectConsent)
    .option(
      "--rename <TABLE.OLD=NEW...>",
      "A column was renamed; without this it is dropped and another added. Quote names as in SQL. Repeatable.",
      collectRename,
    )
    .option("--backup-dir <DIR>", "Where the backup goes. [default: beside the database]")
    .addOption(new Option("--no-backup", "Make no backup before a change.").conflicts("backupDir"))
    .option("--online", "Migrate beside a running driver: its reads go on, its writes wait.")
    .option("--wait <SECONDS>", "How long to wait while somebody has the database. [default: 0]", parseSeconds)
    .action(async ({ wait = 0, ...flags }: Omit<SchemaFlags, "waitMs"> & { readonly wait?: number }) =>
      onExitCode(await runSchema({ ...flags, waitMs: wait * 1_000 }, context)),
    );

  withDatabase(
    command("doctor", "Examine a database: interrupted migrations, dangling references, integrity.", DOCTOR_EXIT_CODES),
  )
    .option("--fix", "Heal what can be healed without losing a row.")
    .option("--json", "Print one JSON document.")
    .action(async (flags: DoctorFlags) => onExitCode(await runDoctor(flags, context)));

  command("generate", "Write a config file with every option, its default and its meaning.", "")
    .option("--out <FILE>", "Create this file. [default: stdout]")
    .action((flags: { readonly out?: string }) => onExitCode(runGenerate(flags, terminal)));

  command("validate", "Check a config file.", "")
    .option("--config <FILE>", "The file. [default: config.json]")
    .action((flags: { readonly config?: string }) => onExitCode(runValidate(flags, terminal)));

  return program;
}

function collectConsent(value: string, earlier: readonly string[] = []): string[] {
  if (!isConsentId(value)) {
    throw new InvalidArgumentError(
      `It must be KIND:OBJECT as the plan prints it; kinds are ${CONSENT_KINDS.join(", ")}.`,
    );
  }
  return [...earlier, value];
}

/** A name as SQL has it: only in double quotes may it hold what separates names. */
const NAME = '("(?:[^"]|"")+"|[^".=]+)';
const RENAME = new RegExp(`^${NAME}\\.${NAME}=${NAME}$`);

function collectRename(value: string, earlier: readonly ColumnRename[] = []): ColumnRename[] {
  const [, table, from, to] = RENAME.exec(value) ?? [];
  if (table === undefined || from === undefined || to === undefined) {
    throw new InvalidArgumentError(
      'It must be TABLE.OLD=NEW, with names that hold a ".", "=" or quote in double quotes.',
    );
  }
  return [...earlier, { table: unquoted(table), from: unquoted(from), to: unquoted(to) }];
}

function unquoted(name: string): string {
  return name.startsWith('"') ? name.slice(1, -1).replaceAll('""', '"') : name;
}

function parseSeconds(value: string): number {
  const seconds = Number(value);
  if (!/^\d+(\.\d+)?$/.test(value) || seconds > 86_400) {
    throw new InvalidArgumentError("It must be a number of seconds from 0 to 86400.");
  }
  return seconds;
}
