#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { ExitCode } from "../cli/exit-code.js";
import type { Config } from "../config/config.js";
import { WorkerProcess } from "../workers/worker-process.js";

// What grpc-js has to say comes back as an error as well, and stderr is for sentences and log records.
process.env.GRPC_VERBOSITY ??= "NONE";

/** What a driver and its worker processes create is for its user alone: the database, its WAL, backups, tokens. */
const PRIVATE_UMASK = 0o077;

let isServing = false;
// A reader that has seen enough, `| head` for example, is no failure, and no reason for a driver to stop serving others.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (!isServing) process.exit(error.code === "EPIPE" ? ExitCode.OK : ExitCode.FAILED);
});

const interruption = new AbortController();
const interrupt = () => {
  if (interruption.signal.aborted) process.exit(ExitCode.INTERRUPTED);
  interruption.abort();
};
const INTERRUPTIONS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
for (const name of INTERRUPTIONS) process.on(name, interrupt);

/** A writer process that has no options yet, with the umask of everything that a driver starts. */
function startWriter(): WorkerProcess {
  process.umask(PRIVATE_UMASK);
  return new WorkerProcess("writer");
}

const args = process.argv.slice(2);
// Until both have loaded their modules, a driver cannot serve: they do so at the same time.
const writerProcess = args[0] === "serve" ? startWriter() : undefined;
const { runProgram } = await import("../cli/code-analysis-driver/program.js");
const { VERSION } = await import("./version.js");
const exitCode = await runProgram(args, {
  version: VERSION,
  terminal: process,
  environment: process.env,
  programPath: fileURLToPath(import.meta.url),
  signal: interruption.signal,
  serve: async (config: Config) => {
    const { serve } = await import("./serve.js");
    const { startDriver } = await import("./start-driver.js");
    if (interruption.signal.aborted) return ExitCode.OK;
    // The driver ends in its own way.
    isServing = true;
    for (const name of INTERRUPTIONS) process.off(name, interrupt);
    const writer = writerProcess ?? startWriter();
    return await serve(config, (...wiring) => startDriver(...wiring, writer), process);
  },
});
process.exit(exitCode);
