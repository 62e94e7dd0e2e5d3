import { type DescMessage, type DescMethod, fromBinary, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { type ChannelCredentials, Client, type ClientOptions, credentials, Metadata } from "@grpc/grpc-js";
import { DriverError, messageOf } from "../errors.js";
import { fromCallError } from "./call-error.js";
import type { CallOptions } from "./calls.js";
import { RETRYING_SERVICE_CONFIG } from "./service-config.js";

/** Contents of files in PEM form. */
export interface ClientTls {
  /** The authority that signed the driver's certificate. Default: those that Node.js trusts. */
  readonly ca?: Buffer | undefined;
  /** The client's own certificate and key, for a driver that asks for them (mTLS). */
  readonly cert?: Buffer | undefined;
  readonly key?: Buffer | undefined;
}

/** Where a driver is and how it is spoken to. */
export interface Endpoint {
  readonly address: string;
  readonly token?: string | undefined;
  readonly tls?: ClientTls | undefined;
  /** How long a call may take that names no time of its own. Default: for ever. */
  readonly timeoutMs?: number;
}

/** One call: a method of a service, its request, and whether it may be sent again when nobody knows whether it ran. */
export interface CallRequest {
  readonly method: DescMethod;
  readonly message: MessageShape<DescMessage>;
  readonly isRepeatable: boolean;
}

/** The longest timer of Node.js, 24.8 days; grpc-js would end a call with a later deadline at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

const CHANNEL_OPTIONS: ClientOptions = {
  // How large an answer may be is the driver's to say, see `Limits`.
  "grpc.max_receive_message_length": -1,
  // Neither a proxy for web traffic nor the records of a name server have a say between a program and its database.
  "grpc.enable_http_proxy": 0,
  "grpc.service_config_disable_resolution": 1,
};

const RETRYING_CHANNEL_OPTIONS: ClientOptions = {
  ...CHANNEL_OPTIONS,
  "grpc.service_config": JSON.stringify(RETRYING_SERVICE_CONFIG),
};

/**
 * Makes calls to one driver. gRPC decides by method alone what it repeats, while here it also depends on the request: so what is
 * safe to repeat goes over a channel with a retry policy and the rest over one without. Each connects when it is first used.
 */
export class Connection {
  readonly #endpoint: Endpoint;
  readonly #retrying: Client;
  readonly #plain: Client;
  readonly #metadata = new Metadata();
  /** Cancel the calls that run. */
  readonly #cancels = new Set<() => void>();
  #isClosed = false;

  constructor(endpoint: Endpoint) {
    this.#endpoint = endpoint;
    const { address, tls } = endpoint;
    this.#retrying = new Client(address, channelCredentials(tls), RETRYING_CHANNEL_OPTIONS);
    this.#plain = new Client(address, channelCredentials(tls), CHANNEL_OPTIONS);
    if (endpoint.token !== undefined) this.#metadata.set("authorization", `Bearer ${endpoint.token}`);
  }

  unary(request: CallRequest, options: CallOptions): Promise<MessageShape<DescMessage>> {
    return new Promise((resolve, reject) => {
      this.#assertWanted(options.signal);
      const call = this.#channel(request).makeUnaryRequest(
        pathOf(request.method),
        toBuffer,
        (bytes) => fromBinary(request.method.output, bytes),
        encode(request),
        this.#metadata,
        this.#callOptions(options),
        (error, response) => {
          forget();
          if (response === undefined) reject(fromCallError(error, this.#endpoint.address));
          else resolve(response);
        },
      );
      const forget = this.#watch(call, options.signal);
    });
  }

  async *stream(request: CallRequest, options: CallOptions): AsyncGenerator<MessageShape<DescMessage>, void> {
    this.#assertWanted(options.signal);
    const call = this.#channel(request).makeServerStreamRequest(
      pathOf(request.method),
      toBuffer,
      (bytes) => fromBinary(request.method.output, bytes),
      encode(request),
      this.#metadata,
      this.#callOptions(options),
    );
    const forget = this.#watch(call, options.signal);
    try {
      yield* call;
    } catch (error) {
      throw fromCallError(error, this.#endpoint.address);
    } finally {
      forget();
      // A reader that stopped early; after the end of the stream this does nothing.
      call.on("error", () => {});
      call.cancel();
    }
  }

  /** Cancels the calls that run, and ends the connection; a call that is made later is not sent. */
  close(): void {
    this.#isClosed = true;
    for (const cancel of this.#cancels) cancel();
    this.#retrying.close();
    this.#plain.close();
  }

  /**
   * grpc-js sends a call that is cancelled as soon as it is made, and the driver may run it; one that was aborted before is not made.
   *
   * @throws DriverError `CANCELLED`
   */
  #assertWanted(signal: AbortSignal | undefined): void {
    if (this.#isClosed) throw new DriverError("CANCELLED", "The call was not sent: the client is closed.");
    if (signal?.aborted) throw new DriverError("CANCELLED", "The call was cancelled before it was sent.");
  }

  /** Cancels the call when its signal is aborted or the client closed. @returns what forgets the call when it has ended */
  #watch(call: { cancel(): void }, signal: AbortSignal | undefined): () => void {
    const cancel = () => call.cancel();
    this.#cancels.add(cancel);
    signal?.addEventListener("abort", cancel, { once: true });
    return () => {
      this.#cancels.delete(cancel);
      signal?.removeEventListener("abort", cancel);
    };
  }

  #channel({ isRepeatable }: CallRequest): Client {
    return isRepeatable ? this.#retrying : this.#plain;
  }

  #callOptions({ timeoutMs = this.#endpoint.timeoutMs }: CallOptions): { deadline?: number } {
    return timeoutMs === undefined ? {} : { deadline: Date.now() + Math.min(timeoutMs, MAX_TIMEOUT_MS) };
  }
}

function channelCredentials(tls: ClientTls | undefined): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  return credentials.createSsl(tls.ca ?? null, tls.key ?? null, tls.cert ?? null);
}

function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** @throws DriverError `INVALID_REQUEST` for a value that its field cannot hold. */
function encode({ method, message }: CallRequest): Uint8Array {
  try {
    return toBinary(method.input, message);
  } catch (error) {
    const why = messageOf(error);
    throw new DriverError("INVALID_REQUEST", `The request of ${method.name} cannot be sent: ${why}.`, { cause: error });
  }
}

/** grpc-js takes nothing but a `Buffer`; this one shares the memory. */
function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
