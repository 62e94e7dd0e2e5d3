import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";

/**
 * Why faults cannot be injected into system calls here, or null when they can: that needs `strace` and the permission to trace.
 */
export function whyNoSystemFaults(): string | null {
  const { error, status, stderr } = spawnSync("strace", ["-e", "inject=fsync:error=EIO", "true"], { encoding: "utf8" });
  if (error !== undefined) return "strace is not installed";
  return status === 0 ? null : `strace does not work: ${stderr.split("\n", 1)[0]}`;
}

/** A fault that a running process meets, from `injectFault` until `remove`. */
export class SystemFault {
  readonly #strace: ChildProcess;
  #trace = "";

  private constructor(strace: ChildProcess) {
    this.#strace = strace;
    strace.stderr?.on("data", (chunk: Buffer) => {
      this.#trace += chunk.toString();
    });
  }

  /**
   * Attaches to process `pid`.
   *
   * @param fault as strace(1) has it after `-e inject=`: `fsync:error=EIO:when=1`
   */
  static async inject(pid: number, fault: string): Promise<SystemFault> {
    const strace = spawn("strace", ["-f", "-p", String(pid), "-e", `inject=${fault}`], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const attached = new SystemFault(strace);
    while (!attached.#trace.includes("attached")) {
      if (strace.exitCode !== null) throw new Error(`strace has ended: ${attached.#trace}`);
      await Promise.race([once(strace.stderr, "data"), once(strace, "exit")]);
    }
    return attached;
  }

  /** How often it struck. */
  get count(): number {
    return this.#trace.split("(INJECTED)").length + this.#trace.split("(DELAYED)").length - 2;
  }

  async remove(): Promise<void> {
    if (this.#strace.exitCode !== null || this.#strace.signalCode !== null) return;
    const exited = once(this.#strace, "exit");
    this.#strace.kill("SIGINT");
    await exited;
  }
}
