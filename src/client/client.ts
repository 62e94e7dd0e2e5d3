import {
  create,
  type DescMessage,
  type DescMethod,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { type ChannelCredentials, Client, type ClientOptions, credentials, Metadata } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { fromCallError } from "./call-error.js";
import { SERVICE_CONFIG } from "./service-config.js";

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
}

/** Contents of files in PEM form. */
export interface ClientTls {
  /** The authority that signed the driver's certificate. Default: those that Node.js trusts. */
  readonly ca?: Buffer | undefined;
  /** The client's own certificate and key, for a driver that asks for them (mTLS). */
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

/** What one call may be given. */
export interface CallOptions {
  readonly timeoutMs?: number;
  /** Cancels the call when it is aborted. */
  readonly signal?: AbortSignal;
}

type UnaryCall<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageInitShape<Input>,
  options?: CallOptions,
) => Promise<MessageShape<Output>>;

/** A stream is asked for only when it is iterated, message by message; leaving the loop cancels it. */
type StreamCall<Input extends DescMessage, Output extends DescMessage> = (
  request: MessageInitShape<Input>,
  options?: CallOptions,
) => AsyncIterable<MessageShape<Output>>;

type Call<Method> = Method extends { methodKind: "unary"; input: infer Input; output: infer Output }
  ? UnaryCall<Extract<Input, DescMessage>, Extract<Output, DescMessage>>
  : Method extends { methodKind: "server_streaming"; input: infer Input; output: infer Output }
    ? StreamCall<Extract<Input, DescMessage>, Extract<Output, DescMessage>>
    : never;

/** One function for each RPC of `DriverService`. Whatever fails is a `DriverError` with the reason that the driver gave. */
export type DriverCalls = {
  readonly [Name in keyof typeof DriverService.method]: Call<(typeof DriverService.method)[Name]>;
};

/** A connection to a driver, made with the first call and again when it breaks. */
export interface DriverClient extends DriverCalls {
  /** Ends the connection; running calls are cancelled. */
  close(): void;
}

/** The longest timer of Node.js, 24.8 days; grpc-js would end a call with a later deadline at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

const CHANNEL_OPTIONS: ClientOptions = {
  "grpc.service_config": JSON.stringify(SERVICE_CONFIG),
  // How large an answer may be is the driver's to say, see `Limits`.
  "grpc.max_receive_message_length": -1,
  // A proxy for web traffic has no business between a program and its database.
  "grpc.enable_http_proxy": 0,
};

/** A client of the driver at `options.address`. Connects when first used, so it never fails. */
export function createClient(options: ConnectOptions): DriverClient {
  const transport = new Client(options.address, channelCredentials(options.tls), CHANNEL_OPTIONS);
  const connection = new Connection(transport, options);
  const calls = Object.fromEntries(
    DriverService.methods.map((method) => [
      method.localName,
      method.methodKind === "unary" ? connection.unary(method) : connection.stream(method),
    ]),
  ) as unknown as DriverCalls; // The type of each entry follows from the descriptor it was made from.
  return { ...calls, close: () => transport.close() };
}

function channelCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
}

/** Makes calls on one channel. */
class Connection {
  readonly #transport: Client;
  readonly #options: ConnectOptions;
  readonly #metadata = new Metadata();

  constructor(transport: Client, options: ConnectOptions) {
    this.#transport = transport;
    this.#options = options;
    if (options.token !== undefined) this.#metadata.set("authorization", `Bearer ${options.token}`);
  }

  unary(method: DescMethod): UnaryCall<DescMessage, DescMessage> {
    return (request, options = {}) =>
      new Promise((resolve, reject) => {
        const call = this.#transport.makeUnaryRequest(
          pathOf(method),
          toBuffer,
          (bytes) => fromBinary(method.output, bytes),
          encode(method, request),
          this.#metadata,
          this.#callOptions(options),
          (error, response) => {
            options.signal?.removeEventListener("abort", cancel);
            if (response === undefined) reject(fromCallError(error, this.#options.address));
            else resolve(response);
          },
        );
        const cancel = () => call.cancel();
        onAbort(options.signal, cancel);
      });
  }

  stream(method: DescMethod): StreamCall<DescMessage, DescMessage> {
    const connection = this;
    return (request, options = {}) => ({
      async *[Symbol.asyncIterator]() {
        const call = connection.#transport.makeServerStreamRequest(
          pathOf(method),
          toBuffer,
          (bytes) => fromBinary(method.output, bytes),
          encode(method, request),
          connection.#metadata,
          connection.#callOptions(options),
        );
        const cancel = () => call.cancel();
        onAbort(options.signal, cancel);
        try {
          yield* call;
        } catch (error) {
          throw fromCallError(error, connection.#options.address);
        } finally {
          options.signal?.removeEventListener("abort", cancel);
          // A reader that stopped early; after the end of the stream this does nothing.
          call.on("error", () => {});
          call.cancel();
        }
      },
    });
  }

  #callOptions({ timeoutMs = this.#options.timeoutMs }: CallOptions): { deadline?: number } {
    return timeoutMs === undefined ? {} : { deadline: Date.now() + Math.min(timeoutMs, MAX_TIMEOUT_MS) };
  }
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function encode(method: DescMethod, request: MessageInitShape<DescMessage>): Uint8Array {
  return toBinary(method.input, create(method.input, request));
}

/** grpc-js takes nothing but a `Buffer`; this one shares the memory. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function onAbort(signal: AbortSignal | undefined, cancel: () => void): void {
  if (signal?.aborted) cancel();
  else signal?.addEventListener("abort", cancel, { once: true });
}
