/** Answers and errors as lines of the report. */
import { crc32 } from "node:zlib";
import { type Column, DriverError, type Row } from "code-analysis-driver";
import { checksum, fromValue, quote } from "./canonical.js";

/** A longer result is reported as its number of rows and a checksum. */
const LONG_ROWS = 20;

interface Result extends Change {
  readonly columns: readonly Column[];
  readonly rows: readonly Row[];
  readonly truncated: boolean;
}

interface Change {
  readonly affectedRows: bigint;
  readonly lastInsertRowid?: bigint | undefined;
}

export function describeResult(result: Result): string[] {
  return [
    ...(result.columns.length > 0 ? [describeColumns(result.columns)] : []),
    ...result.rows.map(describeRow),
    ...(result.truncated ? ["truncated"] : []),
    ...describeChange(result),
  ];
}

export function describeChange({ affectedRows, lastInsertRowid }: Change): string[] {
  return [`affected ${affectedRows}`, ...(lastInsertRowid === undefined ? [] : [`rowid ${lastInsertRowid}`])];
}

export async function describeStream(
  stream: AsyncIterable<Pick<Result, "columns" | "rows">>,
  controller = new AbortController(),
  cancelAfter = Infinity,
): Promise<string[]> {
  const lines: string[] = [];
  let count = 0;
  let crc = 0;
  try {
    for await (const { columns, rows } of stream) {
      if (columns.length > 0) lines.push(describeColumns(columns));
      for (const row of rows) {
        const line = describeRow(row);
        crc = crc32(`${line}\n`, crc);
        if (++count <= LONG_ROWS) lines.push(line);
      }
      if (count >= cancelAfter) controller.abort();
    }
  } catch (error) {
    if (!controller.signal.aborted) throw error;
    return ["cancelled"];
  }
  return count <= LONG_ROWS ? lines : [...lines.slice(0, 1), `rows ${count} crc32=${checksum(crc)}`];
}

function describeColumns(columns: readonly Column[]): string {
  return ["columns", ...columns.map(({ name }) => quote(name))].join(" ");
}

function describeRow({ values }: Row): string {
  return ["row", ...values.map(fromValue)].join(" ");
}

export function describeError(error: unknown): string {
  if (!(error instanceof DriverError)) throw error;
  // These three may come from the client's side of gRPC, which knows no reasons.
  if (["CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"].includes(error.status)) return `error ${error.status}`;
  return [
    `error ${error.status} ${error.reason}`,
    ...(error.field === undefined ? [] : [`field=${error.field}`]),
    ...(error.sqliteCode === undefined ? [] : [`sqlite_code=${error.sqliteCode}`]),
    ...(error.retryAfterMs === undefined ? [] : ["retry"]),
  ].join(" ");
}
