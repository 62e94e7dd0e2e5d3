import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  Metadata,
  Server,
  ServerCredentials,
  type ServerUnaryCall,
  type ServerWritableStream,
  status,
} from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { DriverError } from "../../src/errors.js";

/** What a handler sees of a call beside its request. */
export interface ScriptedCall {
  readonly metadata: Metadata;
  /** Aborted when the client is gone. */
  readonly signal: AbortSignal;
}

type Handler<Method> = Method extends { methodKind: infer Kind; input: infer Input; output: infer Output }
  ? (
      request: MessageShape<Extract<Input, DescMessage>>,
      call: ScriptedCall,
    ) => Kind extends "unary"
      ? Promise<MessageInitShape<Extract<Output, DescMessage>>> | MessageInitShape<Extract<Output, DescMessage>>
      : AsyncIterable<MessageInitShape<Extract<Output, DescMessage>>>
  : never;

/** Answers of the methods a test cares about; the others are UNIMPLEMENTED. A `DriverError` is sent with its details. */
export type Script = {
  readonly [Name in keyof typeof DriverService.method]?: Handler<(typeof DriverService.method)[Name]>;
};

/** A gRPC server with answers that a test wrote, for tests of clients. */
export interface ScriptedDriver {
  /** Where it listens, as a user would write it. */
  readonly address: string;
  close(): void;
}

/** Serves `script` on `address` (`unix:/…` or `host:port`). */
export async function startScriptedDriver(
  address: string,
  script: Script,
  serverCredentials: ServerCredentials = ServerCredentials.createInsecure(),
): Promise<ScriptedDriver> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  for (const method of DriverService.methods) {
    const handler = Reflect.get(script, method.localName);
    if (handler === undefined) continue;
    const definition = {
      path: `/${method.parent.typeName}/${method.name}`,
      requestStream: false,
      responseStream: method.methodKind !== "unary",
      requestSerialize: (bytes: Buffer) => bytes,
      requestDeserialize: (bytes: Buffer) => bytes,
      responseSerialize: (bytes: Buffer) => bytes,
      responseDeserialize: (bytes: Buffer) => bytes,
    };
    const decode = (bytes: Buffer) => fromBinary(method.input, bytes);
    const encode = (init: MessageInitShape<DescMessage>) =>
      Buffer.from(toBinary(method.output, create(method.output, init)));
    const unary = (call: ServerUnaryCall<Buffer, Buffer>, done: (error: object | null, answer?: Buffer) => void) => {
      Promise.resolve()
        .then(() => handler(decode(call.request), { metadata: call.metadata, signal: signalOf(call) }))
        .then((answer) => done(null, encode(answer)))
        .catch((error) => done(toStatus(error)));
    };
    const stream = async (call: ServerWritableStream<Buffer, Buffer>) => {
      const signal = signalOf(call);
      try {
        for await (const answer of handler(decode(call.request), { metadata: call.metadata, signal })) {
          if (signal.aborted) return;
          if (!call.write(encode(answer)))
            await new Promise((resolve) => call.once("drain", resolve).once("cancelled", resolve));
        }
        call.end();
      } catch (error) {
        call.emit("error", toStatus(error));
      }
    };
    server.addService({ [method.name]: definition }, { [method.name]: method.methodKind === "unary" ? unary : stream });
  }
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync(address, serverCredentials, (error, bound) => (error === null ? resolve(bound) : reject(error))),
  );
  return {
    address: address.startsWith("unix:") ? address : address.replace(/:0$/, `:${port}`),
    close: () => server.forceShutdown(),
  };
}

function signalOf(call: { on(event: "cancelled", listener: () => void): unknown }): AbortSignal {
  const controller = new AbortController();
  call.on("cancelled", () => controller.abort());
  return controller.signal;
}

/** The status with details that contract and proto describe, written down here a second time on purpose. */
function toStatus(thrown: unknown): object {
  const error = DriverError.from(thrown);
  const metadata = new Metadata();
  const code = status[error.status];
  const details = [
    anyPack(
      ErrorInfoSchema,
      create(ErrorInfoSchema, {
        domain: "code-analysis-driver",
        reason: error.reason,
        metadata: {
          ...(error.hint !== undefined && { hint: error.hint }),
          ...(error.sqliteCode !== undefined && { sqlite_code: error.sqliteCode }),
        },
      }),
    ),
  ];
  if (error.field !== undefined) {
    const fieldViolations = [{ field: error.field, description: error.message }];
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (error.retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(error.retryAfterMs);
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  const message = error.sentence;
  metadata.set(
    "grpc-status-details-bin",
    Buffer.from(toBinary(StatusSchema, create(StatusSchema, { code, message, details }))),
  );
  return { code, details: message, metadata };
}
