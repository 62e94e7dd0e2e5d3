import type { PeerCertificate } from "node:tls";
import { DriverError } from "../errors.js";
import type { TokenVerifier } from "./token.js";

/** What a caller shows of itself. */
export interface Credentials {
  /** Of the metadata `authorization: Bearer TOKEN`. */
  readonly token: string | undefined;
  /** The certificate that the TLS handshake has verified; undefined when the client showed none. */
  readonly certificate: () => PeerCertificate | undefined;
}

/** What a listener asks its callers for. Nothing at all: whoever can connect may do everything. */
export interface AuthenticationRules {
  /** Set: a call must carry one of the tokens. */
  readonly tokens?: Tokens | undefined;
  /** Set: only clients whose certificate has one of these names may write. */
  readonly certificateWriters?: readonly string[] | undefined;
}

/** The tokens of a driver. */
export interface Tokens {
  readonly readWrite: TokenVerifier;
  readonly readOnly?: TokenVerifier | undefined;
}

/**
 * What the caller may do: the least that its token and its certificate permit.
 *
 * @throws DriverError `UNAUTHENTICATED` when a token is asked for and there is none, or a wrong one.
 */
export function authenticate(rules: AuthenticationRules, credentials: Credentials): "read-only" | "read-write" {
  const mayWriteByToken = rules.tokens === undefined || mayWrite(rules.tokens, credentials.token);
  const { certificateWriters } = rules;
  const mayWriteByCertificate =
    certificateWriters === undefined ||
    certificateNames(credentials.certificate()).some((name) => certificateWriters.includes(name));
  return mayWriteByToken && mayWriteByCertificate ? "read-write" : "read-only";
}

function mayWrite({ readOnly, readWrite }: Tokens, token: string | undefined): boolean {
  if (token !== undefined) {
    // First, so that the same token in both places gives no more than it should.
    if (readOnly?.verify(token) === true) return false;
    if (readWrite.verify(token)) return true;
  }
  throw new DriverError("UNAUTHENTICATED", token === undefined ? "The call has no token." : "The token is wrong.", {
    hint: "Send the content of the driver's token file as metadata: authorization: Bearer TOKEN.",
  });
}

/**
 * The names of a certificate: the common names of its subject and its alternative names of the kinds DNS, URI and email. Node.js
 * gives the latter as one text, `DNS:a, URI:b`, and writes a name that has a comma or a quote in it as a JSON string; such a name
 * is left out, so that it cannot be taken for another one (CVE-2021-44532).
 */
export function certificateNames(certificate: PeerCertificate | undefined): string[] {
  if (certificate === undefined) return [];
  const common: unknown = certificate.subject?.CN;
  const alternative = (certificate.subjectaltname ?? "").match(/(?:[^",]|"(?:[^"\\]|\\.)*")+/g) ?? [];
  return [common, ...alternative.map((text) => /^ ?(?:DNS|URI|email):([^"]+)$/.exec(text)?.[1])]
    .flat()
    .filter((name) => typeof name === "string");
}
