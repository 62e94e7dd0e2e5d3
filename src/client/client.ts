import { randomUUID } from "node:crypto";
import { create, type DescMessage, type DescMethod, type MessageInitShape } from "@bufbuild/protobuf";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import type { CallOptions, DriverCalls, DriverTransaction } from "./calls.js";
import { type CallRequest, type ClientTls, Connection } from "./connection.js";
import { addRequestId, isRepeatable } from "./repeatable.js";
import { runTransaction, type TransactionOptions } from "./transaction.js";

/** How to reach a driver. */
export interface ConnectOptions {
  /** `unix:/path/to.sock` or `host:port`. */
  readonly address: string;
  /** The bearer token that a TCP listener asks for. */
  readonly token?: string | undefined;
  /** Set: speak TLS. */
  readonly tls?: ClientTls | undefined;
  /** How long a call may take that names no time of its own. Default: for ever. */
  readonly timeoutMs?: number;
  /**
   * Makes the `requestId` of each write that names none; with it the client repeats the write when the driver is busy or its
   * answer was lost, and the driver runs it once. Default: a random UUID. `() => ""` makes none, and writes are then sent once.
   */
  readonly createRequestId?: () => string;
  /** False: each call is sent once, and its caller sees what the driver refuses. Default: true. */
  readonly retries?: boolean;
}

/**
 * A connection to a driver, made with the first call and again when it breaks. It has a function for each RPC of
 * `DriverService`; whatever fails is a `DriverError` with the reason that the driver gave. Calls that are safe to repeat are
 * repeated while the driver is busy or its answer is lost: those that change nothing the second time, and writes with a
 * `requestId`, which all have unless they are part of a transaction. The beginning of a transaction is not repeated, and nothing is
 * by a client without `retries`.
 */
export interface DriverClient extends DriverCalls {
  /**
   * Runs `work` in a transaction and commits it; the result is that of `work`, and everything it wrote is on disk. When `work`
   * throws or the commit fails, the transaction is rolled back and that error is thrown on. Other writers wait meanwhile, so be quick.
   *
   * @throws DriverError `TRANSACTION_EXPIRED` when `work` took longer than the time to live; nothing was written then.
   */
  transaction<T>(work: (transaction: DriverTransaction) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** Ends the connection: running calls are cancelled, later ones are not sent. Both fail with `CANCELLED`. */
  close(): void;
}

/** A client of the driver at `options.address`. Connects when first used, so it never fails. */
export function createClient(options: ConnectOptions): DriverClient {
  const { createRequestId = randomUUID, retries = true } = options;
  const connection = new Connection(options);
  const prepare = (method: DescMethod, init: MessageInitShape<DescMessage>): CallRequest => {
    const message = create(method.input, init);
    addRequestId(method, message, createRequestId);
    return { method, message, isRepeatable: retries && isRepeatable(method, message) };
  };
  const call = (method: DescMethod) =>
    method.methodKind === "unary"
      ? async (init: MessageInitShape<DescMessage>, callOptions: CallOptions = {}) =>
          await connection.unary(prepare(method, init), callOptions)
      : (init: MessageInitShape<DescMessage>, callOptions: CallOptions = {}) =>
          connection.stream(prepare(method, init), callOptions);
  const calls = Object.fromEntries(
    DriverService.methods.map((method) => [method.localName, call(method)]),
  ) as unknown as DriverCalls; // The type of each entry follows from the descriptor it was made from.
  return {
    ...calls,
    transaction: (work, transactionOptions) => runTransaction(calls, work, transactionOptions),
    close: () => connection.close(),
  };
}
