import { readFileSync } from "node:fs";
import { createSecureContext } from "node:tls";
import { DriverError, messageOf } from "../errors.js";
import { fileVersion } from "./file-version.js";

/** How often the files are looked at, in milliseconds. */
const LOOK_EVERY_MS = 1_000;

/** Files in PEM form, as the options `--tls-cert`, `--tls-key` and `--tls-ca` name them. */
export interface TlsFiles {
  readonly cert: string | undefined;
  readonly key: string | undefined;
  readonly ca: string | undefined;
}

/** The contents of these files, checked. */
export interface TlsMaterial {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Set: clients must show a certificate that this authority signed (mTLS). */
  readonly ca: Buffer | undefined;
  /** Changes when one of the files does. */
  readonly version: string;
}

/**
 * Looks at the files once a second and loads them anew when one has changed.
 *
 * @param loaded what is in use.
 * @param onChange gets the new contents.
 * @param onProblem told once of each state of the files that cannot be used, a certificate whose key has not been replaced yet for
 *   example.
 * @returns a function that ends it.
 */
export function watchTls(
  files: TlsFiles,
  loaded: TlsMaterial,
  onChange: (material: TlsMaterial) => void,
  onProblem: (problem: DriverError) => void,
): () => void {
  let { version } = loaded;
  const timer = setInterval(() => {
    const current = versionOf(files);
    if (current === version) return;
    version = current;
    try {
      const material = loadTls(files);
      if (material !== undefined) onChange(material);
    } catch (error) {
      onProblem(DriverError.from(error));
    }
  }, LOOK_EVERY_MS).unref();
  return () => clearInterval(timer);
}

/**
 * Loads what a TLS listener needs; undefined when no certificate is named.
 *
 * @throws DriverError `INVALID_REQUEST` when one of certificate and key is missing, a file cannot be read or is no PEM, or the
 *   key does not belong to the certificate.
 */
export function loadTls({ cert, key, ca }: TlsFiles): TlsMaterial | undefined {
  if (cert === undefined && key === undefined) {
    if (ca === undefined) return undefined;
    throw wrong(
      "--tls-ca alone does not make a listener speak TLS.",
      "Set --tls-cert and --tls-key as well.",
      "tls_cert",
    );
  }
  if (cert === undefined) throw wrong("--tls-key is set without --tls-cert.", "Set both.", "tls_cert");
  if (key === undefined) throw wrong("--tls-cert is set without --tls-key.", "Set both.", "tls_key");

  const material = {
    // Before the files are read: what changes meanwhile is seen the next time.
    version: versionOf({ cert, key, ca }),
    cert: readPem(cert, "certificate", "tls_cert"),
    key: readPem(key, "private key", "tls_key"),
    ca: ca === undefined ? undefined : readPem(ca, "certificate authority", "tls_ca"),
  };
  try {
    createSecureContext({
      cert: material.cert,
      key: material.key,
      ...(material.ca !== undefined && { ca: material.ca }),
    });
  } catch (error) {
    const why = messageOf(error);
    throw wrong(
      `The certificate ${cert} and the private key ${key} cannot be used together (${why}).`,
      "Give the key that the certificate was made for, in PEM form and without a pass phrase.",
      "tls_cert",
      error,
    );
  }
  return material;
}

function versionOf({ cert, key, ca }: TlsFiles): string {
  return [cert, key, ca].map((path) => (path === undefined ? "" : fileVersion(path))).join("\n");
}

function readPem(path: string, what: string, field: string): Buffer {
  let content: Buffer;
  try {
    content = readFileSync(path);
  } catch (error) {
    const why = messageOf(error);
    throw wrong(
      `The ${what} ${path} cannot be read (${why}).`,
      "Correct the path or the mode of the file.",
      field,
      error,
    );
  }
  if (!content.includes("-----BEGIN ")) {
    throw wrong(`The ${what} ${path} is not in PEM form.`, "It must begin with -----BEGIN.", field);
  }
  return content;
}

function wrong(message: string, hint: string, field: string, cause?: unknown): DriverError {
  return new DriverError("INVALID_REQUEST", message, { hint, field, cause });
}
