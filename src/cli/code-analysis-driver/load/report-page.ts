import { readFileSync } from "node:fs";
import { type LoadResult, latencyOf, resultToJson } from "./load-result.js";
import type { FinishedOperation, LoadRun } from "./load-run.js";
import { KIND_LABELS } from "./load-text.js";

/** Points of a curve over time; more would be noise. */
const INTERVALS = 60;
/** Bars of the distribution for each tenfold of the latency. */
const BARS_PER_DECADE = 5;

/**
 * The load as one HTML page that needs nothing else: numbers, and charts of throughput, latency, queue length and the size of the
 * write-ahead log. `report-page.html` draws what this computes, with uPlot.
 */
export function reportPage(run: LoadRun, result: LoadResult): string {
  const parts: Readonly<Record<string, string>> = {
    STYLE: readFileSync(new URL(import.meta.resolve("uplot/dist/uPlot.min.css")), "utf8"),
    UPLOT: readFileSync(new URL(import.meta.resolve("uplot/dist/uPlot.iife.min.js")), "utf8"),
    // Text of the driver's errors must not end the script.
    DATA: JSON.stringify(pageData(run, result)).replaceAll("<", "\\u003c"),
  };
  const template = readFileSync(new URL("./report-page.html", import.meta.url), "utf8");
  return template.replace(/\/\*\{(\w+)\}\*\//g, (_, name: string) => parts[name] ?? "");
}

function pageData(run: LoadRun, result: LoadResult): unknown {
  const intervalMs = Math.max(1, run.durationMs / INTERVALS);
  const byInterval: FinishedOperation[][] = Array.from({ length: INTERVALS }, () => []);
  for (const operation of run.operations) {
    byInterval[Math.min(INTERVALS - 1, Math.floor(operation.endedMs / intervalMs))]?.push(operation);
  }
  const kinds = result.kinds.map(({ kind }) => kind);
  const latencies = byInterval.map((operations) => (operations.length === 0 ? null : latencyOf(operations)));
  return {
    result: resultToJson(result),
    labels: KIND_LABELS,
    throughput: {
      seconds: byInterval.map((_, index) => ((index + 0.5) * intervalMs) / 1_000),
      perSecond: kinds.map((kind) => byInterval.map((operations) => (count(operations, kind) / intervalMs) * 1_000)),
      kinds,
    },
    latency: {
      p50: latencies.map((latency) => latency?.p50 ?? null),
      p90: latencies.map((latency) => latency?.p90 ?? null),
      p99: latencies.map((latency) => latency?.p99 ?? null),
    },
    distribution: kinds.map((kind) => ({ kind, bars: distribution(run.operations.filter((o) => o.kind === kind)) })),
    driver: {
      seconds: run.samples.map(({ atMs }) => atMs / 1_000),
      queuedWrites: run.samples.map(({ queuedWrites }) => queuedWrites),
      queuedReads: run.samples.map(({ queuedReads }) => queuedReads),
      queuedFiles: run.samples.map(({ queuedFiles }) => queuedFiles),
      walMib: run.samples.map(({ walBytes }) => walBytes / 2 ** 20),
    },
  };
}

/** How many operations took how long: bars at equal steps of the logarithm, from the shortest to the longest. */
function distribution(operations: readonly FinishedOperation[]): { readonly fromMs: number; readonly count: number }[] {
  const barOf = (latencyMs: number) => Math.floor(Math.log10(Math.max(latencyMs, 0.01)) * BARS_PER_DECADE);
  const counts = new Map<number, number>();
  for (const { latencyMs } of operations) counts.set(barOf(latencyMs), (counts.get(barOf(latencyMs)) ?? 0) + 1);
  const bars = [...counts.keys()];
  const first = Math.min(...bars);
  return Array.from({ length: Math.max(...bars) - first + 1 }, (_, index) => ({
    fromMs: 10 ** ((first + index) / BARS_PER_DECADE),
    count: counts.get(first + index) ?? 0,
  }));
}

function count(operations: readonly FinishedOperation[], kind: string): number {
  return operations.filter((operation) => operation.kind === kind && operation.error === undefined).length;
}
