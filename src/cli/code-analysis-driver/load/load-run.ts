import { setMaxListeners } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import type { DriverClient } from "../../../client/client.js";
import { DriverError, type Reason } from "../../../errors.js";
import { monotonicMs } from "../../../observability/clock.js";
import type { Operation, OperationKind } from "./workload.js";

/** One operation that has ended, well or not. Times in milliseconds; `endedMs` counts from the start of the load. */
export interface FinishedOperation {
  readonly kind: OperationKind;
  readonly endedMs: number;
  /** From the first attempt to the last answer. */
  readonly latencyMs: number;
  /** Why it failed; not set when it succeeded. */
  readonly error?: DriverError;
}

/** What the driver said of itself while the load ran. */
export interface DriverSample {
  readonly atMs: number;
  readonly queuedWrites: number;
  readonly queuedReads: number;
  readonly queuedFiles: number;
  readonly walBytes: number;
}

/** Everything that a load has measured. */
export interface LoadRun {
  readonly durationMs: number;
  readonly operations: readonly FinishedOperation[];
  readonly samples: readonly DriverSample[];
  /** Attempts that the driver refused and asked to repeat later, by reason; they are no failures. */
  readonly repeats: ReadonlyMap<Reason, number>;
}

export interface LoadOptions {
  /** Operations under way at a time. */
  readonly concurrency: number;
  /** Called after each operation, with those that have ended. */
  readonly onProgress: (finished: readonly FinishedOperation[]) => void;
  readonly signal: AbortSignal;
}

/** Often enough for a curve, seldom enough not to be a load itself. */
const SAMPLE_INTERVAL_MS = 200;
/** An operation that the driver keeps sending away has failed: after five seconds with the delay that a full queue asks for. */
const MAX_ATTEMPTS = 100;

/**
 * Runs `operations` against the driver, `concurrency` at a time, in their order. An operation that is answered with a delay
 * (RetryInfo) is repeated after it, as a client should; every other error is its result. The operations' own client must not
 * repeat anything.
 *
 * @throws DriverError `CANCELLED` when `signal` is aborted.
 */
export async function runLoad(
  client: DriverClient,
  operations: readonly Operation[],
  { concurrency, onProgress, signal }: LoadOptions,
): Promise<LoadRun> {
  // Every call under way listens; Node takes more than ten for a leak.
  setMaxListeners(0, signal);
  const startedMs = monotonicMs();
  const finished: FinishedOperation[] = [];
  const repeats = new Map<Reason, number>();
  let next = 0;
  const work = async () => {
    for (let operation = operations[next++]; operation !== undefined; operation = operations[next++]) {
      const begunMs = monotonicMs();
      const error = await attempt(operation, repeats, signal);
      signal.throwIfAborted();
      const endedMs = monotonicMs();
      finished.push({
        kind: operation.kind,
        endedMs: endedMs - startedMs,
        latencyMs: endedMs - begunMs,
        ...(error !== undefined && { error }),
      });
      onProgress(finished);
    }
  };
  const ended = new AbortController();
  const sampling = sampleDriver(client, startedMs, AbortSignal.any([signal, ended.signal]));
  try {
    await Promise.all(Array.from({ length: Math.min(concurrency, operations.length) }, work));
  } finally {
    ended.abort();
  }
  return { durationMs: monotonicMs() - startedMs, operations: finished, samples: await sampling, repeats };
}

/** @returns why the operation failed, undefined when it succeeded. */
async function attempt(
  operation: Operation,
  repeats: Map<Reason, number>,
  signal: AbortSignal,
): Promise<DriverError | undefined> {
  for (let attempts = 1; ; attempts++) {
    try {
      await operation.run(signal);
      return undefined;
    } catch (thrown) {
      const error = DriverError.from(thrown);
      if (error.retryAfterMs === undefined || attempts === MAX_ATTEMPTS || signal.aborted) return error;
      repeats.set(error.reason, (repeats.get(error.reason) ?? 0) + 1);
      await delay(error.retryAfterMs, undefined, { signal });
    }
  }
}

/** Asks the driver how busy it is, once at least, until `signal` is aborted or it does not answer; the operations then tell why. */
async function sampleDriver(client: DriverClient, startedMs: number, signal: AbortSignal): Promise<DriverSample[]> {
  const samples: DriverSample[] = [];
  try {
    while (!signal.aborted) {
      const { load } = await client.getDriverInfo({}, samples.length === 0 ? {} : { signal });
      if (load !== undefined) {
        const { queuedWrites, queuedReads, queuedFiles, walBytes } = load;
        const atMs = monotonicMs() - startedMs;
        samples.push({ atMs, queuedWrites, queuedReads, queuedFiles, walBytes: Number(walBytes) });
      }
      await delay(SAMPLE_INTERVAL_MS, undefined, { signal });
    }
  } catch {
    // What there is, is the curve.
  }
  return samples;
}
