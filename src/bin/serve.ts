import { once } from "node:events";
import { ExitCode } from "../cli/exit-code.js";
import { type Terminal, write } from "../cli/terminal.js";
import type { Config } from "../config/config.js";
import { createLogger, type Logger } from "../observability/logger.js";

/** A driver that serves. */
export interface RunningDriver {
  /** Where it listens, in the order of the options; a port that was 0 is the one that was found. */
  readonly addresses: readonly string[];
  /** Resolves when it has come to an end by itself, with what it could not go on after. */
  readonly failed: Promise<Error>;
  /**
   * Takes no new calls, gives those that run `drainTimeoutMs`, writes the write-ahead log back into the database and closes it.
   */
  stop(drainTimeoutMs: number): Promise<void>;
}

/** Connects to the database and begins to serve; throws a `DriverError` when it cannot. */
export type StartDriver = (config: Config, logger: Logger) => Promise<RunningDriver>;

/**
 * Serves until SIGTERM or SIGINT, then drains; a second signal ends the process at once.
 *
 * @returns 0 after a clean end, 1 when the driver failed while it served.
 * @throws DriverError when it cannot start.
 */
export async function serve(config: Config, startDriver: StartDriver, terminal: Terminal): Promise<number> {
  const logger = createLogger({ level: config.logLevel });
  const stopping = onFirstSignal(logger);
  const indexAtStart =
    config.index === undefined
      ? undefined
      : // What only clients need is not loaded by a driver that has nothing to index.
        (await import("./index-at-start.js")).prepareIndexing(config.index, config, terminal, logger);
  const driver = await startDriver(config, logger);
  for (const address of driver.addresses) await write(terminal.stdout, `listening ${address}\n`);
  const indexing = indexAtStart?.(driver.addresses[0], stopping);

  const failure = await Promise.race([
    driver.failed,
    stopping.aborted ? undefined : once(stopping, "abort").then(() => undefined),
  ]);
  if (failure !== undefined) logger.error("the driver cannot go on", { err: failure });
  await driver.stop(failure === undefined ? config.drainTimeoutMs : 0);
  await indexing;
  return failure === undefined ? ExitCode.OK : ExitCode.FAILED;
}

/** Aborted at the first SIGTERM or SIGINT; the second one ends the process. */
function onFirstSignal(logger: Logger): AbortSignal {
  const controller = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(ExitCode.INTERRUPTED);
      logger.info(`${name}: no new calls; a second signal ends at once`);
      controller.abort();
    });
  }
  return controller.signal;
}
