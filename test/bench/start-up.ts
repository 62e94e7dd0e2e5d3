import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DRIVER, ServerProcess } from "./child.js";
import { RawClient } from "./raw-client.js";
import { EXECUTE, fillTable, INSERT, pointRead, statement } from "./requests.js";
import { type Amount, callsPerSecond, type Figure, summaryOf } from "./rounds.js";

const ROWS = 100_000;
const STARTS = 11;
const LOAD_CALLS = 20_000;
const IN_FLIGHT = 64;
/** Long enough for every process that is started with the driver to be there, and for what it does when idle. */
const SETTLE_MS = 2_000;
const MEBIBYTE = 2 ** 20;

/** How long a driver takes to serve, on a database that is there, and how much memory its processes hold. */
export async function benchStartUp(folder: string): Promise<Figure[]> {
  const databasePath = join(folder, "start.db");
  const toListening: number[] = [];
  const toAnswer: number[] = [];
  for (let start = 0; start <= STARTS; start++) {
    const started = performance.now();
    const driver = await startDriver(databasePath);
    const listening = performance.now() - started;
    const client = new RawClient(driver.address);
    await client.unary(EXECUTE, statement("SELECT 1"));
    const answered = performance.now() - started;
    if (start === 0) await fillTable(client, ROWS);
    else {
      toListening.push(listening);
      toAnswer.push(answered);
    }
    client.close();
    await driver.stop();
  }
  return [
    summaryOf("start of the process to its listening line", toListening),
    summaryOf("start of the process to the first answer", toAnswer),
    ...(await memory(databasePath)),
  ];
}

async function memory(databasePath: string): Promise<Amount[]> {
  const driver = await startDriver(databasePath);
  const client = new RawClient(driver.address);
  try {
    await client.unary(EXECUTE, statement("SELECT 1"));
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const idle = memoryOf(driver.pid);
    let underLoad = idle;
    const look = setInterval(() => {
      const now = memoryOf(driver.pid);
      if (now.residentBytes > underLoad.residentBytes) underLoad = now;
    }, 200);
    await callsPerSecond(LOAD_CALLS, IN_FLIGHT, (index) =>
      client.unary(EXECUTE, index % 2 === 0 ? INSERT : pointRead(index, ROWS)),
    );
    clearInterval(look);
    return [
      ...sizes("idle", idle),
      ...sizes(`at its highest during ${LOAD_CALLS} inserts and point reads, ${IN_FLIGHT} in flight`, underLoad),
    ];
  } finally {
    client.close();
    await driver.stop();
  }
}

function startDriver(databasePath: string): Promise<ServerProcess> {
  return ServerProcess.start(DRIVER, "serve", "--db", databasePath, "--log-level", "error");
}

interface Memory {
  readonly processes: number;
  readonly residentBytes: number;
  readonly proportionalBytes: number;
}

function sizes(when: string, { processes, proportionalBytes, residentBytes }: Memory): Amount[] {
  return [
    { name: `RSS of the ${processes} processes together, ${when}`, value: residentBytes / MEBIBYTE, unit: "MiB" },
    {
      name: `PSS of the same, which counts shared pages once, ${when}`,
      value: proportionalBytes / MEBIBYTE,
      unit: "MiB",
    },
  ];
}

/** Of process `pid` and all below it, from /proc (proc(5), smaps_rollup). */
function memoryOf(pid: number): Memory {
  const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const bytesOf = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(rollup)?.[1]) * 1_024;
  let sum: Memory = { processes: 1, residentBytes: bytesOf("Rss"), proportionalBytes: bytesOf("Pss") };
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const children = readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").split(" ").filter(Boolean);
    for (const child of children.map(Number)) {
      const { processes, residentBytes, proportionalBytes } = memoryOf(child);
      sum = {
        processes: sum.processes + processes,
        residentBytes: sum.residentBytes + residentBytes,
        proportionalBytes: sum.proportionalBytes + proportionalBytes,
      };
    }
  }
  return sum;
}
