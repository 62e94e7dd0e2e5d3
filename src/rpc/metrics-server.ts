import { once } from "node:events";
import { createServer as createHttpServer, type IncomingMessage, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type SecureContextOptions, Server as TlsServer } from "node:tls";
import { DriverError, messageOf } from "../errors.js";
import { formatAddress } from "../security/listen-policy.js";
import type { Authenticate } from "./access.js";
import {
  assertBoundToLoopback,
  bindPrivately,
  type Listener,
  peerCertificate,
  removeStaleSocket,
  type TlsOptions,
} from "./listener.js";

/** What is served: metrics in a text format. */
export interface MetricsSource {
  readonly contentType: string;
  text(): Promise<string>;
}

/** A page of metrics that is being served. */
export interface MetricsServer {
  /** Its address, with the port that was picked. */
  readonly address: string;
  /** New connections get this certificate and authority; without TLS nothing changes. */
  setTls(tls: TlsOptions): void;
  close(): void;
}

const PATH = "/metrics";

/**
 * Serves `source` over HTTP at `/metrics`, to who may call the driver on such a listener: the same token, the same TLS.
 *
 * @throws DriverError `INVALID_REQUEST` when the listener cannot be bound, or would carry plain text to other machines.
 */
export async function serveMetrics(
  listener: Listener,
  authenticate: Authenticate,
  source: MetricsSource,
): Promise<MetricsServer> {
  const server = createServer(listener, async (request, response) => {
    const answer = await answerTo(
      request,
      () => authenticate(request.headers.authorization, listener, () => peerCertificate(request.socket)),
      source,
    );
    response.writeHead(answer.status, { "content-type": answer.contentType }).end(answer.text);
  });
  if (listener.kind === "unix") {
    await removeStaleSocket(listener.path);
    await bindPrivately(() => listen(server, listener, { path: listener.path }));
  } else {
    await listen(server, listener, { host: listener.host, port: listener.port });
    try {
      assertBoundToLoopback(listener, server);
    } catch (error) {
      server.close();
      throw error;
    }
  }
  const bound = server.address();
  const address =
    listener.kind === "tcp" && typeof bound === "object" && bound !== null
      ? formatAddress({ ...listener, port: bound.port })
      : formatAddress(listener);
  return {
    address,
    setTls: (tls) => {
      if (server instanceof TlsServer) server.setSecureContext(secureContext(tls));
    },
    close: () => {
      server.close();
      server.closeAllConnections();
    },
  };
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

async function answerTo(request: IncomingMessage, authorize: () => void, source: MetricsSource): Promise<Answer> {
  if (request.method !== "GET" || request.url !== PATH) return plain(404, `The metrics are at GET ${PATH}.`);
  try {
    authorize();
    return { status: 200, contentType: source.contentType, text: await source.text() };
  } catch (thrown) {
    const error = DriverError.from(thrown);
    return plain(error.reason === "UNAUTHENTICATED" ? 401 : 500, error.sentence);
  }
}

function plain(status: number, sentence: string): Answer {
  return { status, contentType: "text/plain; charset=utf-8", text: `${sentence}\n` };
}

function createServer(listener: Listener, handler: RequestListener): Server {
  if (listener.kind === "unix" || listener.tls === undefined) return createHttpServer(handler);
  const { tls } = listener;
  const mustShowCertificate = tls.clientCa !== undefined;
  return createHttpsServer({ ...secureContext(tls), requestCert: mustShowCertificate }, handler);
}

function secureContext({ certificate, privateKey, clientCa }: TlsOptions): SecureContextOptions {
  return { cert: certificate, key: privateKey, ...(clientCa !== undefined && { ca: clientCa }) };
}

async function listen(server: Server, listener: Listener, where: object): Promise<void> {
  server.listen(where);
  try {
    await once(server, "listening");
  } catch (cause) {
    const why = messageOf(cause);
    throw new DriverError("INVALID_REQUEST", `Cannot serve metrics on ${formatAddress(listener)}: ${why}.`, {
      hint: "Name another address with --metrics-listen.",
      cause,
    });
  }
}
