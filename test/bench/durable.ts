import { join } from "node:path";
import { whyNoSystemFaults } from "../support/system-faults.js";
import { DRIVER, ServerProcess } from "./child.js";
import { RawClient } from "./raw-client.js";
import { BENCH_TABLE, EXECUTE, INSERT, statement } from "./requests.js";
import { type Contender, callsPerSecond, compareWith, type Ratio } from "./rounds.js";

const IN_FLIGHT = 64;
const GROUPED_CALLS = 4_000;
const SINGLE_CALLS = 400;
const ROUNDS = 3;
/** What a sync of a disk without a protected cache takes longer than one here. */
const SYNC_DELAY_MS = 5;

/**
 * Durable single-row inserts in group commits against one commit per request, on the disk as it is and on one whose fsync takes
 * longer, for both contenders alike.
 */
export async function benchDurable(folder: string): Promise<Ratio[]> {
  const ratios = await compareCommits(join(folder, "durable"), [], "");
  const why = whyNoSystemFaults();
  if (why !== null) {
    process.stdout.write(`not measured with a slower fsync: ${why}\n`);
    return ratios;
  }
  const slowDisk = `, every fsync ${SYNC_DELAY_MS} ms longer`;
  return [...ratios, ...(await compareCommits(join(folder, "slow"), slowSyncs(), slowDisk))];
}

/** A command that runs another one, as the child of who starts it, with slower syncs and all else at its own speed. */
function slowSyncs(): string[] {
  const calls = "fsync,fdatasync";
  const delay = `inject=${calls}:delay_exit=${SYNC_DELAY_MS * 1_000}`;
  return ["strace", "-D", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", `trace=${calls}`, "-e", delay];
}

async function compareCommits(path: string, prefix: readonly string[], disk: string): Promise<Ratio[]> {
  const driver = await ServerProcess.startUnder(
    prefix,
    DRIVER,
    ...["serve", "--db", `${path}.db`, "--listen", `unix:${path}.sock`, "--log-level", "error"],
  );
  const perRequest = await ServerProcess.startUnder(
    prefix,
    new URL("./per-request-server.js", import.meta.url),
    ...[`${path}-per-request.db`, `unix:${path}-per-request.sock`],
  );
  const client = new RawClient(driver.address);
  const perRequestClient = new RawClient(perRequest.address);
  const inserts = (name: string, target: RawClient, calls: number, inFlight: number): Contender => ({
    name: `${name}, ${inFlight} in flight${disk}`,
    run: () => callsPerSecond(calls, inFlight, () => target.unary(EXECUTE, INSERT)),
  });
  try {
    await client.unary(EXECUTE, statement(BENCH_TABLE));
    const grouped = inserts("durable inserts", client, GROUPED_CALLS, IN_FLIGHT);
    const base = [
      inserts("a gRPC server that commits each request", perRequestClient, SINGLE_CALLS, IN_FLIGHT),
      inserts("durable inserts", client, SINGLE_CALLS, 1),
    ];
    const ratios: Ratio[] = [];
    for (const single of base) ratios.push(...(await compareWith(single, [grouped], ROUNDS)));
    return ratios;
  } finally {
    client.close();
    perRequestClient.close();
    await Promise.all([driver.stop(), perRequest.stop()]);
  }
}
