import type { Counter, Gauge, Histogram, Registry } from "prom-client";

/** What is read when somebody asks. */
export interface GaugeValues {
  readonly queuedWrites: number;
  readonly queuedReads: number;
  readonly queuedFiles: number;
  readonly openTransactions: number;
  readonly walBytes: number;
  /** Undefined when no stream holds a snapshot. */
  readonly oldestSnapshotAgeMs: number | undefined;
  readonly isServing: boolean;
}

/** Writes that were committed together; times in milliseconds. */
interface CommitBatch {
  readonly writes: number;
  readonly waitMs: number;
  readonly commitMs: number;
}

const MS_PER_SECOND = 1_000;
/** From a point read to a long migration, in seconds. */
const CALL_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60];
/** From memory to a disk that is busy, in seconds. */
const COMMIT_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2];
const BATCH_WRITES = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512];

/**
 * The metrics of the driver process (https://prometheus.io/docs/practices/naming/), with those of Node.js itself. Labels are method,
 * status and error type; nothing that a client sends becomes a label.
 */
export class Metrics {
  readonly #registry: Registry;
  readonly #calls: Counter<"method" | "code">;
  readonly #callSeconds: Histogram<"method">;
  readonly #batchWrites: Histogram;
  readonly #waitSeconds: Histogram;
  readonly #commitSeconds: Histogram;
  readonly #recoveryActions: Counter;
  readonly #indexingErrors: Counter<"type">;
  readonly #updateGauges: () => Promise<void>;

  private constructor(prometheus: typeof import("prom-client"), readGauges: () => Promise<GaugeValues>) {
    const registry = new prometheus.Registry();
    const registers = [registry];
    this.#registry = registry;
    prometheus.collectDefaultMetrics({ register: registry });
    this.#calls = new prometheus.Counter({
      name: "driver_calls_total",
      help: "gRPC calls that have ended, by method and status.",
      labelNames: ["method", "code"],
      registers,
    });
    this.#callSeconds = new prometheus.Histogram({
      name: "driver_call_duration_seconds",
      help: "From the request to the answer, or to the last message of a stream.",
      labelNames: ["method"],
      buckets: CALL_SECONDS,
      registers,
    });
    this.#batchWrites = new prometheus.Histogram({
      name: "driver_commit_writes",
      help: "Writes that shared a commit.",
      buckets: BATCH_WRITES,
      registers,
    });
    this.#waitSeconds = new prometheus.Histogram({
      name: "driver_write_queue_wait_seconds",
      help: "How long the first write of each commit waited in the writer.",
      buckets: CALL_SECONDS,
      registers,
    });
    this.#commitSeconds = new prometheus.Histogram({
      name: "driver_commit_duration_seconds",
      help: "COMMIT, which is mostly the fsync of the write-ahead log.",
      buckets: COMMIT_SECONDS,
      registers,
    });
    this.#recoveryActions = new prometheus.Counter({
      name: "driver_recovery_actions_total",
      help: "What recovery has changed or left undecided, on connect and later.",
      registers,
    });
    this.#indexingErrors = new prometheus.Counter({
      name: "driver_indexing_errors_total",
      help: "Rows stored in indexing_errors, by error type.",
      labelNames: ["type"],
      registers,
    });
    const gauge = (name: string, help: string): Gauge => new prometheus.Gauge({ name, help, registers });
    const queue = new prometheus.Gauge({
      name: "driver_queue_length",
      help: "Calls that wait or run.",
      labelNames: ["queue"],
      registers,
    });
    const transactions = gauge("driver_open_transactions", "Transactions that are open or wait to be opened.");
    const wal = gauge("driver_wal_bytes", "Size of the write-ahead log.");
    const snapshot = gauge(
      "driver_oldest_snapshot_age_seconds",
      "Age of the oldest snapshot that a stream or a backup holds; 0 without one.",
    );
    const serving = gauge("driver_serving", "1 while health is SERVING.");
    this.#updateGauges = async () => {
      const values = await readGauges();
      queue.set({ queue: "writes" }, values.queuedWrites);
      queue.set({ queue: "reads" }, values.queuedReads);
      queue.set({ queue: "files" }, values.queuedFiles);
      transactions.set(values.openTransactions);
      wal.set(values.walBytes);
      snapshot.set((values.oldestSnapshotAgeMs ?? 0) / MS_PER_SECOND);
      serving.set(values.isServing ? 1 : 0);
    };
  }

  /** Loads the library, which a driver without metrics does not need. */
  static async create(readGauges: () => Promise<GaugeValues>): Promise<Metrics> {
    const { default: prometheus } = await import("prom-client");
    return new Metrics(prometheus, readGauges);
  }

  /** @param code name of the gRPC status */
  onCall(method: string, code: string, durationMs: number): void {
    this.#calls.inc({ method, code });
    this.#callSeconds.observe({ method }, durationMs / MS_PER_SECOND);
  }

  onCommit({ writes, waitMs, commitMs }: CommitBatch): void {
    this.#batchWrites.observe(writes);
    this.#waitSeconds.observe(waitMs / MS_PER_SECOND);
    this.#commitSeconds.observe(commitMs / MS_PER_SECOND);
  }

  onRecoveryAction(): void {
    this.#recoveryActions.inc();
  }

  onIndexingError(type: string): void {
    this.#indexingErrors.inc({ type });
  }

  /** The MIME type of `text()`. */
  get contentType(): string {
    return this.#registry.contentType;
  }

  /** All metrics in Prometheus' text format. */
  async text(): Promise<string> {
    await this.#updateGauges();
    return await this.#registry.metrics();
  }
}
