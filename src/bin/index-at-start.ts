import { connect } from "../cli/code-analysis-driver/connection.js";
import { howToQuery } from "../cli/code-analysis-driver/index-command.js";
import { indexDirectory, resolveDirectory } from "../cli/code-analysis-driver/index-directory.js";
import { formatIndexReport } from "../cli/code-analysis-driver/index-report.js";
import { type Terminal, write } from "../cli/terminal.js";
import type { Config } from "../config/config.js";
import type { Logger } from "../observability/logger.js";

/** Indexes through the driver at `address`; a failure is reported, and the driver goes on serving. */
export type IndexAtStart = (address: string | undefined, signal: AbortSignal) => Promise<void>;

/**
 * Looks at the folder before anything is started, and returns what indexes it through the driver's own API, as any client would.
 *
 * @throws DriverError `FILE_NOT_FOUND` or `INVALID_REQUEST` when there is no such folder.
 */
export function prepareIndexing(folder: string, config: Config, terminal: Terminal, logger: Logger): IndexAtStart {
  const directory = resolveDirectory(folder);
  return async (address, signal) => {
    const client = connect(config, address);
    try {
      const report = await indexDirectory(client, directory, terminal, signal);
      await write(terminal.stdout, formatIndexReport(report, terminal.stdout) + howToQuery(config, true));
    } catch (error) {
      if (!signal.aborted) logger.error(`the folder ${directory} was not indexed`, { err: error });
    } finally {
      client.close();
    }
  };
}
