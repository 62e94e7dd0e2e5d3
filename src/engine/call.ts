import type { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";

type Methods = (typeof DriverService)["method"];

type MethodsOfKind<Kind extends string> = {
  [Name in keyof Methods]: Methods[Name]["methodKind"] extends Kind ? Name : never;
}[keyof Methods];

/** Methods of `DriverService` that answer one message; in lower camel case, `getDriverInfo` for example. */
export type UnaryMethodName = MethodsOfKind<"unary">;

/** Methods of `DriverService` that answer a stream of messages. */
export type StreamMethodName = MethodsOfKind<"server_streaming">;

/** Every method of `DriverService`. */
export type MethodName = keyof Methods;

/** What the caller may do. */
export type Role = "read-only" | "read-write";

/** What the engine knows of a call beside its request. */
export interface CallContext {
  /** When the answer is no longer wanted, on the clock of `monotonicMs()`; `Infinity` when the client gave no deadline. */
  readonly deadlineMs: number;
  /** Aborted when the client is gone or its deadline has passed; never after the call has ended. */
  readonly signal: AbortSignal;
  readonly role: Role;
  /** Names the call in logs: what the client sent as `x-request-id`, else a number that is the driver's own. */
  readonly requestId: string;
}

/** The same call with another deadline or signal. Spreading it would lose what it only knows when it is asked for. */
export function callWith(
  call: CallContext,
  { deadlineMs = call.deadlineMs, signal = call.signal }: Partial<Pick<CallContext, "deadlineMs" | "signal">>,
): CallContext {
  return {
    deadlineMs,
    signal,
    role: call.role,
    get requestId() {
      return call.requestId;
    },
  };
}

/**
 * What the process can do: requests and answers are the encoded messages of `DriverService`. Whatever fails is thrown as a
 * `DriverError`.
 */
export interface Engine {
  unary(method: UnaryMethodName, request: Buffer, context: CallContext): Promise<Uint8Array>;
  /** The next message is asked for when the client has room for it; `return()` is called when it wants no more. */
  stream(method: StreamMethodName, request: Buffer, context: CallContext): AsyncIterable<Uint8Array>;
}
