import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DRIVER, ServerProcess } from "./child.js";
import { RawClient } from "./raw-client.js";
import { ECHO, EXECUTE, fillTable, pointRead } from "./requests.js";
import { type Figure, ratioOf, summaryOf } from "./rounds.js";

const ROWS = 100_000;
const READS = 2_000;
const ROUNDS = 5;

/**
 * Point reads, one after another, of a driver that is idle beside them and of one that takes all the writes it can; and the same
 * calls of a bare echo, which has nothing to wait for but gRPC and the cores that all share.
 */
export async function benchLatency(folder: string): Promise<Figure[]> {
  const driver = await ServerProcess.start(
    DRIVER,
    ...["serve", "--db", join(folder, "latency.db"), "--log-level", "error"],
  );
  const echoServer = await ServerProcess.start(
    new URL("./echo-server.js", import.meta.url),
    `unix:${folder}/latency-echo.sock`,
  );
  const reads = new Measured(driver.address, EXECUTE);
  const echo = new Measured(echoServer.address, ECHO);
  try {
    await fillTable(reads.client, ROWS);
    for (const measured of [reads, echo]) await measured.warmUp();
    for (let round = 0; round < ROUNDS; round++) {
      for (const measured of [reads, echo]) await measured.round();
    }
  } finally {
    reads.client.close();
    echo.client.close();
    await Promise.all([driver.stop(), echoServer.stop()]);
  }
  const p50 = (times: readonly Percentiles[]) => times.map(({ p50Ms }) => p50Ms);
  return [
    summaryOf("p50 of point reads, idle", p50(reads.idle)),
    summaryOf("p50 of point reads under full write load", p50(reads.loaded)),
    p99Ratio("p99 of point reads under full write load / idle", reads.loaded, reads.idle),
    p99Ratio("p99 of a bare grpc-js echo under the load of as many calls / idle", echo.loaded, echo.idle),
    p99Ratio("p99 of point reads under full write load / of the echo under its load", reads.loaded, echo.loaded),
  ];
}

function p99Ratio(name: string, measured: readonly Percentiles[], against: readonly Percentiles[]): Figure {
  return ratioOf(
    name,
    measured.map(({ p99Ms }, round) => [p99Ms, against[round]?.p99Ms ?? Number.NaN]),
    "ms",
  );
}

/** One server's times, idle and loaded, a pair each round. */
class Measured {
  readonly client: RawClient;
  readonly idle: Percentiles[] = [];
  readonly loaded: Percentiles[] = [];
  readonly #address: string;
  readonly #method: string;

  constructor(address: string, method: string) {
    this.client = new RawClient(address);
    this.#address = address;
    this.#method = method;
  }

  async warmUp(): Promise<void> {
    await readTimes(this.client, this.#method);
  }

  async round(): Promise<void> {
    this.idle.push(await readTimes(this.client, this.#method));
    const stopWrites = await startWrites(this.#address, this.#method);
    this.loaded.push(await readTimes(this.client, this.#method));
    await stopWrites();
  }
}

interface Percentiles {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

async function readTimes(client: RawClient, method: string): Promise<Percentiles> {
  const times: number[] = [];
  for (let index = 0; index < READS; index++) {
    const request = pointRead(index, ROWS);
    const started = performance.now();
    await client.unary(method, request);
    times.push(performance.now() - started);
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor(times.length * share)] ?? Number.NaN;
  return { p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** Resolves when the writes have begun, with what ends them. They come from a process of their own, not to slow down the reads' client. */
async function startWrites(address: string, method: string): Promise<() => Promise<void>> {
  const script = new URL("./write-load.js", import.meta.url).pathname;
  const child = spawn(process.execPath, [script, address, method], { stdio: ["pipe", "pipe", "inherit"] });
  const ended = once(child, "exit");
  await once(child.stdout, "data");
  return async () => {
    child.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`write-load.js ended with ${code}`);
  };
}
