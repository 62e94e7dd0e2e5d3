import { readFileSync } from "node:fs";
import { type ConnectOptions, createClient, type DriverClient } from "../../client/client.js";
import type { ClientTls } from "../../client/connection.js";
import type { Config } from "../../config/config.js";
import { codeOf, DriverError, messageOf } from "../../errors.js";

/** The address that a command calls: `--address`, else the first one the driver of the same options listens on. */
export function driverAddress(config: Config): string {
  return config.address ?? config.listen[0] ?? `unix:${config.db}.sock`;
}

/**
 * A client of the driver at `address`, with the token and certificates of the configuration.
 *
 * @throws DriverError `INVALID_REQUEST` when a file that the options name cannot be read.
 */
export function connect(
  config: Config,
  address: string = driverAddress(config),
  options: Pick<ConnectOptions, "retries"> = {},
): DriverClient {
  const token = address.startsWith("unix:") ? undefined : (config.token ?? readToken(config.tokenFile));
  return createClient({ address, token, tls: readTls(config), ...options });
}

/** The token, or undefined when there is no such file: the driver then says whether it needs one. */
function readToken(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw unreadable("token file", path, error);
  }
}

/** TLS is spoken when an authority to trust or a certificate to show is named. */
function readTls({ tlsCa, tlsCert, tlsKey }: Config): ClientTls | undefined {
  if (tlsCa === undefined && tlsCert === undefined) return undefined;
  return {
    ca: readPem("certificate authority", tlsCa),
    cert: readPem("certificate", tlsCert),
    key: readPem("private key", tlsKey),
  };
}

function readPem(what: string, path: string | undefined): Buffer | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path);
  } catch (error) {
    throw unreadable(what, path, error);
  }
}

function unreadable(what: string, path: string, cause: unknown): DriverError {
  const why = messageOf(cause);
  return new DriverError("INVALID_REQUEST", `The ${what} ${path} cannot be read (${why}).`, {
    hint: "Name another file, or change its mode.",
    cause,
  });
}
