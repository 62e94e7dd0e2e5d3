import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { milliseconds, parsedFiles, withDriver } from "./indexing-driver.js";
import { type Figure, median, ratioOf } from "./rounds.js";

const ROUNDS = 3;
/** As many as the driver has parsers by default. */
const WORKERS = Math.max(1, availableParallelism() - 1);
/** One file of so many is touched. */
const TOUCHED_SHARE = 100;
/** The first run after a cold one is still being compiled by the engine of JavaScript; a driver that serves has had it long ago. */
const LATER_RUNS = 5;

/**
 * IndexProject cold, unchanged and with some files touched, against parsing the same files alone; round by round, after one to warm
 * up. The last round leaves its index at `databasePath`.
 */
export async function benchIndexProject(project: string, databasePath: string): Promise<Figure[]> {
  const files = parsedFiles(project);
  const rounds: { floor: number; cold: number; unchanged: number; later: number; touched: number; rows: number }[] = [];
  for (let round = 0; round <= ROUNDS; round++) {
    for (const suffix of ["", "-wal", "-shm"]) rmSync(`${databasePath}${suffix}`, { force: true });
    const floor = await milliseconds(() => parseFloor(files));
    const measured = await withDriver(databasePath, project, async (driver) => {
      // It waits for the driver's first reader, whose start is none of what is measured here.
      await driver.client.getDriverInfo({});
      let rows = 0;
      const cold = await milliseconds(async () => {
        const { $typeName: _, $unknown: __, ...counts } = (await driver.index()).counts ?? {};
        rows = files.length + Object.values(counts).reduce((sum, count) => sum + Number(count), 0);
      });
      const unchanged = await milliseconds(() => driver.index());
      const laterRuns: number[] = [];
      for (let run = 0; run < LATER_RUNS; run++) laterRuns.push(await milliseconds(() => driver.index()));
      const later = median(laterRuns);
      for (const file of files.filter((_, i) => i % TOUCHED_SHARE === 0)) appendFileSync(file, "\n");
      const touched = await milliseconds(() => driver.index());
      return { cold, unchanged, later, touched, rows };
    });
    if (round > 0) rounds.push({ floor, ...measured });
  }
  const perSecond = (ms: number, count = 1): number => (count / ms) * 1_000;
  const workers = `${WORKERS} ${WORKERS === 1 ? "process" : "processes"}`;
  return [
    ratioOf(
      `IndexProject of ${files.length} files, cold, ${workers} / parse and captures alone, ${workers}`,
      rounds.map(({ cold, floor }) => [perSecond(cold, files.length), perSecond(floor, files.length)]),
    ),
    ratioOf(
      `IndexProject, nothing changed, ${LATER_RUNS} later runs / cold`,
      rounds.map(({ later, cold }) => [perSecond(later, files.length), perSecond(cold, files.length)]),
    ),
    ratioOf(
      "IndexProject, nothing changed, first run after the cold one / cold",
      rounds.map(({ unchanged, cold }) => [perSecond(unchanged, files.length), perSecond(cold, files.length)]),
    ),
    ratioOf(
      "IndexProject, 1 % of the files changed / cold",
      rounds.map(({ touched, cold }) => [perSecond(touched, files.length), perSecond(cold, files.length)]),
    ),
    {
      name: "IndexProject, cold",
      value: median(rounds.map(({ rows, cold }) => perSecond(cold, rows))),
      unit: "rows/s",
    },
  ];
}

async function parseFloor(files: readonly string[]): Promise<void> {
  const script = new URL("./parse-floor.js", import.meta.url).pathname;
  await Promise.all(
    Array.from({ length: WORKERS }, async (_, worker) => {
      const child = spawn(process.execPath, [script], { stdio: ["pipe", "ignore", "inherit"] });
      child.stdin.end(files.filter((__, i) => i % WORKERS === worker).join("\n"));
      const [code] = await once(child, "exit");
      if (code !== 0) throw new Error(`parse-floor.js ended with ${code}`);
    }),
  );
}
