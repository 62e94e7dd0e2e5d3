/** `npm run bench -- [sql] [durable] [latency] [start] [index] [migrate]`: what the driver costs, each figure as a ratio measured in one run. */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { benchDurable } from "./durable.js";
import { benchIndexing } from "./indexing.js";
import { benchLatency } from "./latency.js";
import { benchMigrate } from "./migrate.js";
import type { Figure } from "./rounds.js";
import { benchSql } from "./sql.js";
import { benchStartUp } from "./start-up.js";

const BENCHMARKS: Readonly<Record<string, (folder: string) => Promise<Figure[]>>> = {
  sql: benchSql,
  durable: benchDurable,
  latency: benchLatency,
  start: benchStartUp,
  index: benchIndexing,
  migrate: benchMigrate,
};

const wanted = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(BENCHMARKS);
process.stdout.write(`${cpus().length} cores (${cpus()[0]?.model}), Node ${process.version}\n`);
for (const name of wanted) {
  const bench = BENCHMARKS[name];
  if (bench === undefined)
    throw new Error(`there is no benchmark ${name}; those are ${Object.keys(BENCHMARKS).join(", ")}`);
  const folder = mkdtempSync(join(tmpdir(), "driver-bench-"));
  try {
    for (const figure of await bench(folder)) process.stdout.write(`${format(figure)}\n`);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function format(figure: Figure): string {
  if ("value" in figure) {
    const { name, value, unit } = figure;
    return `${value.toLocaleString("en", { maximumSignificantDigits: 3 })} ${unit}  ${name}`;
  }
  if ("medianMs" in figure) {
    const { name, medianMs, lowestMs, highestMs } = figure;
    return `${medianMs.toFixed(3)} ms (${lowestMs.toFixed(3)}–${highestMs.toFixed(3)})  ${name}`;
  }
  const { name, rates, ratesUnit, median, lowest, highest } = figure;
  const [first, second] = rates.map((rate) => rate.toLocaleString("en", { maximumFractionDigits: rate < 100 ? 2 : 0 }));
  return `${median.toFixed(2)} (${lowest.toFixed(2)}–${highest.toFixed(2)})  ${name}: ${first} / ${second} ${ratesUnit}`;
}
