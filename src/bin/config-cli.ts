#!/usr/bin/env node
import { fileURLToPath } from "node:url";
import { connectSupervisor, isSupervised, superviseChild } from "../cli/config-cli/supervision.js";

// A reader that has seen enough, `| head` for example, is no reason to stop a migration.
for (const stream of [process.stdout, process.stderr]) {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
  });
}

const args = process.argv.slice(2);
process.exit(
  isSupervised(process.env) ? await runSupervised() : await superviseChild(fileURLToPath(import.meta.url), args),
);

async function runSupervised(): Promise<number> {
  const { runProgram } = await import("../cli/config-cli/program.js");
  const { VERSION } = await import("./version.js");
  // This program is one of those for which opening a database directly is meant.
  process.env.CODE_ANALYSIS_DB_DRIVER = "1";
  const interruption = new AbortController();
  for (const name of ["SIGINT", "SIGTERM"] as const) process.on(name, () => interruption.abort());
  return runProgram(args, {
    version: VERSION,
    terminal: process,
    supervisor: connectSupervisor(),
    signal: interruption.signal,
  });
}
