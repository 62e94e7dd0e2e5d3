import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { Server as NetServer } from "node:net";
import { Server as TlsServer } from "node:tls";
import { Server, ServerCredentials, type ServiceDefinition, type UntypedServiceImplementation } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { file_code_analysis_driver_v1_error } from "../../gen/code_analysis/driver/v1/error_pb.js";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { Channelz } from "../../gen/grpc/channelz/v1/channelz_pb.js";
import { Health as HealthService } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionAlpha } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import type { Engine } from "../engine/call.js";
import { DriverError } from "../errors.js";
import { formatAddress } from "../security/listen-policy.js";
import { ACCESS_OF_METHOD, type Access, type Authenticate } from "./access.js";
import { adapt } from "./adapter.js";
import { ArrivingRequests } from "./arriving-requests.js";
import { CallGate, type GatedMethod } from "./call-gate.js";
import { createChannelzHandlers } from "./channelz.js";
import { createDriverHandlers } from "./driver-service.js";
import { Health, ServingStatus } from "./health.js";
import { assertBoundToLoopback, bindPrivately, type Listener, removeStaleSocket, type TlsOptions } from "./listener.js";
import { OpenCalls } from "./open-calls.js";
import { createReflectionHandlers } from "./reflection.js";
import type { CallObserver } from "./served-call.js";
import { type Handler, methodDefinition, methodPath, type ServiceDescriptor } from "./service-definition.js";

export interface RpcServerOptions {
  readonly engine: Engine;
  readonly authenticate: Authenticate;
  readonly onCallEnd: CallObserver;
  /** The largest request in bytes; a larger one is RESOURCE_EXHAUSTED. */
  readonly maxRequestBytes: number;
  /** The most calls open at a time on one connection; clients let further ones wait. */
  readonly maxConcurrentStreams: number;
  /** So many bytes of requests may be arriving at a time. Default: 256 MiB, or twice `maxRequestBytes`. */
  readonly maxArrivingBytes?: number;
}

/** A service, its handlers by method name in lower camel case, and what they take. */
interface ServedService {
  readonly service: ServiceDescriptor;
  readonly handlers: Readonly<Record<string, Handler>>;
  readonly accessOf: (method: string) => Access | undefined;
}

/** A peer that does not answer a ping within the second time is gone, and its calls are cancelled. */
const KEEPALIVE_INTERVAL_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;
/** Connections that nobody uses cost memory; clients open another one without their callers noticing. */
const MAX_IDLE_MS = 30 * 60_000;

/** The gRPC surface of the driver: `DriverService`, health, reflection and channelz, on any number of listeners. */
export class RpcServer {
  /** NOT_SERVING until set. */
  readonly health = new Health([DriverService.typeName]);
  readonly #options: RpcServerOptions;
  readonly #services: readonly ServedService[];
  readonly #servers: Server[] = [];
  readonly #openCalls = new OpenCalls();
  readonly #arriving: ArrivingRequests;

