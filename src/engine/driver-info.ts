import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DriverLoadSchema,
  GetDriverInfoResponseSchema,
  type LimitsSchema,
  type ProcessCountsSchema,
} from "../../gen/code_analysis/driver/v1/driver_info_pb.js";
import type { RecoveryReport } from "../../gen/code_analysis/driver/v1/recovery_pb.js";
import { MAX_REMEMBERED_REQUESTS } from "../workers/driver-tables.js";
import type { SchemaState } from "../workers/operations/schema-state.js";
import type { HealthStatus } from "./health.js";
import type { EngineLimits } from "./limits.js";

/** Version of the protocol that this driver speaks; grows when a client could notice. */
const PROTOCOL_VERSION = 1;

/** How busy the engine is. */
export interface EngineLoad {
  /** Writes that wait or run. */
  readonly queuedWrites: number;
  /** Reads that wait or run, streams included. */
  readonly queuedReads: number;
  /** Files of `IndexFile` that wait or are being indexed. */
  readonly queuedFiles: number;
  /** Transactions that are open or wait to be opened. */
  readonly openTransactions: number;
  readonly walBytes: number;
  /** How long the oldest stream or backup has held its snapshot; undefined when there is none. */
  readonly oldestSnapshotAgeMs: number | undefined;
}

export interface DriverFacts {
  readonly driverVersion: string;
  readonly databasePath: string;
  readonly limits: EngineLimits;
  readonly sqliteVersion: string;
  readonly schema: SchemaState;
  readonly lastRecovery: RecoveryReport | undefined;
  readonly startedAtMs: number;
  readonly processes: MessageInitShape<typeof ProcessCountsSchema>;
  readonly load: EngineLoad;
  readonly health: HealthStatus;
}

/** The encoded `GetDriverInfoResponse`. */
export function driverInfo(facts: DriverFacts): Uint8Array {
  return toBinary(
    GetDriverInfoResponseSchema,
    create(GetDriverInfoResponseSchema, {
      driverVersion: facts.driverVersion,
      protocolVersion: PROTOCOL_VERSION,
      sqliteVersion: facts.sqliteVersion,
      databasePath: facts.databasePath,
      schemaHash: facts.schema.schemaHash,
      pid: process.pid,
      startedAt: timestampFromMs(facts.startedAtMs),
      limits: limitsMessage(facts.limits),
      ...(facts.lastRecovery !== undefined && { lastRecovery: facts.lastRecovery }),
      processes: facts.processes,
      unresolvedTables: [...facts.schema.unresolvedTables],
      load: loadMessage(facts.load),
      health: healthMessage(facts),
    }),
  );
}

function loadMessage({
  walBytes,
  oldestSnapshotAgeMs,
  ...load
}: EngineLoad): MessageInitShape<typeof DriverLoadSchema> {
  return {
    ...load,
    walBytes: BigInt(walBytes),
    ...(oldestSnapshotAgeMs !== undefined && { oldestSnapshotAge: durationFromMs(Math.round(oldestSnapshotAgeMs)) }),
  };
}

/** A driver serves although some tables wait for a decision, so the detail says so. */
function healthMessage({ health, schema: { unresolvedTables } }: DriverFacts): HealthStatus {
  if (!health.isServing || unresolvedTables.length === 0) return health;
  const names = unresolvedTables.map((table) => `${table} and temp_${table}`).join(", ");
  return { ...health, detail: `${health.detail}, but ${names} both have rows: run config_cli doctor` };
}

function limitsMessage(limits: EngineLimits): MessageInitShape<typeof LimitsSchema> {
  return {
    maxRequestBytes: BigInt(limits.maxRequestBytes),
    maxExecuteRows: limits.maxExecuteRows,
    maxExecuteBytes: BigInt(limits.maxExecuteBytes),
    maxBatchStatements: limits.maxBatchStatements,
    maxStatementTime: durationFromMs(limits.maxStatementMs),
    maxOpenTransactions: limits.maxTransactions,
    defaultTransactionTtl: durationFromMs(limits.defaultTransactionTtlMs),
    maxTransactionTtl: durationFromMs(limits.maxTransactionTtlMs),
    maxQueueLength: limits.maxQueuedWrites,
    maxConcurrentStreams: limits.maxStreams,
    maxSnapshotAge: durationFromMs(limits.maxSnapshotAgeMs),
    maxFileBytes: BigInt(limits.maxFileBytes),
    maxParseTime: durationFromMs(limits.maxParseMs),
    maxPageSize: limits.maxPageSize,
    maxRememberedRequests: MAX_REMEMBERED_REQUESTS,
  };
}
