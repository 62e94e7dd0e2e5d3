import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Metadata } from "@grpc/grpc-js";
import type { Config } from "../config/config.js";
import { DriverEngine } from "../engine/driver-engine.js";
import type { EngineLimits } from "../engine/limits.js";
import { DriverError } from "../errors.js";
import type { Logger } from "../observability/logger.js";
import type { Authenticate } from "../rpc/access.js";
import { ServingStatus } from "../rpc/health.js";
import { type Listener, listenerAt } from "../rpc/listener.js";
import type { EndedCall } from "../rpc/served-call.js";
import { RpcServer } from "../rpc/server.js";
import { decideListeners, type ListenRule } from "../security/listen-policy.js";
import { loadTls, type TlsMaterial } from "../security/tls.js";
import { createFileVerifier, createFixedVerifier, type TokenVerifier } from "../security/token.js";
import { removePresenceNote, writePresenceNote } from "../sqlite/presence-note.js";
import type { RunningDriver, StartDriver } from "./serve.js";
import { VERSION } from "./version.js";

const BEARER = "Bearer ";
/** Most items on a page of a paged answer. */
const MAX_PAGE_SIZE = 1_000;

/** Wires engine and gRPC server: opens the database, recovers it, and serves on every listener. */
export const startDriver: StartDriver = async (config, logger) => {
  const tls = loadTls({ cert: config.tlsCert, key: config.tlsKey, ca: config.tlsCa });
  const rules = decideListeners(config.listen, {
    insecureNoAuth: config.insecureNoAuth,
    hasTls: tls !== undefined,
  });
  const listeners = rules.map((rule) => listenerOf(rule, tls));
  mkdirSync(dirname(config.db), { recursive: true, mode: 0o700 });
  const verifier = rules.some(({ needsToken }) => needsToken) ? verifierOf(config) : undefined;

  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const engine = new DriverEngine({
    databasePath: config.db,
    driverVersion: VERSION,
    limits: limitsOf(config),
    log: (level, message, fields) => logger[level](message, { ...fields }),
    onFatal: fail,
  });
  const server = new RpcServer({
    engine,
    authenticate: authenticateWith(rules, listeners, verifier),
    onCallEnd: (call) => logCall(logger, call),
    maxRequestBytes: config.maxRequestBytes,
    maxConcurrentStreams: config.maxStreams,
  });
  engine.health.on("change", ({ isServing, detail }) => {
    server.health.setStatus(isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
    logger[isServing ? "debug" : "warn"](`health: ${detail}`);
  });

  const addresses: string[] = [];
  try {
    await engine.start();
  } catch (error) {
    engine.kill();
    throw error;
  }
  try {
    for (const listener of listeners) addresses.push(await server.listen(listener));
    writePresenceNote(config.db, { program: "driver", pid: process.pid, addresses });
  } catch (error) {
    await server.stop(0);
    await engine.close();
    throw error;
  }
  const driver: RunningDriver = {
    addresses,
    failed,
    async stop(drainTimeoutMs) {
      engine.drain();
      await server.stop(drainTimeoutMs);
      await engine.close();
      removePresenceNote(config.db, process.pid);
    },
  };
  return driver;
};

function limitsOf(config: Config): EngineLimits {
  return {
    maxExecuteRows: config.executeMaxRows,
    maxExecuteBytes: config.executeMaxBytes,
    maxBatchStatements: config.maxBatchStatements,
    maxStatementMs: config.statementTimeoutMs,
    maxFileBytes: config.maxFileBytes,
    maxParseMs: config.fileTimeoutMs,
    maxWalBytes: config.walTruncateBytes,
    maxQueuedWrites: config.maxQueueLength,
    maxQueuedReads: config.maxQueueLength,
    maxTransactions: config.maxTransactions,
    defaultTransactionTtlMs: config.transactionTtlMs,
    maxTransactionTtlMs: config.transactionTtlMaxMs,
    maxStreams: config.maxQueryStreams,
    maxSnapshotAgeMs: config.snapshotMaxAgeMs,
    readers: config.readers,
    parsers: config.parsers,
    maxRequestBytes: config.maxRequestBytes,
    maxPageSize: MAX_PAGE_SIZE,
  };
}

function listenerOf({ address, usesTls }: ListenRule, tls: TlsMaterial | undefined): Listener {
  if (!usesTls || tls === undefined) return listenerAt(address);
  const { cert, key, ca } = tls;
  return listenerAt(address, { certificate: cert, privateKey: key, ...(ca !== undefined && { clientCa: ca }) });
}

function verifierOf(config: Config): TokenVerifier {
  return config.token === undefined ? createFileVerifier(config.tokenFile) : createFixedVerifier(config.token);
}

/** Who may connect to a listener without a token may do everything: the mode of the socket or the operator decided that. */
function authenticateWith(
  rules: readonly ListenRule[],
  listeners: readonly Listener[],
  verifier: TokenVerifier | undefined,
): Authenticate {
  const open = new Set(listeners.filter((_, index) => rules[index]?.needsToken === false));
  return (metadata, listener) => {
    if (open.has(listener)) return "read-write";
    const token = bearerToken(metadata);
    if (token !== undefined && verifier?.verify(token) === true) return "read-write";
    throw new DriverError("UNAUTHENTICATED", token === undefined ? "The call has no token." : "The token is wrong.", {
      hint: "Send the content of the driver's token file as metadata: authorization: Bearer TOKEN.",
    });
  };
}

function bearerToken(metadata: Metadata): string | undefined {
  const [value] = metadata.get("authorization");
  return typeof value === "string" && value.startsWith(BEARER) ? value.slice(BEARER.length) : undefined;
}

function logCall(logger: Logger, call: EndedCall): void {
  // A defect of ours; everything else is between the client and its request.
  const isDefect = call.error?.reason === "INTERNAL";
  if (!isDefect && !logger.isEnabled("debug")) return;
  const { path: method, code, error, requestId } = call;
  const fields = { method, code, durationMs: Math.round(call.durationMs * 1_000) / 1_000, requestId };
  if (isDefect) logger.error(`call failed: ${error?.message}`, { ...fields, err: error });
  else logger.debug("call", { ...fields, ...(error !== undefined && { reason: error.reason }) });
}
