import { toBinary } from "@bufbuild/protobuf";
import { RecoveryReportSchema } from "../../../gen/code_analysis/driver/v1/recovery_pb.js";
import type { WriterSession } from "../writer-session.js";
import { resolveLeftovers } from "./indexing.js";
import { timedRecovery } from "./recovery-report.js";

/** What a connect found and did. */
export interface ConnectReport {
  /** Encoded `RecoveryReport`, in base64. */
  readonly recovery: string;
  readonly schemaHash: string;
}

/**
 * Brings a database that was just opened into the state in which it can be served: recovery, then missing tables, then what an
 * earlier process left half done.
 */
export function connectDatabase(session: WriterSession): ConnectReport {
  const report = timedRecovery(() => session.schema.prepare({ log: session.log }).recovery);
  resolveLeftovers(session);
  return {
    recovery: Buffer.from(toBinary(RecoveryReportSchema, report)).toString("base64"),
    schemaHash: session.schema.schemaHash(),
  };
}
