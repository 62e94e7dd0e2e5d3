import { dirname } from "node:path";
import type { Config } from "../config/config.js";
import type { EngineLimits } from "../engine/limits.js";
import { startWriterProcess } from "../engine/writer-process.js";
import { listenerAt } from "../rpc/listener.js";
import { decideListeners } from "../security/listen-policy.js";
import { loadTls, type TlsFiles } from "../security/tls.js";
import { makeDirectory } from "../sqlite/directory.js";
import { createAuthenticator } from "./authenticator.js";
import type { StartDriver } from "./serve.js";
import { tlsOptions } from "./tls-options.js";

/** Most items on a page of a paged answer. */
const MAX_PAGE_SIZE = 1_000;
/** A burst of reads that comes again sooner finds the processes that the one before has started, of some 60 MB each. */
const MAX_READER_IDLE_MS = 10_000;

/** Looks at what is asked for, and opens the database only when it can be served. */
export const startDriver: StartDriver = async (config, logger) => {
  const tlsFiles: TlsFiles = { cert: config.tlsCert, key: config.tlsKey, ca: config.tlsCa };
  const tls = loadTls(tlsFiles);
  // The metrics are for who may call the driver.
  const addressesToServe = [...config.listen, ...(config.metricsListen === undefined ? [] : [config.metricsListen])];
  const rules = decideListeners(addressesToServe, {
    insecureNoAuth: config.insecureNoAuth,
    hasTls: tls !== undefined,
  });
  const listeners = rules.map(({ address, usesTls }) =>
    listenerAt(address, usesTls && tls !== undefined ? tlsOptions(tls) : undefined),
  );
  // For the owner alone, as the database.
  makeDirectory(dirname(config.db), 0o700);
  const authenticate = createAuthenticator(config, rules, listeners, logger);
  const limits = limitsOf(config);

  const writerProcess = startWriterProcess(config.db, limits);
  try {
    // Loaded while the writer process starts.
    const { openDriver } = await import("./open-driver.js");
    return await openDriver({ config, logger, tlsFiles, tls, listeners, authenticate, limits, writerProcess });
  } catch (error) {
    writerProcess.kill();
    await writerProcess.exited;
    throw error;
  }
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
    maxQueuedFiles: config.maxQueueLength,
    maxTransactions: config.maxTransactions,
    defaultTransactionTtlMs: config.transactionTtlMs,
    maxTransactionTtlMs: config.transactionTtlMaxMs,
    maxStreams: config.maxQueryStreams,
    maxSnapshotAgeMs: config.snapshotMaxAgeMs,
    readers: config.readers,
    maxReaderIdleMs: MAX_READER_IDLE_MS,
    parsers: config.parsers,
    maxRequestBytes: config.maxRequestBytes,
    maxPageSize: MAX_PAGE_SIZE,
  };
}
