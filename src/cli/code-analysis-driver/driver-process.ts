import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Config } from "../../config/config.js";
import { DriverError } from "../../errors.js";

/** A driver that a command has started for itself. */
export interface DriverProcess {
  /** Stops it and waits for its end. */
  stop(): Promise<void>;
}

/** The last line of what the process says about itself, which is why it ended. */
const MAX_REMEMBERED_CHARACTERS = 4_096;

/**
 * Starts `serve` on the database of `config`, listening on `address`, and waits until it serves.
 *
 * @param programPath - The script of this program.
 * @throws DriverError `DRIVER_UNREACHABLE` with what the process said, when it ends instead.
 */
export async function startDriverProcess(programPath: string, config: Config, address: string): Promise<DriverProcess> {
  const child = spawn(
    process.execPath,
    [
      ...[programPath, "serve", "--db", config.db, "--listen", address, "--log-level", "warn"],
      ...(config.config === undefined ? [] : ["--config", config.config]),
    ],
    // A group of its own: Ctrl-C goes to everybody in the terminal's group, and the SIGTERM of `stop` would be the second signal,
    // at which a driver ends without tidying up.
    { stdio: ["ignore", "pipe", "pipe"], detached: true },
  );
  // However this process ends, the driver was there for it alone.
  const end = () => child.kill("SIGTERM");
  process.once("exit", end);
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    said = (said + text).slice(-MAX_REMEMBERED_CHARACTERS);
  });
  const ended = once(child, "close").finally(() => process.off("exit", end));
  const listening = (async () => {
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith("listening ")) return;
    }
    await ended;
    throw new DriverError("DRIVER_UNREACHABLE", `The driver for ${config.db} did not start: ${said.trim()}`);
  })();
  await listening;
  child.stdout.resume();
  return {
    async stop() {
      child.kill("SIGTERM");
      await ended;
    },
  };
}
