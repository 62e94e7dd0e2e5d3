import { mkdirSync, mkdtempSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { DriverClient } from "../../../client/client.js";
import type { Config } from "../../../config/config.js";
import { DriverError, messageOf } from "../../../errors.js";
import { ExitCode } from "../../exit-code.js";
import { type Progress, startProgress } from "../../progress.js";
import { write } from "../../terminal.js";
import type { CommandContext } from "../command-context.js";
import { connect } from "../connection.js";
import { type DriverProcess, startDriverProcess } from "../driver-process.js";
import { latencyOf, resultToJson, summarize } from "./load-result.js";
import { type FinishedOperation, type LoadRun, runLoad } from "./load-run.js";
import { formatResult } from "./load-text.js";
import { reportPage } from "./report-page.js";
import { type Operation, Workload } from "./workload.js";

/** What `load` is asked for beside the options of every command. */
export interface LoadRequest {
  readonly fileCount: number;
  readonly concurrency: number;
  /** Reads and transactions between the files. */
  readonly isMixed: boolean;
  readonly isJson: boolean;
  /** Where to write the HTML page; undefined for none. */
  readonly reportPath: string | undefined;
}

/** Time between two looks at the figures while the load runs, in milliseconds. */
const PROGRESS_INTERVAL_MS = 100;

/**
 * `load`: many clients at once, on the driver at `--address` or on a driver and database of its own that are removed afterwards.
 *
 * @returns 0 when every operation succeeded, 1 when one failed.
 */
export async function runLoadCommand(request: LoadRequest, config: Config, context: CommandContext): Promise<number> {
  if (request.reportPath !== undefined) assertWritable(request.reportPath);
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "code-analysis-driver-load-")));
  let driver: DriverProcess | undefined;
  const clients: DriverClient[] = [];
  const connectTo = (address: string, retries: boolean): DriverClient => {
    const client = connect(config, address, { retries });
    clients.push(client);
    return client;
  };
  try {
    const address = config.address ?? `unix:${join(folder, "driver.sock")}`;
    if (config.address === undefined) {
      driver = await startDriverProcess(context.programPath, { ...config, db: join(folder, "load.db") }, address);
    }
    const client = connectTo(address, true);
    // Whatever the driver refuses is counted.
    const loadingClient = connectTo(address, false);
    const root = join(folder, "project");
    mkdirSync(root);
    const workload = await Workload.prepare(client, root, request.fileCount);
    try {
      const run = await measure(
        client,
        workload.operations(loadingClient, request.isMixed),
        request.concurrency,
        context,
      );
      const result = summarize(run, request.fileCount, request.concurrency);
      if (request.reportPath !== undefined) writeFileSync(request.reportPath, reportPage(run, result));
      const text = request.isJson
        ? `${JSON.stringify(resultToJson(result), null, 2)}\n`
        : formatResult(result, context.terminal.stdout);
      await write(context.terminal.stdout, text);
      return result.failures.length === 0 ? ExitCode.OK : ExitCode.FAILED;
    } finally {
      await workload.remove();
    }
  } finally {
    for (const client of clients) client.close();
    await driver?.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs the load with a progress bar. */
async function measure(
  client: DriverClient,
  operations: readonly Operation[],
  concurrency: number,
  { terminal, signal }: CommandContext,
): Promise<LoadRun> {
  const bar = startProgress("Loading", terminal.stderr);
  try {
    return await runLoad(client, operations, {
      concurrency,
      onProgress: liveFigures(bar, operations.length),
      signal,
    });
  } finally {
    bar.stop();
  }
}

/** Shows the rate since the last look, and what the slowest percent of the operations since then took. */
function liveFigures(bar: Progress, total: number): (finished: readonly FinishedOperation[]) => void {
  let shown = 0;
  let shownMs = 0;
  let failed = 0;
  return (finished) => {
    const last = finished.at(-1);
    if (last?.error !== undefined) failed++;
    const nowMs = last?.endedMs ?? 0;
    if (nowMs - shownMs < PROGRESS_INTERVAL_MS && finished.length < total) return;
    const since = finished.slice(shown);
    const perSecond = Math.round((since.length / (nowMs - shownMs)) * 1_000);
    bar.update(finished.length, total, `${perSecond}/s, p99 ${Math.round(latencyOf(since).p99)} ms, ${failed} failed`);
    shown = finished.length;
    shownMs = nowMs;
  };
}

/** Found out before the load rather than after it. */
function assertWritable(path: string): void {
  try {
    writeFileSync(path, "");
  } catch (cause) {
    const why = messageOf(cause);
    throw new DriverError("INVALID_REQUEST", `The report ${path} cannot be written (${why}).`, {
      field: "--report",
      hint: "Name a file in a folder that is there.",
      cause,
    });
  }
}
