import { formatTable, type TableColumn } from "../../table.js";
import { createStyler, type OutputStream, toPrintable } from "../../terminal.js";
import type { KindResult, LoadResult } from "./load-result.js";
import type { OperationKind } from "./workload.js";

/** What each kind of operation is called for people. */
export const KIND_LABELS: Readonly<Record<OperationKind, string>> = {
  index_file: "IndexFile",
  read: "read",
  transaction: "transaction",
};

const COLUMNS: readonly TableColumn[] = [
  { name: "operation", align: "left" },
  ...["count", "failed", "per second", "p50 ms", "p90 ms", "p99 ms", "max ms"].map(
    (name): TableColumn => ({ name, align: "right" }),
  ),
];

/** The result for people: a table, then every reason for a failure with an example. */
export function formatResult(result: LoadResult, stream: OutputStream): string {
  const style = createStyler(stream);
  const seconds = (result.durationMs / 1_000).toFixed(1);
  const lines = [
    style("bold", `${count(result.fileCount)} files, ${count(result.concurrency)} at a time: ${seconds} s`),
    formatTable(COLUMNS, result.kinds.map(toRow), false),
    ...result.repeats.map((repeat) => `repeated as asked: ${count(repeat.count)} × ${repeat.reason}`),
    ...result.failures.map(
      ({ kind, reason, count: failed, example }) =>
        `${style(["bold", "red"], "failed:")} ${count(failed)} × ${KIND_LABELS[kind]} ${reason}: ${toPrintable(example)}`,
    ),
  ];
  return `${lines.join("\n")}\n`;
}

function toRow({ kind, count: total, failed, perSecond, latency }: KindResult): string[] {
  const { p50, p90, p99, max } = latency;
  return [
    KIND_LABELS[kind],
    count(total),
    count(failed),
    perSecond.toFixed(1),
    ...[p50, p90, p99, max].map((ms) => ms.toFixed(1)),
  ];
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
