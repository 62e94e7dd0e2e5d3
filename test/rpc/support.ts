import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import {
  type CallOptions,
  ChannelCredentials,
  Client,
  type ClientReadableStream,
  Metadata,
  type ServiceError,
} from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import type { CallContext, Engine, MethodName } from "../../src/engine/call.js";
import { type Listener, listenerAt, type TlsOptions } from "../../src/rpc/listener.js";
import type { EndedCall } from "../../src/rpc/served-call.js";
import { RpcServer, type RpcServerOptions } from "../../src/rpc/server.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { parseAddress } from "../../src/security/listen-policy.js";

/** The listener at an address as users write it. */
export function parseListener(address: string, tls?: TlsOptions): Listener {
  return listenerAt(parseAddress(address), tls);
}

/** A server on a unix socket with everything that a test opens; `close` in `afterEach` ends all of it. */
export class TestBench {
  readonly endedCalls: EndedCall[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "driver-rpc-"));
  readonly #servers: RpcServer[] = [];
  readonly #clients: Client[] = [];

  get socketPath(): string {
    return join(this.#directory, "driver.sock");
  }

  server(engine: Engine, options: Partial<RpcServerOptions> = {}): RpcServer {
    const server = new RpcServer({
      engine,
      authenticate: () => "read-write",
      onCallEnd: (call) => this.endedCalls.push(call),
      maxRequestBytes: 1 << 20,
      maxConcurrentStreams: 1_000,
      ...options,
    });
    this.#servers.push(server);
    return server;
  }

  /** A client of a server with this engine; on the unix socket unless another address is given. */
  async serve(engine: Engine, options: Partial<RpcServerOptions> = {}, address?: string): Promise<Client> {
    const server = this.server(engine, options);
    return this.connect(await server.listen(parseListener(address ?? `unix:${this.socketPath}`)));
  }

  connect(address: string, credentials = ChannelCredentials.createInsecure()): Client {
    const client = new Client(address, credentials, { "grpc.max_receive_message_length": -1 });
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) client.close();
    await Promise.all(this.#servers.map((server) => server.stop(0)));
    rmSync(this.#directory, { recursive: true });
  }
}

/** An engine of which only some methods are expected to be called. */
export function engineOf(methods: Partial<Engine>): Engine {
  return {
    unary: () => Promise.reject(new Error("not expected")),
    stream: () => {
      throw new Error("not expected");
    },
    ...methods,
  };
}

/** An engine whose unary methods answer `run`. */
export function unaryEngine(run: (request: Buffer, context: CallContext) => Promise<Uint8Array>): Engine {
  return engineOf({ unary: (_method, request, context) => run(request, context) });
}

/** The path, serializer and deserializer of a method: messages in bytes. */
export function raw(method: MethodName) {
  return methodDefinition(DriverService.method[method]);
}

export interface CallSettings extends CallOptions {
  readonly metadata?: Metadata;
}

/** Calls `execute` with these bytes. */
export function execute(
  client: Client,
  request: Uint8Array,
  { metadata = new Metadata(), ...options }: CallSettings = {},
): Promise<Buffer> {
  return unary(client, raw("execute"), request, metadata, options);
}

export function unary(
  client: Client,
  { path, requestSerialize, responseDeserialize }: ReturnType<typeof raw>,
  request: Uint8Array,
  metadata = new Metadata(),
  options: CallOptions = {},
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(
      path,
      requestSerialize,
      responseDeserialize,
      request,
      metadata,
      options,
      (error, answer) => {
        if (error !== null) reject(error);
        else if (answer !== undefined) resolve(answer);
        else reject(new Error("no answer"));
      },
    );
  });
}

/** Opens a stream of `query`. */
export function query(client: Client, request: Uint8Array, options: CallOptions = {}): ClientReadableStream<Buffer> {
  const { path, requestSerialize, responseDeserialize } = raw("query");
  return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request, options);
}

export function encode<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

export function decode<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  return fromBinary(schema, bytes);
}

export function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "metadata" in error && error.metadata instanceof Metadata;
}

/** The status that a call failed with. */
export async function failure(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    if (isServiceError(error)) return error;
    throw error;
  }
  throw new Error("the call has succeeded");
}

/** Resolves once `isTrue` holds; rejects when it does not within ten seconds. */
export async function until(isTrue: () => boolean): Promise<void> {
  const giveUpMs = performance.now() + 10_000;
  while (!isTrue()) {
    if (performance.now() > giveUpMs) throw new Error("waited in vain");
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}
