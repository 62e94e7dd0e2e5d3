import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import type { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";

/** What one call may be given. */
export interface CallOptions {
  /** How long the call may take. Default: `ConnectOptions.timeoutMs`. */
  readonly timeoutMs?: number;
  /** Cancels the call when it is aborted. */
  readonly signal?: AbortSignal;
}

/** A call with one answer. A failure is a `DriverError`. */
export type UnaryCall<Request, Response> = (request: Request, options?: CallOptions) => Promise<Response>;

/**
 * A call whose answer is a stream. It is asked for only when it is iterated, message by message; leaving the loop cancels it. A
 * failure is a `DriverError`, thrown by the loop.
 */
export type StreamCall<Request, Response> = (request: Request, options?: CallOptions) => AsyncIterable<Response>;

/** Names of the RPCs of `DriverService`, in lower camel case. */
export type MethodName = keyof typeof DriverService.method;

type Method<Name extends MethodName> = (typeof DriverService.method)[Name];
type Input<Name extends MethodName> = Extract<Method<Name>["input"], DescMessage>;

/** The request of an RPC as a plain object; what is left out has its default. */
export type RequestOf<Name extends MethodName> = MessageInitShape<Input<Name>>;

/** The answer of an RPC, or one message of its stream. */
export type ResponseOf<Name extends MethodName> = MessageShape<Extract<Method<Name>["output"], DescMessage>>;

type Call<Name extends MethodName, Request> = Method<Name>["methodKind"] extends "unary"
  ? UnaryCall<Request, ResponseOf<Name>>
  : StreamCall<Request, ResponseOf<Name>>;

/** One function for each RPC of `DriverService`. Mapped from the methods themselves, and so with their documentation. */
export type DriverCalls = {
  readonly [Name in keyof typeof DriverService.method]: Call<Name, RequestOf<Name>>;
};

/** RPCs that can be part of a transaction. */
export type TransactionMethodName = Exclude<
  { [Name in MethodName]: "transactionId" extends keyof MessageShape<Input<Name>> ? Name : never }[MethodName],
  "commitTransaction" | "rollbackTransaction"
>;

/** The calls of one transaction: those of the client, which need no `transactionId` here and take no `requestId`. */
export type DriverTransaction = {
  readonly [Name in keyof DriverCalls as Extract<Name, TransactionMethodName>]: Call<
    Name,
    Omit<RequestOf<Name>, "transactionId" | "requestId">
  >;
};
