/** `npm run bench -- [sql] [index] [migrate]`: what the driver costs, each figure as a ratio measured in one run. */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { benchIndexProject } from "./index-project.js";
import type { Ratio } from "./rounds.js";
import { benchSql } from "./sql.js";

const BENCHMARKS: Readonly<Record<string, (folder: string) => Promise<Ratio[]>>> = {
  sql: benchSql,
  index: benchIndexProject,
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHMARKS);
process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}\n`);
for (const name of wanted) {
  const bench = BENCHMARKS[name];
  if (bench === undefined)
    throw new Error(`there is no benchmark ${name}; those are ${Object.keys(BENCHMARKS).join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "driver-bench-"));
  try {
    for (const ratio of await bench(folder)) process.stdout.write(`${format(ratio)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function format({ name, rates, median, lowest, highest }: Ratio): string {
  const [first, second] = rates.map((rate) => Math.round(rate).toLocaleString("en"));
  return `${median.toFixed(2)} (${lowest.toFixed(2)}–${highest.toFixed(2)})  ${name}: ${first} / ${second} per second`;
}
