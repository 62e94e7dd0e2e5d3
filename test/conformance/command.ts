import { spawn } from "node:child_process";
import { once } from "node:events";
import type { Command } from "./languages.js";

/** How a command ended and what it said. */
export interface CommandResult {
  readonly succeeded: boolean;
  readonly stdout: string;
  /** The last lines of stdout and stderr, for people. */
  readonly tail: string;
}

const TAIL_LINES = 15;

/** Runs a command in `cwd` to its end; one that cannot be started has not succeeded. */
export async function runCommand(
  [program, ...args]: Command,
  cwd: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const child = spawn(program, args, {
    cwd,
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let all = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
    all += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    all += text;
  });
  const exitCode = await once(child, "close").then(
    ([code]) => code,
    (error: Error) => {
      all += error.message;
      return null;
    },
  );
  return { succeeded: exitCode === 0, stdout, tail: all.trimEnd().split("\n").slice(-TAIL_LINES).join("\n") };
}
