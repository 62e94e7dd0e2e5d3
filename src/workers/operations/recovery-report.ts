import { create } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  RecoveryActionKind,
  RecoveryReportSchema,
  type RecoveryReport as ReportMessage,
  TableState,
} from "../../../gen/code_analysis/driver/v1/recovery_pb.js";
import { monotonicMs } from "../../observability/clock.js";
import type { RecoveredTable, RecoveryReport } from "../../schema/recovery-report.js";

const STATES: Readonly<Record<RecoveredTable["state"], TableState>> = {
  healthy: TableState.HEALTHY,
  absent: TableState.MISSING,
  interrupted_after_rename: TableState.INTERRUPTED_AFTER_RENAME,
  interrupted_after_create: TableState.INTERRUPTED_AFTER_CREATE,
  dangling_references: TableState.DANGLING_REFERENCES,
  referenced_leftover: TableState.REFERENCED_LEFTOVER,
  empty_leftover: TableState.EMPTY_LEFTOVER,
  both_have_rows: TableState.BOTH_HAVE_ROWS,
  unrelated: TableState.UNRELATED,
  name_taken: TableState.NAME_TAKEN,
};

const ACTIONS: Readonly<Record<RecoveredTable["action"], RecoveryActionKind>> = {
  none: RecoveryActionKind.NONE,
  leave: RecoveryActionKind.LEFT_UNRESOLVED,
  rename_back: RecoveryActionKind.RENAMED_BACK,
  drop_and_rename_back: RecoveryActionKind.DROPPED_EMPTY_AND_RENAMED_BACK,
  heal_references: RecoveryActionKind.HEALED_REFERENCES,
  drop_leftover_and_heal_references: RecoveryActionKind.DROPPED_LEFTOVER_AND_HEALED_REFERENCES,
};

/** A count that was not made. */
const NOT_COUNTED = -1n;

/** Runs recovery and gives its report as a message, with the time it took. */
export function timedRecovery(run: () => RecoveryReport): ReportMessage {
  const startedMs = monotonicMs();
  const report = run();
  return recoveryReportMessage(report, { finishedAtMs: Date.now(), durationMs: monotonicMs() - startedMs });
}

/** The message for a report; `finishedAtMs` is Unix time. */
function recoveryReportMessage(
  { tables, needsAttention }: RecoveryReport,
  { finishedAtMs, durationMs }: { readonly finishedAtMs: number; readonly durationMs: number },
): ReportMessage {
  return create(RecoveryReportSchema, {
    actions: tables.map(({ table, state, action, outcome, rowCounts, message }) => ({
      table,
      state: STATES[state],
      action: outcome === "failed" ? RecoveryActionKind.LEFT_UNRESOLVED : ACTIONS[action],
      rows: rowCounts === undefined ? NOT_COUNTED : BigInt(rowCounts.table),
      tempRows: rowCounts === undefined ? NOT_COUNTED : BigInt(rowCounts.temporary),
      message,
    })),
    isHealthy: !needsAttention,
    finishedAt: timestampFromMs(finishedAtMs),
    duration: durationFromMs(Math.round(durationMs)),
  });
}
