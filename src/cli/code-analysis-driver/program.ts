import { Command, CommanderError, InvalidArgumentError } from "commander";
import { type Config, resolveConfig } from "../../config/config.js";
import type { OptionAudience } from "../../config/options.js";
import { DriverError } from "../../errors.js";
import { ExitCode } from "../exit-code.js";
import { createStyler } from "../terminal.js";
import type { CommandContext } from "./command-context.js";
import { addOptions, readFlags } from "./option-flags.js";
import type { SearchOptions } from "./search-command.js";
import { SEARCH_KINDS, type SearchKind } from "./search-kinds.js";

/** What the program needs beside. */
export interface ProgramOptions extends CommandContext {
  readonly version: string;
  /** The driver process itself: serves until it is told to end. */
  readonly serve: (config: Config) => Promise<number>;
}

const PROGRAM = "code-analysis-driver";

/**
 * Runs the command that `argv` (without node and script) asks for.
 *
 * @returns The exit code: 0, 1 with one sentence on stderr, 2 for wrong usage, 130 when it was interrupted.
 */
export async function runProgram(argv: readonly string[], options: ProgramOptions): Promise<number> {
  let exitCode: number = ExitCode.OK;
  const program = createProgram(options, (code) => {
    exitCode = code;
  });
  try {
    await program.parseAsync(argv, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.OK : ExitCode.USAGE;
    if (options.signal.aborted) return ExitCode.INTERRUPTED;
    const failure = DriverError.from(error);
    const style = createStyler(options.terminal.stderr);
    options.terminal.stderr.write(`${style(["bold", "red"], "error:")} ${failure.sentence}\n`);
    return failure.field?.startsWith("--") === true ? ExitCode.USAGE : ExitCode.FAILED;
  }
}

function createProgram(options: ProgramOptions, onExitCode: (exitCode: number) => void): Command {
  const { terminal, environment, serve } = options;

  /** An action gets its arguments, then its flags; it runs with the resolved options. */
  function action<Arguments extends unknown[]>(run: (config: Config, ...args: Arguments) => Promise<number>) {
    return async (...all: [...Arguments, unknown, Command]) => {
      const command = all.at(-1);
      if (!(command instanceof Command)) throw new DriverError("INTERNAL", "A command was called without itself.");
      const config = resolveConfig({ flags: readFlags(command), environment });
      onExitCode(await run(config, ...(all as unknown as Arguments)));
    };
  }

  function command(usage: string, audience: OptionAudience, description: string, examples: readonly string[]): Command {
    const result = program.command(usage).description(description);
    addOptions(result, audience).showHelpAfterError(`See ${PROGRAM} ${result.name()} --help.`);
    return result.addHelpText("after", `\nExamples:\n${examples.map((line) => `  ${PROGRAM} ${line}`).join("\n")}`);
  }

  const program = new Command(PROGRAM)
    .description("A process that alone owns a SQLite index of source code and serves it over gRPC.")
    .version(options.version)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => terminal.stdout.write(text),
      writeErr: (text) => terminal.stderr.write(text),
      getOutHelpWidth: () => helpWidth(terminal.stdout.columns),
      getErrHelpWidth: () => helpWidth(terminal.stderr.columns),
    })
    .addHelpText("after", `\nStart with:\n  ${PROGRAM} serve --index path/to/source\n`);

  command("serve", "driver", "Run the driver process until SIGTERM or SIGINT.", [
    "serve --db data/code_analysis.db --index src",
    "serve --listen unix:/run/driver.sock --listen 127.0.0.1:50051",
  ]).action(action((config) => serve(config)));

  command("index <DIR>", "client", "Index a folder; starts a driver for the run if none answers.", [
    "index src",
    "index src --json",
    "index src --watch",
  ])
    .option("--watch", "Stay and index every file that changes, until Ctrl-C.")
    .option("--json", "Print one JSON document; with --watch one a line: the first run, then every change.")
    .action(
      action(
        async (config, directory: string, { json = false, watch = false }: { json?: boolean; watch?: boolean }) => {
          const { runIndex } = await import("./index-command.js");
          return await runIndex(directory, config, { isJson: json, isWatching: watch }, options);
        },
      ),
    );

  command("sql <STATEMENT>", "client", "Run one SQL statement.", [
    "sql 'SELECT name, line FROM classes LIMIT 10'",
    "sql 'SELECT path FROM files WHERE lines > ? AND path LIKE ?' --param 1000 --param '%.py'",
  ])
    .option(
      "--param <VALUE>",
      "Value for the next ?. 42 is INTEGER, 4.2 REAL, null NULL, x'0aff' a blob, '42' in quotes TEXT, all else TEXT. Repeatable.",
      (value: string, earlier: readonly string[] = []) => [...earlier, value],
    )
    .option("--json", 'Print one JSON document; integers beyond 2^53 are strings, blobs {"base64": …}.')
    .action(
      action(
        async (config, sql: string, { json = false, param = [] }: { json?: boolean; param?: readonly string[] }) => {
          const { runSql } = await import("./sql-command.js");
          return await runSql(sql, param, config, json, options);
        },
      ),
    );

  command("search <WORDS>", "client", "Search names and text of the indexed source.", [
    "search 'user name'",
    "search 'pars*' --limit 50 --json",
    "search 'open' --kind method --kind function --language python --path lib/",
  ])
    .option("--project <DIR>", "Only the project with this root directory.")
    .option("--language <NAME>", "Only files of this language: python, typescript, …")
    .option(
      "--kind <KIND>",
      `Only entities of this kind: ${SEARCH_KINDS.join(", ")}. Repeatable.`,
      (value: string, earlier: readonly SearchKind[] = []) => [...earlier, parseKind(value)],
    )
    .option("--path <PREFIX>", "Only files whose path from the root directory begins so.")
    .option("--limit <NUMBER>", "Most hits to show.", wholeNumber(10_000), 20)
    .option("--json", "Print one JSON document.")
    .action(
      action(async (config, words: string, search: SearchOptions) => {
        const { runSearch } = await import("./search-command.js");
        return await runSearch(words, search, config, options);
      }),
    );

  command("load", "client", "Measure the driver at --address, or one of its own, under many calls at once.", [
    "load",
    "load --files 2000 --concurrency 64 --mixed --report load.html",
    "load --address unix:data/code_analysis.db.sock --json",
  ])
    .option(
      "--files <NUMBER>",
      "Source files to generate and index, where the driver can read them.",
      wholeNumber(1_000_000),
      200,
    )
    .option("--concurrency <NUMBER>", "Operations under way at a time.", wholeNumber(10_000), 20)
    .option("--mixed", "Read after each file, and write in interactive transactions in between.")
    .option("--report <FILE>", "Also write an HTML page with charts.")
    .option("--json", "Print one JSON document.")
    .action(
      action(async (config, flags: LoadFlags) => {
        const { runLoadCommand } = await import("./load/load-command.js");
        return await runLoadCommand(
          {
            fileCount: flags.files,
            concurrency: flags.concurrency,
            isMixed: flags.mixed === true,
            isJson: flags.json === true,
            reportPath: flags.report,
          },
          config,
          options,
        );
      }),
    );

  return program;
}

/** The flags of `load` as commander gives them. */
interface LoadFlags {
  readonly files: number;
  readonly concurrency: number;
  readonly mixed?: boolean;
  readonly report?: string;
  readonly json?: boolean;
}

/** Wide enough for long descriptions where the output is no terminal. */
function helpWidth(columns: number | undefined): number {
  return columns ?? 120;
}

function parseKind(text: string): SearchKind {
  const kind = SEARCH_KINDS.find((it) => it === text);
  if (kind !== undefined) return kind;
  throw new InvalidArgumentError(`It must be one of ${SEARCH_KINDS.join(", ")}.`);
}

/** Parses a whole number from 1 to `max`. */
function wholeNumber(max: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < 1 || value > max)
      throw new InvalidArgumentError(`It must be a whole number from 1 to ${max}.`);
    return value;
  };
}
