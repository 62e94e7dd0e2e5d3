import { readdirSync, readFileSync } from "node:fs";
import type { DriverProcess } from "../driver/driver-process.js";
import { workerPids } from "../support/processes.js";

/** What the main process of a driver holds. */
export interface Usage {
  /** Without those for its worker processes, of which it has as many as it needed at once. */
  readonly descriptors: number;
  readonly memoryBytes: number;
}

/** The channel of a worker, and the file in which its watchdog leaves word. */
const DESCRIPTORS_PER_WORKER = 2;

/** Read from `/proc`. */
export function usageOf({ program, databasePath }: DriverProcess): Usage {
  const { pid } = program.child;
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const [, kib = "0"] = /^VmRSS:\s+(\d+) kB$/m.exec(status) ?? [];
  const forWorkers = DESCRIPTORS_PER_WORKER * workerPids(databasePath).length;
  return { descriptors: readdirSync(`/proc/${pid}/fd`).length - forWorkers, memoryBytes: Number(kib) * 1_024 };
}

export function inMiB(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
