import { type ProgramResult, type RunningProgram, runScript, startProgram } from "./program.js";

const PROGRAM = "src/bin/config-cli.js";

type Options = Parameters<typeof startProgram>[2];

/** Runs `config_cli` to its end. */
export function runConfigCli(args: readonly string[], options?: Options): Promise<ProgramResult> {
  return runScript(PROGRAM, args, options);
}

export function startConfigCli(args: readonly string[], options?: Options): RunningProgram {
  return startProgram(PROGRAM, args, options);
}
