import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type DriverLoadSchema,
  GetDriverInfoResponseSchema,
  type LimitsSchema,
  type ProcessCountsSchema,
} from "../../gen/code_analysis/driver/v1/driver_info_pb.js";
import type { RecoveryReport } from "../../gen/code_analysis/driver/v1/recovery_pb.js";
import type { SchemaState } from "../workers/operations/schema-state.js";
import type { EngineLimits } from "./limits.js";

/** Version of the protocol that this driver speaks; grows when a client could notice. */
const PROTOCOL_VERSION = 1;

export interface DriverFacts {
  readonly driverVersion: string;
  readonly databasePath: string;
  readonly limits: EngineLimits;
  readonly sqliteVersion: string;
  readonly schema: SchemaState;
  readonly lastRecovery: RecoveryReport | undefined;
  readonly startedAtMs: number;
  readonly processes: MessageInitShape<typeof ProcessCountsSchema>;
  readonly load: MessageInitShape<typeof DriverLoadSchema>;
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
      load: facts.load,
    }),
  );
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
  };
}
