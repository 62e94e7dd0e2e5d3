import { readdirSync, readFileSync } from "node:fs";
import type { WorkerKind } from "../../src/workers/worker-process.js";

/** Worker processes of the driver that has this database open, found in `/proc`; zombies, which have no command line, are left out. */
export function workerPids(databasePath: string, kind: WorkerKind | "" = ""): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && isWorker(name, databasePath, kind))
    .map(Number);
}

function isWorker(pid: string, databasePath: string, kind: string): boolean {
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    const isKind = argv.some((arg) => arg.includes("/workers/") && arg.endsWith(`${kind}.js`));
    return isKind && argv.some((arg) => arg.includes(JSON.stringify(databasePath)));
  } catch {
    return false; // gone meanwhile
  }
}

/** Resolves when the worker processes of a driver that is gone, which end by themselves, have ended. */
export async function untilNoWorkers(databasePath: string): Promise<void> {
  const pids = workerPids(databasePath);
  await until("no worker is left", () => !pids.some((pid) => isWorker(String(pid), databasePath, "")), 30_000);
}

/** Resolves when the process has used a tenth of a second of processor time from now on, as an endless statement does. */
export async function untilAtWork(pid: number): Promise<void> {
  const begunTicks = userTicks(pid);
  await until(`process ${pid} is at work`, () => userTicks(pid) >= begunTicks + 10);
}

/** Processor time of a process in user mode, in hundredths of a second (proc(5), field 14). */
function userTicks(pid: number): number {
  const afterName = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "");
  return Number(afterName.split(" ")[11]);
}

/** Resolves when `condition` holds; rejects with `what` when it does not within the time. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 10_000,
): Promise<void> {
  const end = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${withinMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
