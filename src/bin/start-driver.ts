import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";
import type { Config } from "../config/config.js";
import { DriverEngine } from "../engine/driver-engine.js";
import type { EngineLimits } from "../engine/limits.js";
import type { Logger } from "../observability/logger.js";
import { ServingStatus } from "../rpc/health.js";
import { type Listener, listenerAt, type TlsOptions } from "../rpc/listener.js";
import type { MetricsServer } from "../rpc/metrics-server.js";
import { decideListeners, type ListenRule } from "../security/listen-policy.js";
import { loadTls, type TlsFiles, type TlsMaterial, watchTls } from "../security/tls.js";
import { removePresenceNote, writePresenceNote } from "../sqlite/presence-note.js";
import { createAuthenticator } from "./authenticator.js";
import { openObservability } from "./observability.js";
import type { RunningDriver, StartDriver } from "./serve.js";
import { VERSION } from "./version.js";

/** Mode bits for everybody who is neither the owner nor in the group. */
const OTHERS = 0o007;
/** How long clients have to take their last answers, in milliseconds. */
const LAST_ANSWERS_MS = 1_000;
/** Most items on a page of a paged answer. */
const MAX_PAGE_SIZE = 1_000;

/** Wires engine and gRPC server: opens the database, recovers it, and serves on every listener. */
export const startDriver: StartDriver = async (config, logger) => {
  const tlsFiles: TlsFiles = { cert: config.tlsCert, key: config.tlsKey, ca: config.tlsCa };
  const tls = loadTls(tlsFiles);
  // The metrics are for who may call the driver.
  const addressesToServe = [...config.listen, ...(config.metricsListen === undefined ? [] : [config.metricsListen])];
  const rules = decideListeners(addressesToServe, {
    insecureNoAuth: config.insecureNoAuth,
    hasTls: tls !== undefined,
  });
  const listeners = rules.map((rule) => listenerOf(rule, tls));
  const metricsListener = listeners[config.listen.length];
  mkdirSync(dirname(config.db), { recursive: true, mode: 0o700 });
  const authenticate = createAuthenticator(config, rules, listeners, logger);

  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const observability = await openObservability(config, logger, () => engine);
  const engine: DriverEngine = new DriverEngine({
    databasePath: config.db,
    driverVersion: VERSION,
    limits: limitsOf(config),
    log: (level, message, fields) => logger[level](message, { ...fields }),
    onFatal: fail,
    observer: observability.observer,
  });
  // Loaded while the writer process starts.
  const { RpcServer } = await import("../rpc/server.js");
  const server = new RpcServer({
    engine,
    authenticate,
    onCallEnd: observability.onCall,
    maxRequestBytes: config.maxRequestBytes,
    maxConcurrentStreams: config.maxStreams,
  });
  engine.health.on("change", ({ isServing, detail }) => {
    server.health.setStatus(isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
    logger[isServing ? "debug" : "warn"](`health: ${detail}`);
  });

  const addresses: string[] = [];
  let stopRenewingTls = () => {};
  let metricsServer: MetricsServer | undefined;
  try {
    await engine.start();
  } catch (error) {
    engine.kill();
    throw error;
  }
  warnOfOpenDatabase(config.db, logger);
  try {
    for (const listener of listeners.slice(0, config.listen.length)) addresses.push(await server.listen(listener));
    if (metricsListener !== undefined && observability.metrics !== null) {
      const { serveMetrics } = await import("../rpc/metrics-server.js");
      metricsServer = await serveMetrics(metricsListener, authenticate, observability.metrics);
      logger.info("serving metrics", { address: metricsServer.address });
    }
    if (tls !== undefined) stopRenewingTls = renewTls(tlsFiles, tls, [server, metricsServer], logger);
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
      stopRenewingTls();
      engine.drain();
      await server.drain(drainTimeoutMs);
      // Answers what still runs; the answers then have a moment to leave.
      await engine.close();
      await server.stop(LAST_ANSWERS_MS);
      metricsServer?.close();
      await observability.close();
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
    maxLockWaitMs: config.lockTimeoutMs,
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
  return listenerAt(address, usesTls && tls !== undefined ? tlsOptions(tls) : undefined);
}

function tlsOptions({ ca, cert, key }: TlsMaterial): TlsOptions {
  return { certificate: cert, privateKey: key, ...(ca !== undefined && { clientCa: ca }) };
}

/** @returns a function that ends it */
function renewTls(
  files: TlsFiles,
  loaded: TlsMaterial,
  servers: readonly ({ setTls(tls: TlsOptions): void } | undefined)[],
  logger: Logger,
): () => void {
  return watchTls(
    files,
    loaded,
    (material) => {
      for (const server of servers) server?.setTls(tlsOptions(material));
      logger.info(`new connections get the new certificate of ${files.cert}`);
    },
    (problem) => logger.error(`the last good TLS files are still in use: ${problem.sentence}`),
  );
}

/** What the driver creates is private; a database that was there before keeps its mode, and SQLite gives its WAL the same one. */
function warnOfOpenDatabase(path: string, logger: Logger): void {
  if ((statSync(path).mode & OTHERS) === 0) return;
  logger.warn(`every user of this machine may open the database ${path} past the driver; chmod 600 would change that`);
}
