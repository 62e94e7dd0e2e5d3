import type { TlsOptions } from "../rpc/listener.js";
import type { TlsMaterial } from "../security/tls.js";

/** What was read, as a listener takes it. */
export function tlsOptions({ ca, cert, key }: TlsMaterial): TlsOptions {
  return { certificate: cert, privateKey: key, ...(ca !== undefined && { clientCa: ca }) };
}
