import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import type { CallOptions, DriverCalls, DriverTransaction } from "./calls.js";

/** What a transaction may be given; the call options hold for its beginning and its commit. */
export interface TransactionOptions extends CallOptions {
  /** How long the transaction may live, from its beginning. Default and limit: see `Limits` of `getDriverInfo`. */
  readonly ttlMs?: number;
}

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
  let result: T;
  try {
    result = await work(callsWithin(calls, transactionId));
  } catch (error) {
    // A rollback that fails changes nothing: the transaction ends with its lease, and what `work` threw is the news.
    await calls.rollbackTransaction({ transactionId }, { timeoutMs: ROLLBACK_TIMEOUT_MS }).catch(() => {});
    throw error;
  }
  await calls.commitTransaction({ transactionId }, callOptions);
  return result;
}

function callsWithin(calls: DriverCalls, transactionId: string): DriverTransaction {
  const methods = DriverService.methods.filter(
    ({ input, localName }) =>
      input.fields.some((field) => field.localName === "transactionId") && !/^(commit|rollback)T/.test(localName),
  );
  return Object.fromEntries(
    methods.map(({ localName }) => {
      const call: (request: object, options?: CallOptions) => unknown = calls[localName as keyof DriverCalls];
      return [localName, (request: object, options?: CallOptions) => call({ ...request, transactionId }, options)];
    }),
  ) as unknown as DriverTransaction; // The methods are those of the type, by the same rule.
}
