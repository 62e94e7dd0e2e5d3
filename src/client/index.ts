/**
 * The client of a driver: `createClient()`, what its calls take and answer, and the errors they throw.
 *
 * @packageDocumentation
 */
export {
  DriverError,
  type DriverErrorOptions,
  type Reason,
  type SerializedDriverError,
  STATUS_OF_REASON,
  type StatusName,
} from "../errors.js";
export type {
  CallOptions,
  DriverCalls,
  DriverTransaction,
  MethodName,
  RequestOf,
  ResponseOf,
  StreamCall,
  TransactionMethodName,
  UnaryCall,
} from "./calls.js";
export { type ConnectOptions, createClient, type DriverClient } from "./client.js";
export type { ClientTls } from "./connection.js";
export * from "./messages.js";
export type { TransactionOptions } from "./transaction.js";
export { fromValue, type SqlValue, toValue } from "./values.js";
