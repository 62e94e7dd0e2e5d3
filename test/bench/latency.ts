import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DRIVER, ServerProcess } from "./child.js";
import { RawClient } from "./raw-client.js";
import { EXECUTE, fillTable, pointRead } from "./requests.js";
import { type Figure, ratioOf, summaryOf } from "./rounds.js";

const ROWS = 100_000;
const READS = 2_000;
const ROUNDS = 5;

/** Point reads, one after another, of a driver that is idle beside them and of one that takes all the writes it can. */
export async function benchLatency(folder: string): Promise<Figure[]> {
  const driver = await ServerProcess.start(
    DRIVER,
    ...["serve", "--db", join(folder, "latency.db"), "--log-level", "error"],
  );
  const client = new RawClient(driver.address);
  const idle: Percentiles[] = [];
  const loaded: Percentiles[] = [];
  try {
    await fillTable(client, ROWS);
    await readTimes(client);
    for (let round = 0; round < ROUNDS; round++) {
      idle.push(await readTimes(client));
      const stopWrites = await startWrites(driver.address);
      loaded.push(await readTimes(client));
      await stopWrites();
    }
  } finally {
    client.close();
    await driver.stop();
  }
  return [
    summaryOf(
      "p50 of point reads, idle",
      idle.map(({ p50Ms }) => p50Ms),
    ),
    summaryOf(
      "p50 of point reads under full write load",
      loaded.map(({ p50Ms }) => p50Ms),
    ),
    ratioOf("p99 of point reads under full write load / idle", pairs(loaded, idle), "ms"),
  ];
}

function pairs(loaded: readonly Percentiles[], idle: readonly Percentiles[]): [number, number][] {
  return loaded.map(({ p99Ms }, round) => [p99Ms, idle[round]?.p99Ms ?? Number.NaN]);
}

interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function readTimes(client: RawClient): Promise<Percentiles> {
  const times: number[] = [];
  for (let index = 0; index < READS; index++) {
    const request = pointRead(index, ROWS);
    const started = performance.now();
    await client.unary(EXECUTE, request);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Resolves when the writes have begun, with what ends them. They come from a process of their own, not to slow down the reads' client. */
async function startWrites(address: string): Promise<() => Promise<void>> {
  const script = new URL("./write-load.js", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, address], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  return async () => {
    child.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`write-load.js ended with ${code}`);
  };
}
