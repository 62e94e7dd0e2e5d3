import type {
  handleBidiStreamingCall,
  handleServerStreamingCall,
  handleUnaryCall,
  ServerDuplexStream,
  ServerWritableStream,
} from "@grpc/grpc-js";
import { assertNever, DriverError } from "../errors.js";
import type { Interrupt } from "./open-calls.js";
import { ServedCall, type ServedMethod } from "./served-call.js";
import type { BidiStreamHandler, Handler, ServerStreamHandler, UnaryHandler } from "./service-definition.js";
import { toGrpcStatus } from "./status.js";

type UnaryCall = handleUnaryCall<Buffer, Uint8Array>;
type ServerStreamCall = handleServerStreamingCall<Buffer, Uint8Array>;
type BidiStreamCall = handleBidiStreamingCall<Buffer, Uint8Array>;
type AnswerStream = ServerWritableStream<Buffer, Uint8Array> | ServerDuplexStream<Buffer, Uint8Array>;

/**
 * Turns a handler into a function for grpc-js. These wrappers do what interceptors would (access, deadline, errors, log), because
 * an interceptor of grpc-js costs every call several objects and closures.
 */
export function adapt(handler: Handler, method: ServedMethod): UnaryCall | ServerStreamCall | BidiStreamCall {
  switch (handler.kind) {
    case "unary":
      return adaptUnary(handler, method);
    case "server_streaming":
      return adaptServerStream(handler, method);
    case "bidi_streaming":
      return adaptBidiStream(handler, method);
    default:
      return assertNever(handler);
  }
}

function adaptUnary({ run }: UnaryHandler, method: ServedMethod): UnaryCall {
  return async (call, respond) => {
    const served = new ServedCall(call, method);
    try {
      served.admit();
      const answer = await run(call.request, served);
      if (served.end()) respond(null, answer);
    } catch (thrown) {
      const error = DriverError.from(thrown);
      if (served.end(error)) respond(toGrpcStatus(error));
    }
  };
}

function adaptServerStream({ run }: ServerStreamHandler, method: ServedMethod): ServerStreamCall {
  return async (call) => {
    const served = new ServedCall(call, method);
    await answer(call, served, () => run(call.request, served));
  };
}

function adaptBidiStream({ run }: BidiStreamHandler, method: ServedMethod): BidiStreamCall {
  return async (call) => {
    const served = new ServedCall(call, method);
    const interrupt = (error: DriverError) => fail(call, served, error);
    // The answers may go on when the requests have ended, so the end of these must not destroy the call.
    await answer(call, served, () => run(call.iterator({ destroyOnReturn: false }), served), interrupt);
  };
}

async function answer(
  call: AnswerStream,
  served: ServedCall,
  open: () => AsyncIterable<Uint8Array>,
  interrupt?: Interrupt,
): Promise<void> {
  try {
    served.admit(interrupt);
    for await (const message of open()) {
      if (served.signal.aborted) return;
      await write(call, message, served.signal);
    }
    if (served.end()) call.end();
  } catch (thrown) {
    fail(call, served, DriverError.from(thrown));
  }
}

function fail(call: AnswerStream, served: ServedCall, error: DriverError): void {
  if (served.end(error)) call.emit("error", toGrpcStatus(error));
}

/**
 * Resolves when the client had room for the message, or is gone. One message at a time: a stream of grpc-js would otherwise
 * buffer sixteen, a megabyte for each client that reads slowly.
 */
function write(call: AnswerStream, message: Uint8Array, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      signal.removeEventListener("abort", done);
      resolve();
    };
    signal.addEventListener("abort", done);
    call.write(message, done);
  });
}
