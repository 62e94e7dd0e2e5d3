import { statSync } from "node:fs";
import type { Config } from "../config/config.js";
import { DriverEngine } from "../engine/driver-engine.js";
import type { EngineLimits } from "../engine/limits.js";
import type { Logger } from "../observability/logger.js";
import type { Authenticate } from "../rpc/access.js";
import { ServingStatus } from "../rpc/health.js";
import type { Listener, TlsOptions } from "../rpc/listener.js";
import type { MetricsServer } from "../rpc/metrics-server.js";
import { RpcServer } from "../rpc/server.js";
import { type TlsFiles, type TlsMaterial, watchTls } from "../security/tls.js";
import { removePresenceNote, writePresenceNote } from "../sqlite/presence-note.js";
import type { WorkerProcess } from "../workers/worker-process.js";
import { openObservability } from "./observability.js";
import type { RunningDriver } from "./serve.js";
import { tlsOptions } from "./tls-options.js";
import { VERSION } from "./version.js";

/** Mode bits for everybody who is neither the owner nor in the group. */
const OTHERS = 0o007;
/** How long clients have to take their last answers, in milliseconds. */
const LAST_ANSWERS_MS = 1_000;

/** What was looked at and may be served. */
export interface DriverParts {
  readonly config: Config;
  readonly logger: Logger;
  readonly tlsFiles: TlsFiles;
  readonly tls: TlsMaterial | undefined;
  /** For `config.listen`, in order, then the one for `config.metricsListen` if that is set. */
  readonly listeners: readonly Listener[];
  readonly authenticate: Authenticate;
  readonly limits: EngineLimits;
  readonly writerProcess: WorkerProcess;
}

/**
 * Wires engine and gRPC server: opens the database, recovers it, and serves on every listener.
 *
 * @throws why that cannot be; every process has ended then, and no socket and no note is left.
 */
export async function openDriver(parts: DriverParts): Promise<RunningDriver> {
  const { config, logger, tlsFiles, tls, listeners, authenticate, limits, writerProcess } = parts;
  const metricsListener = listeners[config.listen.length];
  let fail: (error: Error) => void = () => undefined;
  const failed = new Promise<Error>((resolve) => {
    fail = resolve;
  });
  const observability = await openObservability(config, logger, () => engine);
  const engine: DriverEngine = new DriverEngine({
    databasePath: config.db,
    driverVersion: VERSION,
    limits,
    writerProcess,
    log: (level, message, fields) => logger[level](message, { ...fields }),
    onFatal: fail,
    observer: observability.observer,
  });
  const server = new RpcServer({
    engine,
    authenticate,
    onCallEnd: observability.onCall,
    maxRequestBytes: config.maxRequestBytes,
    maxConcurrentStreams: config.maxStreams,
  });
  engine.health.on("change", ({ isServing, detail }) => {
    server.health.setStatus(isServing ? ServingStatus.SERVING : ServingStatus.NOT_SERVING);
    const level = isServing ? "debug" : engine.isDraining ? "info" : "warn";
    logger[level](`health: ${detail}`);
  });

  const addresses: string[] = [];
  let stopRenewingTls = () => {};
  let metricsServer: MetricsServer | undefined;
  const end = async () => {
    stopRenewingTls();
    await engine.close();
    await server.stop(LAST_ANSWERS_MS);
    metricsServer?.close();
    await observability.close();
    removePresenceNote(config.db, process.pid);
  };
  try {
    await engine.start();
    warnOfOpenFile(config.db, "open the database past the driver", logger);
    if (tlsFiles.key !== undefined) warnOfOpenFile(tlsFiles.key, "use the private key of TLS", logger);
    for (const listener of listeners.slice(0, config.listen.length)) addresses.push(await server.listen(listener));
    if (metricsListener !== undefined && observability.metrics !== null) {
      const { serveMetrics } = await import("../rpc/metrics-server.js");
      metricsServer = await serveMetrics(metricsListener, authenticate, observability.metrics);
      logger.info("serving metrics", { address: metricsServer.address });
    }
    if (tls !== undefined) stopRenewingTls = renewTls(tlsFiles, tls, [server, metricsServer], logger);
    writePresenceNote(config.db, { program: "driver", pid: process.pid, addresses });
  } catch (error) {
    await end();
    throw error;
  }
  const driver: RunningDriver = {
    addresses,
    failed,
    async stop(drainTimeoutMs) {
      engine.drain();
      await server.drain(drainTimeoutMs);
      // Answers what still runs; the answers then have a moment to leave.
      await end();
    },
  };
  return driver;
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
function warnOfOpenFile(path: string, whatFor: string, logger: Logger): void {
  if ((statSync(path).mode & OTHERS) === 0) return;
  logger.warn(`every user of this machine may ${whatFor}: ${path}; chmod 600 would change that`);
}
