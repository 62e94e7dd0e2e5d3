import { toBinary } from "@bufbuild/protobuf";
import { RecoveryReportSchema } from "../../../gen/code_analysis/driver/v1/recovery_pb.js";
import type { WriterSession } from "../writer-session.js";
import { timedRecovery } from "./recovery-report.js";

/**
 * Brings a database that was just opened into the state in which it can be served: recovery, then missing tables.
 *
 * @returns the encoded `RecoveryReport`, in base64
 */
export function connectDatabase(session: WriterSession): string {
  const report = timedRecovery(() => session.schema.prepare({ log: session.log }).recovery);
  return Buffer.from(toBinary(RecoveryReportSchema, report)).toString("base64");
}
