import type { DescMethod, DescService } from "@bufbuild/protobuf";
import type { MethodDefinition } from "@grpc/grpc-js";
import type { CallContext } from "../engine/call.js";

/** One request, one answer; both encoded. */
export interface UnaryHandler {
  readonly kind: "unary";
  readonly run: (request: Buffer, context: CallContext) => Promise<Uint8Array>;
}

/** One request, many answers. */
export interface ServerStreamHandler {
  readonly kind: "server_streaming";
  readonly run: (request: Buffer, context: CallContext) => AsyncIterable<Uint8Array>;
}

/** Requests and answers as they come. */
export interface BidiStreamHandler {
  readonly kind: "bidi_streaming";
  readonly run: (requests: AsyncIterable<Buffer>, context: CallContext) => AsyncIterable<Uint8Array>;
}

export type Handler = UnaryHandler | ServerStreamHandler | BidiStreamHandler;

/** A handler for every method of a service, by its name in lower camel case; a table with one missing does not compile. */
export type Handlers<Service extends ServiceDescriptor> = {
  readonly [Name in keyof Service["method"]]: Extract<Handler, { kind: Service["method"][Name]["methodKind"] }>;
};

/** What `protoc-gen-es` generates for a service. */
export interface ServiceDescriptor extends Omit<DescService, "method"> {
  readonly method: Readonly<Record<string, DescMethod>>;
}

/**
 * The method as grpc-js wants it, with messages left in bytes in both directions, so that the thread that serves gRPC neither
 * decodes nor encodes.
 */
export function methodDefinition(
  method: DescMethod,
): MethodDefinition<Buffer, Uint8Array> & MethodDefinition<Uint8Array, Buffer> {
  return {
    path: methodPath(method),
    requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
    responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
    requestSerialize: toBuffer,
    requestDeserialize: identity,
    responseSerialize: toBuffer,
    responseDeserialize: identity,
  };
}

/** `/package.Service/Method`, the HTTP/2 path of a method. */
export function methodPath(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** The same bytes as a `Buffer`: grpc-js calls methods on messages that only a `Buffer` has. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function identity(bytes: Buffer): Buffer {
  return bytes;
}
