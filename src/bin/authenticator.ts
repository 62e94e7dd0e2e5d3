import type { Config } from "../config/config.js";
import { DriverError } from "../errors.js";
import type { Logger } from "../observability/logger.js";
import type { Authenticate } from "../rpc/access.js";
import type { Listener } from "../rpc/listener.js";
import { type AuthenticationRules, authenticate, type Tokens } from "../security/authentication.js";
import type { ListenRule } from "../security/listen-policy.js";
import { createFileVerifier, createFixedVerifier } from "../security/token.js";

const BEARER = "Bearer ";

/**
 * Decides what the callers of each listener may do. `listeners` are what was made of `rules`, in the same order. Who may connect
 * to a listener that asks for nothing may do everything: the mode of the socket or the operator decided that.
 *
 * @throws DriverError `INVALID_REQUEST` when a token file cannot be used, or an option is without effect.
 */
export function createAuthenticator(
  config: Config,
  rules: readonly ListenRule[],
  listeners: readonly Listener[],
  logger: Logger,
): Authenticate {
  if (config.tlsWriters !== undefined && config.tlsCa === undefined) {
    throw new DriverError("INVALID_REQUEST", "--tls-writers is set without --tls-ca.", {
      hint: "Clients show a certificate only where --tls-ca asks for one.",
      field: "tls_writers",
    });
  }
  const tokens = rules.some(({ needsToken }) => needsToken) ? tokensOf(config, logger) : undefined;
  const rulesOf = new Map<Listener, AuthenticationRules>();
  for (const [index, listener] of listeners.entries()) {
    rulesOf.set(listener, {
      tokens: rules[index]?.needsToken === false ? undefined : tokens,
      certificateWriters: rules[index]?.usesTls ? config.tlsWriters : undefined,
    });
  }
  return (authorization, listener, certificate) => {
    const ofListener = rulesOf.get(listener);
    if (ofListener === undefined) throw new DriverError("INTERNAL", "A call came through an unknown listener.");
    return authenticate(ofListener, { token: bearerToken(authorization), certificate });
  };
}

function tokensOf({ readTokenFile, token, tokenFile }: Config, logger: Logger): Tokens {
  const ofFile = (path: string) =>
    createFileVerifier(path, (problem) => logger.error(`the last good token is still in use: ${problem.sentence}`));
  return {
    readWrite: token === undefined ? ofFile(tokenFile) : createFixedVerifier(token),
    readOnly: readTokenFile === undefined ? undefined : ofFile(readTokenFile),
  };
}

function bearerToken(authorization: string | undefined): string | undefined {
  return authorization?.startsWith(BEARER) ? authorization.slice(BEARER.length) : undefined;
}
