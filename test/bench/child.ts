import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

/** The program of the driver. */
export const DRIVER = new URL("../../src/bin/code-analysis-driver.js", import.meta.url);

/** A server process that prints `listening ADDRESS` when it serves. */
export class ServerProcess {
  readonly address: string;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, address: string) {
    this.#child = child;
    this.address = address;
  }

  static start(script: URL, ...args: readonly string[]): Promise<ServerProcess> {
    return ServerProcess.startUnder([], script, ...args);
  }

  /** @param prefix a command that runs the one that is added to it, in the same process; none when empty */
  static async startUnder(prefix: readonly string[], script: URL, ...args: readonly string[]): Promise<ServerProcess> {
    const [program = process.execPath, ...rest] = [...prefix, process.execPath, script.pathname, ...args];
    const child = spawn(program, rest, { stdio: ["ignore", "pipe", "inherit"] });
    for await (const line of createInterface(child.stdout)) {
      if (line.startsWith("listening ")) return new ServerProcess(child, line.slice("listening ".length));
    }
    throw new Error(`${script.pathname} ended before it served`);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async stop(): Promise<void> {
    const ended = once(this.#child, "exit");
    this.#child.kill("SIGTERM");
    await ended;
  }
}
