import { lstat, rm } from "node:fs/promises";
import { connect, type Server as NetServer, type Socket } from "node:net";
import { type PeerCertificate, TLSSocket } from "node:tls";
import { codeOf, DriverError, messageOf } from "../errors.js";
import { type Address, formatAddress, isLoopback } from "../security/listen-policy.js";

/** PEM files for TLS, as bytes. */
export interface TlsOptions {
  readonly certificate: Buffer;
  readonly privateKey: Buffer;
  /** Clients must show a certificate that this authority has signed (mTLS); not set: none is asked for. */
  readonly clientCa?: Buffer;
}

/** Where the driver listens. */
export type Listener =
  | {
      readonly kind: "unix";
      /** The path of the socket. */
      readonly path: string;
    }
  | {
      readonly kind: "tcp";
      /** A name or an address, an IPv6 one without its brackets. */
      readonly host: string;
      /** 0 picks a free port. */
      readonly port: number;
      /** True when only programs on this machine can connect. */
      readonly isLoopback: boolean;
      /** Not set: plain text. */
      readonly tls?: TlsOptions;
    };

/** A socket is created with all bits for reading, writing and executing that the umask leaves. */
const SOCKET_UMASK = 0o177;

/** The listener at `address`; with TLS when it is given, which a socket file has no use for. */
export function listenerAt(address: Address, tls?: TlsOptions): Listener {
  if (address.kind === "unix") return address;
  return { ...address, isLoopback: isLoopback(address), ...(tls !== undefined && { tls }) };
}

/**
 * Makes room for a socket: removes one that nothing answers on, left by a process that was killed.
 *
 * @throws DriverError `INVALID_REQUEST` when another process answers, something else than a socket is there, or nobody can tell
 */
export async function removeStaleSocket(path: string): Promise<void> {
  const found = await lstat(path).catch((error: unknown) => {
    if (codeOf(error) === "ENOENT") return undefined;
    throw unusable(path, error);
  });
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw new DriverError("INVALID_REQUEST", `Cannot listen on ${path}: a file that is no socket is there.`, {
      hint: "Move it away or listen on another path.",
    });
  }
  if (await isAnswered(path)) {
    throw new DriverError("INVALID_REQUEST", `Cannot listen on ${path}: another process does.`, {
      hint: "Stop it or listen on another path.",
    });
  }
  await rm(path, { force: true });
}

/** Runs `bind`, which creates a socket file, so that it has the mode 0600 from the moment in which it is there. */
export async function bindPrivately<T>(bind: () => Promise<T>): Promise<T> {
  const umask = process.umask(SOCKET_UMASK);
  try {
    return await bind();
  } finally {
    process.umask(umask);
  }
}

/**
 * Where a name leads, the system decides, `localhost` too.
 *
 * @throws DriverError `INVALID_REQUEST` when `server` is bound to more than the loopback address that `listener` was taken for
 */
export function assertBoundToLoopback(listener: Listener, server: NetServer): void {
  const address = server.address();
  if (listener.kind === "unix" || !listener.isLoopback || typeof address !== "object" || address === null) return;
  if (isLoopback({ kind: "tcp", host: address.address, port: address.port })) return;
  throw new DriverError(
    "INVALID_REQUEST",
    `${formatAddress(listener)} is ${address.address} here, which can be reached from other machines.`,
    { hint: "Listen on 127.0.0.1 or on a unix socket.", field: "listen" },
  );
}

/** What the client has shown in the TLS handshake, verified; undefined when that asked for nothing. */
export function peerCertificate(socket: Socket | undefined): PeerCertificate | undefined {
  return socket instanceof TLSSocket && socket.authorized ? socket.getPeerCertificate() : undefined;
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", (error) => {
      const code = codeOf(error);
      if (code === "ECONNREFUSED" || code === "ENOENT") resolve(false);
      else reject(unusable(path, error));
    });
  });
}

function unusable(path: string, cause: unknown): DriverError {
  const why = messageOf(cause);
  return new DriverError("INVALID_REQUEST", `Cannot listen on ${path}: ${why}.`, {
    hint: "Name a socket in a folder that may be written.",
    cause,
  });
}