  constructor(options: RpcServerOptions) {
    this.#options = options;
    this.#arriving = new ArrivingRequests(options.maxRequestBytes, options.maxArrivingBytes);
    const reflection = createReflectionHandlers(
      [DriverService, HealthService, ServerReflection, ServerReflectionAlpha, Channelz],
      [file_code_analysis_driver_v1_error, file_google_rpc_error_details],
    );
    const access: Readonly<Record<string, Access>> = ACCESS_OF_METHOD;
    this.#services = [
      {
        service: DriverService,
        handlers: createDriverHandlers(options.engine),
        accessOf: (method) => access[method],
      },
      // Probes of orchestrators carry no token.
      { service: HealthService, handlers: this.health.handlers, accessOf: () => "anyone" },
      { service: ServerReflection, handlers: reflection, accessOf: () => "read-only" },
      { service: ServerReflectionAlpha, handlers: reflection, accessOf: () => "read-only" },
      { service: Channelz, handlers: createChannelzHandlers(), accessOf: () => "read-only" },
    ];
  }

  /**
   * Serves on one more listener.
   *
   * @returns its address as clients write it, with the port that was picked
   * @throws DriverError `INVALID_REQUEST` when it cannot be bound, or would carry plain text to other machines
   */
  async listen(listener: Listener): Promise<string> {
    if (listener.kind === "tcp" && !listener.isLoopback && listener.tls === undefined) {
      throw new DriverError("INVALID_REQUEST", `${formatAddress(listener)} can be reached from other machines.`, {
        hint: "Give a TLS certificate and key, or listen on 127.0.0.1 or on a unix socket.",
      });
    }
    const server = this.#createServer();
    let bound = listener;
    if (listener.kind === "unix") {
      await removeStaleSocket(listener.path);
      await bindPrivately(() => bind(server, listener));
    } else {
      bound = { ...listener, port: await bind(server, listener) };
    }
    this.#servers.push(server);
    const gate = this.#createGate(listener);
    for (const http2Server of http2ServersOf(server)) {
      assertBoundToLoopback(listener, http2Server);
      putInFront(gate, http2Server);
    }
    return formatAddress(bound);
  }

  /** From now on new connections to TLS listeners get this certificate and authority; those that are open go on. */
  setTls({ certificate, clientCa, privateKey }: TlsOptions): void {
    for (const http2Server of this.#servers.flatMap(http2ServersOf)) {
      if (!(http2Server instanceof TlsServer)) continue;
      http2Server.setSecureContext({
        cert: certificate,
        key: privateKey,
        ...(clientCa !== undefined && { ca: clientCa }),
      });
    }
  }

  /**
   * Health goes NOT_SERVING, and every new call is answered DRAINING, as are streams of requests, which may never end. Resolves when
   * the other calls that run have ended, or after `timeoutMs`. Connections stay open: a client whose connection is closed learns
   * nothing, neither why nor when to come back.
   */
  async drain(timeoutMs: number): Promise<void> {
    this.health.setStatus(ServingStatus.NOT_SERVING);
    await this.#openCalls.drain(timeoutMs);
  }

  /** Ends every connection, those with calls that are still open after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    await this.drain(0);
    this.health.close();
    await Promise.all(this.#servers.map((server) => shutDown(server, graceMs)));
  }

  #createGate(listener: Listener): CallGate {
    const { authenticate, maxRequestBytes, onCallEnd } = this.#options;
    const methods = new Map<string, GatedMethod>();
    for (const { service, accessOf } of this.#services) {
      for (const method of service.methods) {
        const access = accessOf(method.localName);
        const hasRequestStream = method.methodKind === "bidi_streaming";
        if (access !== undefined) methods.set(methodPath(method), { access, hasRequestStream });
      }
    }
    return new CallGate({ listener, methods, authenticate, arriving: this.#arriving, maxRequestBytes, onCallEnd });
  }

  /** A server for each listener, so that a call's listener is known for certain and not guessed from its peer's address. */
  #createServer(): Server {
    const { maxConcurrentStreams, maxRequestBytes, onCallEnd } = this.#options;
    const server = new Server({
      "grpc.max_receive_message_length": maxRequestBytes,
      "grpc.max_concurrent_streams": maxConcurrentStreams,
      "grpc.keepalive_time_ms": KEEPALIVE_INTERVAL_MS,
      "grpc.keepalive_timeout_ms": KEEPALIVE_TIMEOUT_MS,
      "grpc.max_connection_idle_ms": MAX_IDLE_MS,
    });
    const shared = { onCallEnd, openCalls: this.#openCalls };
    for (const { service, handlers, accessOf } of this.#services) {
      const definition: Record<string, ServiceDefinition[string]> = {};
      const implementation: UntypedServiceImplementation = {};
      for (const method of service.methods) {
        const handler = handlers[method.localName];
        const access = accessOf(method.localName);
        if (handler === undefined || access === undefined) {
          throw new DriverError("INTERNAL", `${methodPath(method)} has no handler.`);
        }
        definition[method.localName] = methodDefinition(method);
        implementation[method.localName] = adapt(handler, { ...shared, path: methodPath(method), access });
      }
      server.addService(definition, implementation);
    }
    return server;
  }
}

/** @returns the port; without a meaning for a unix socket */
function bind(server: Server, listener: Listener): Promise<number> {
  const address = formatAddress(listener);
  return new Promise((resolve, reject) => {
    server.bindAsync(address, createCredentials(listener), (error, port) => {
      if (error === null) resolve(port);
      else reject(bindError(address, error));
    });
  });
}

function bindError(address: string, error: Error): DriverError {
  if (/EADDRINUSE/.test(error.message)) {
    return new DriverError("INVALID_REQUEST", `Cannot listen on ${address}: another process does.`, {
      hint: "Stop it or listen on another port; port 0 picks a free one.",
      cause: error,
    });
  }
  // grpc-js: `No address added out of total 1 resolved errors: [listen EACCES: permission denied /a.sock]`
  const [, why = error.message] = /\[(.*)\]$/.exec(error.message) ?? [];
  return new DriverError("INVALID_REQUEST", `Cannot listen on ${address}: ${why}.`, {
    hint: "Name an address of this machine, or a socket in a folder that may be written.",
    cause: error,
  });
}

function createCredentials(listener: Listener): ServerCredentials {
  if (listener.kind === "unix" || listener.tls === undefined) return ServerCredentials.createInsecure();
  const { certificate, clientCa, privateKey } = listener.tls;
  return ServerCredentials.createSsl(
    clientCa ?? null,
    [{ cert_chain: certificate, private_key: privateKey }],
    clientCa !== undefined,
  );
}

/** What grpc-js has bound; it does not say so in public. A name such as `localhost` can have several addresses. */
function http2ServersOf(server: Server): NetServer[] {
  const http2Servers: unknown = Reflect.get(server, "http2Servers");
  const bound: unknown[] = http2Servers instanceof Map ? [...http2Servers.keys()] : [];
  if (bound.length === 0 || !bound.every((http2Server) => http2Server instanceof NetServer)) {
    throw new DriverError("INTERNAL", "This version of grpc-js has no http2Servers.");
  }
  return bound;
}

/**
 * Lets the gate see a call before grpc-js does. Its public interface has no place for this: an interceptor comes after the header was
 * read, and costs every call several objects.
 */
function putInFront(gate: CallGate, http2Server: NetServer): void {
  const listeners = http2Server.listeners("stream");
  if (listeners.length === 0) throw new DriverError("INTERNAL", "This version of grpc-js has no listener for streams.");
  http2Server.removeAllListeners("stream");
  http2Server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: unknown[]) => {
    gate.admit(stream, headers, () => {
      for (const listener of listeners) Reflect.apply(listener, http2Server, [stream, headers, ...rest]);
    });
  });
}

function shutDown(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.forceShutdown(), graceMs);
    server.tryShutdown(() => {
      clearTimeout(timer);
      resolve();
    });
  });
}
