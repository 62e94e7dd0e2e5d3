import type { Reason } from "../../../errors.js";
import type { FinishedOperation, LoadRun } from "./load-run.js";
import { OPERATION_KINDS, type OperationKind } from "./workload.js";

/** Latencies in milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly max: number;
}

/** What the operations of one kind have come to. */
export interface KindResult {
  readonly kind: OperationKind;
  readonly count: number;
  readonly failed: number;
  /** Operations that succeeded, per second of the load. */
  readonly perSecond: number;
  /** Of those that succeeded; zeros when none did. */
  readonly latency: Latency;
}

/** Failures of one kind for one reason. */
export interface Failures {
  readonly kind: OperationKind;
  readonly reason: Reason;
  readonly count: number;
  /** The message of the first. */
  readonly example: string;
}

/** A load in numbers. */
export interface LoadResult {
  readonly fileCount: number;
  readonly concurrency: number;
  readonly durationMs: number;
  readonly kinds: readonly KindResult[];
  readonly failures: readonly Failures[];
  readonly repeats: readonly { readonly reason: Reason; readonly count: number }[];
}

/** Sums a run up; kinds of which there was no operation are left out. */
export function summarize(run: LoadRun, fileCount: number, concurrency: number): LoadResult {
  const kinds = OPERATION_KINDS.map((kind): KindResult => {
    const operations = run.operations.filter((operation) => operation.kind === kind);
    const succeeded = operations.filter(({ error }) => error === undefined);
    return {
      kind,
      count: operations.length,
      failed: operations.length - succeeded.length,
      perSecond: (succeeded.length / run.durationMs) * 1_000,
      latency: latencyOf(succeeded),
    };
  }).filter(({ count }) => count > 0);
  const repeats = [...run.repeats].map(([reason, count]) => ({ reason, count }));
  return { fileCount, concurrency, durationMs: run.durationMs, kinds, failures: failuresOf(run.operations), repeats };
}

/** Percentiles of the latencies, by the nearest rank: each is a latency that was measured. */
export function latencyOf(operations: readonly FinishedOperation[]): Latency {
  const sorted = Float64Array.from(operations, ({ latencyMs }) => latencyMs).sort();
  const percentile = (share: number) => sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0;
  return { p50: percentile(0.5), p90: percentile(0.9), p99: percentile(0.99), max: percentile(1) };
}

/** The result as one JSON document. */
export function resultToJson(result: LoadResult): unknown {
  return {
    files: result.fileCount,
    concurrency: result.concurrency,
    duration_ms: round(result.durationMs),
    operations: Object.fromEntries(
      result.kinds.map(({ kind, count, failed, perSecond, latency }) => [
        kind,
        {
          count,
          failed,
          per_second: round(perSecond),
          latency_ms: Object.fromEntries(Object.entries(latency).map(([name, ms]) => [name, round(ms)])),
        },
      ]),
    ),
    errors: result.failures.map(({ kind, reason, count, example }) => ({ operation: kind, reason, count, example })),
    repeated: result.repeats,
  };
}

function failuresOf(operations: readonly FinishedOperation[]): Failures[] {
  const failures = new Map<string, { kind: OperationKind; reason: Reason; count: number; example: string }>();
  for (const { kind, error } of operations) {
    if (error === undefined) continue;
    const key = `${kind} ${error.reason}`;
    const seen = failures.get(key) ?? { kind, reason: error.reason, count: 0, example: error.message };
    failures.set(key, { ...seen, count: seen.count + 1 });
  }
  return [...failures.values()].sort((a, b) => b.count - a.count);
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
