import type { DriverClient } from "../../client/client.js";
import { type Config, DEFAULT_DATABASE_PATH } from "../../config/config.js";
import { DriverError, shellWord } from "../../errors.js";
import { TreeWatcher } from "../../source-tree/tree-watcher.js";
import { ExitCode } from "../exit-code.js";
import { write } from "../terminal.js";
import type { CommandContext } from "./command-context.js";
import { connect, driverAddress } from "./connection.js";
import { type DriverProcess, startDriverProcess } from "./driver-process.js";
import { indexDirectory, resolveDirectory } from "./index-directory.js";
import { formatIndexReport, indexReportToJson } from "./index-report.js";
import { watchTree } from "./watch.js";
import { createJsonWatchReport, createWatchReport } from "./watch-report.js";

/** Long enough for a driver that is just recovering; one that is not there is noticed at once. */
const PROBE_TIMEOUT_MS = 30_000;

/** How `index` is to go about it. */
export interface IndexOptions {
  readonly isJson: boolean;
  /** Stay, and keep the index fresh until interrupted. */
  readonly isWatching: boolean;
}

/**
 * `index DIR`: indexes a folder through the driver, and starts one for the run when none answers at the default address.
 *
 * @returns 0 also when files failed: they are listed, and stored in `indexing_errors`.
 */
export async function runIndex(
  directory: string,
  config: Config,
  { isJson, isWatching }: IndexOptions,
  context: CommandContext,
): Promise<number> {
  const { terminal, signal } = context;
  const path = resolveDirectory(directory);
  const { client, driver } = await connectOrStart(config, context);
  const watcher = isWatching ? new TreeWatcher(path) : undefined;
  try {
    // Before the files are read, so that what changes meanwhile is looked at again.
    watcher?.start();
    const report = await indexDirectory(client, path, terminal, signal);
    const text = isJson
      ? `${JSON.stringify(indexReportToJson(report), null, isWatching ? undefined : 2)}\n`
      : formatIndexReport(report, terminal.stdout);
    await write(terminal.stdout, text);
    if (!isJson) await write(terminal.stdout, howToQuery(config, driver === undefined || isWatching));
    if (watcher !== undefined) await watch(client, path, watcher, isJson, context);
    return ExitCode.OK;
  } finally {
    watcher?.close();
    client.close();
    await driver?.stop();
  }
}

async function watch(
  client: DriverClient,
  path: string,
  watcher: TreeWatcher,
  isJson: boolean,
  { terminal, signal }: CommandContext,
): Promise<void> {
  if (!isJson) {
    const { directoryCount, unwatchable } = watcher;
    const directories = `${directoryCount.toLocaleString("en-US")} director${directoryCount === 1 ? "y" : "ies"}`;
    await write(terminal.stdout, `\nWatching ${directories}; Ctrl-C ends it.\n`);
    if (unwatchable !== null)
      await write(
        terminal.stderr,
        `Some directories cannot be watched and are only looked at from time to time: ${unwatchable}\n`,
      );
  }
  const report = isJson ? createJsonWatchReport(terminal) : createWatchReport(terminal);
  await watchTree(client, path, watcher, report, signal);
}

/** What to type next, with the options that are needed to reach the same driver. */
export function howToQuery(config: Config, isServing: boolean): string {
  const database = config.db === DEFAULT_DATABASE_PATH ? "" : ` --db ${shellWord(config.db)}`;
  const options = config.address === undefined ? database : ` --address ${shellWord(config.address)}`;
  return [
    "",
    ...(isServing
      ? ["Query it, from another terminal:"]
      : ["Start the driver, then query it from another terminal:", `  npx code-analysis-driver serve${database}`]),
    `  npx code-analysis-driver sql${options} 'SELECT name, line FROM classes ORDER BY name LIMIT 10'`,
    `  npx code-analysis-driver search${options} 'open file'`,
    "",
  ].join("\n");
}

async function connectOrStart(
  config: Config,
  { programPath, signal }: CommandContext,
): Promise<{ client: DriverClient; driver?: DriverProcess }> {
  const client = connect(config);
  try {
    await client.getDriverInfo({}, { timeoutMs: PROBE_TIMEOUT_MS, signal });
    return { client };
  } catch (error) {
    client.close();
    const isMissing = error instanceof DriverError && error.reason === "DRIVER_UNREACHABLE";
    // A driver at an address that the user has named is the user's to start.
    if (!isMissing || config.address !== undefined) throw error;
  }
  const address = driverAddress(config);
  const driver = await startDriverProcess(programPath, config, address);
  return { client: connect(config, address), driver };
}
