import { BlockList, isIP } from "node:net";
import { DriverError } from "../errors.js";

/** Where a driver listens or a client connects. */
export type Address =
  | { readonly kind: "unix"; readonly path: string }
  | { readonly kind: "tcp"; readonly host: string; readonly port: number };

/** What the operator has set up for TCP connections. */
export interface ListenSettings {
  /** `--insecure-no-auth`. */
  readonly insecureNoAuth: boolean;
  /** True when there is a certificate and a key. */
  readonly hasTls: boolean;
}

/** An address the driver may listen on, and how. */
export interface ListenRule {
  readonly address: Address;
  /** True when a call must carry the bearer token. A socket file is protected by its mode, 0600. */
  readonly needsToken: boolean;
  /** True when the listener speaks TLS. */
  readonly usesTls: boolean;
}

/** `sun_path` has 108 bytes on Linux (unix(7)) and 104 on macOS, the closing NUL included; some systems cut a longer path off. */
const MAX_SOCKET_PATH_BYTES = process.platform === "linux" ? 107 : 103;

const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/**
 * Reads `unix:/path/to.sock` or `host:port`; an IPv6 address stands in brackets (`[::1]:50051`), and no host at all means
 * 127.0.0.1.
 *
 * @throws DriverError `INVALID_REQUEST` when it is neither, or when the path is too long for a socket.
 */
export function parseAddress(text: string): Address {
  if (text.startsWith("unix:")) {
    const path = text.slice("unix:".length).replace(/^\/\/(?=\/)/, "");
    // With a NUL in front it would be an abstract socket, which has no mode: every user could connect.
    if (path === "" || path.includes("\0")) throw invalidAddress(text);
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
      throw new DriverError(
        "INVALID_REQUEST",
        `The socket path ${path} is longer than ${MAX_SOCKET_PATH_BYTES} bytes.`,
        {
          hint: "Name a shorter one with --listen unix:/path/to.sock (and --address for clients).",
          field: "listen",
        },
      );
    }
    return { kind: "unix", path };
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (digits === undefined || port > 65_535 || (bracketed !== undefined && isIP(bracketed) !== 6))
    throw invalidAddress(text);
  return { kind: "tcp", host: bracketed ?? (plain === undefined || plain === "" ? "127.0.0.1" : plain), port };
}

/** The address as a user writes it; `parseAddress` reads it back. */
export function formatAddress(address: Address): string {
  if (address.kind === "unix") return `unix:${address.path}`;
  return `${isIP(address.host) === 6 ? `[${address.host}]` : address.host}:${address.port}`;
}

/**
 * True when nothing outside this machine can reach the address. Of names only `localhost` counts; what it was bound to in the end,
 * the server checks.
 */
export function isLoopback(address: Address): boolean {
  if (address.kind === "unix" || address.host === "localhost") return true;
  const family = isIP(address.host);
  return family !== 0 && LOOPBACK.check(address.host, family === 6 ? "ipv6" : "ipv4");
}

/**
 * Decides how the driver may listen on `addresses`: TCP needs a token, TCP from outside this machine needs TLS as well.
 *
 * @throws DriverError `INVALID_REQUEST` that says what to set.
 */
export function decideListeners(addresses: readonly string[], settings: ListenSettings): ListenRule[] {
  return addresses.map((text) => decideListener(parseAddress(text), settings));
}

function decideListener(address: Address, { insecureNoAuth, hasTls }: ListenSettings): ListenRule {
  if (address.kind === "unix") return { address, needsToken: false, usesTls: false };
  if (!isLoopback(address)) {
    const name = formatAddress(address);
    if (insecureNoAuth) {
      throw new DriverError("INVALID_REQUEST", `The driver will not serve ${name} without a token.`, {
        hint: "--insecure-no-auth is for loopback addresses: remove it, or listen on 127.0.0.1.",
        field: "listen",
      });
    }
    if (!hasTls) {
      throw new DriverError(
        "INVALID_REQUEST",
        `The driver will not serve ${name}, which is not loopback, without TLS.`,
        {
          hint: "Set --tls-cert and --tls-key, or listen on 127.0.0.1 or on a unix socket.",
          field: "listen",
        },
      );
    }
  }
  return { address, needsToken: !insecureNoAuth, usesTls: hasTls };
}

function invalidAddress(text: string): DriverError {
  return new DriverError("INVALID_REQUEST", `${JSON.stringify(text)} is no address.`, {
    hint: "Write unix:/path/to.sock, host:port or [IPv6]:port.",
    field: "listen",
  });
}
