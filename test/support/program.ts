import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** How a program ended and what it said. */
export interface ProgramResult {
  /** Null when a signal ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A program that runs. */
export interface RunningProgram {
  readonly child: ChildProcessWithoutNullStreams;
  /** Resolves as soon as stdout or stderr, as far as they have come, match; rejects when the program ends before. */
  waitFor(stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray>;
  readonly ended: Promise<ProgramResult>;
}

/** Path of a compiled script of this project, from the root of the compiled output: `src/bin/code-analysis-driver.js`. */
function compiledPath(script: string): string {
  return fileURLToPath(new URL(`../../${script}`, import.meta.url));
}

/** Starts `script` (see `compiledPath`) with `args`; it sees no configuration of whoever runs the tests. */
export function startProgram(
  script: string,
  args: readonly string[],
  options: {
    readonly cwd?: string;
    readonly environment?: Readonly<Record<string, string>>;
    /** A process group of its own, as a terminal makes one, that can be sent a signal. */
    readonly isGroupLeader?: boolean;
    /** A program with its arguments that starts the script, and whose place the script takes: `strace -D …`. */
    readonly wrapper?: readonly string[];
  } = {},
): RunningProgram {
  const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith("CODE_ANALYSIS_"));
  const command = [...(options.wrapper ?? []), process.execPath, compiledPath(script), ...args];
  const child = spawn(command[0] ?? "", command.slice(1), {
    ...(options.cwd !== undefined && { cwd: options.cwd }),
    detached: options.isGroupLeader === true,
    env: { ...Object.fromEntries(inherited), ...options.environment },
  });
  const said = { stdout: "", stderr: "" };
  const watchers = new Set<() => void>();
  for (const stream of ["stdout", "stderr"] as const) {
    child[stream].setEncoding("utf8").on("data", (text: string) => {
      said[stream] += text;
      for (const watch of watchers) watch();
    });
  }
  const ended = once(child, "close").then(([exitCode]): ProgramResult => ({ exitCode, ...said }));
  return {
    child,
    ended,
    waitFor(stream, pattern) {
      return new Promise((resolve, reject) => {
        const watch = () => {
          const match = pattern.exec(said[stream]);
          if (match === null) return;
          watchers.delete(watch);
          resolve(match);
        };
        watchers.add(watch);
        watch();
        ended.then(({ exitCode, stdout, stderr }) =>
          reject(new Error(`The program ended (${exitCode}) before ${pattern} came.\n${stdout}\n${stderr}`)),
        );
      });
    },
  };
}

/** Runs `script` to its end. */
export function runScript(...args: Parameters<typeof startProgram>): Promise<ProgramResult> {
  return startProgram(...args).ended;
}
