#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { runProgram } from "../cli/code-analysis-driver/program.js";
import { ExitCode } from "../cli/exit-code.js";
import type { Config } from "../config/config.js";
import { VERSION } from "./version.js";

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

const exitCode = await runProgram(process.argv.slice(2), {
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
    process.umask(PRIVATE_UMASK);
    for (const name of INTERRUPTIONS) process.off(name, interrupt);
    return await serve(config, startDriver, process);
  },
});
process.exit(exitCode);
