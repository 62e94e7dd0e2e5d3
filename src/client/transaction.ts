import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { CallOptions, DriverCalls, DriverTransaction, TransactionMethodName } from "./calls.js";

/** What a transaction may be given; the call options hold for its beginning and its commit. */
export interface TransactionOptions extends CallOptions {
  /** How long the transaction may live, from its beginning. Default and limit: see `Limits` of `getDriverInfo`. */
  readonly ttlMs?: number;
}

/** A record, so that a method that is missing does not compile. */
const TRANSACTION_METHODS: Readonly<Record<TransactionMethodName, true>> = {
  execute: true,
  executeBatch: true,
  query: true,
  insert: true,
  update: true,
  delete: true,
  select: true,
  createTable: true,
  dropTable: true,
  listTables: true,
  getTableInfo: true,
};

/** A driver that does not answer by then rolls the transaction back itself, sooner or later. */
const ROLLBACK_TIMEOUT_MS = 5_000;

/** See `DriverClient.transaction`. */
export async function runTransaction<T>(
  calls: DriverCalls,
  work: (transaction: DriverTransaction) => Promise<T>,
  { ttlMs, ...callOptions }: TransactionOptions = {},
): Promise<T> {
  const ttl = ttlMs === undefined ? {} : { ttl: durationFromMs(ttlMs) };
  const { transactionId } = await calls.beginTransaction(ttl, callOptions);
  try {
    const result = await work(callsWithin(calls, transactionId));
    await calls.commitTransaction({ transactionId }, callOptions);
    return result;
  } catch (error) {
    // Also after a commit that failed: one that never reached the driver would leave other writers waiting for the lease. A rollback
    // that fails changes nothing: the transaction has ended or ends with its lease, and the first error is the news.
    await calls.rollbackTransaction({ transactionId }, { timeoutMs: ROLLBACK_TIMEOUT_MS }).catch(() => {});
    throw error;
  }
}

function callsWithin(calls: DriverCalls, transactionId: string): DriverTransaction {
  return Object.fromEntries(
    Object.keys(TRANSACTION_METHODS).map((name) => {
      const call: (request: object, options?: CallOptions) => unknown = calls[name as TransactionMethodName];
      return [name, (request: object, options?: CallOptions) => call({ ...request, transactionId }, options)];
    }),
  ) as unknown as DriverTransaction; // Each entry differs from that of `calls` by the field that it sets.
}
