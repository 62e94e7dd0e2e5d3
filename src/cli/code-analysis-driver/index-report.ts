import { durationMs } from "@bufbuild/protobuf/wkt";
import type { IndexFailure, IndexProgress, IndexSummary, Project } from "../../client/messages.js";
import { createStyler, type OutputStream, toPrintable } from "../terminal.js";

/** What a run of `IndexProject` has told. */
export interface IndexReport {
  readonly project: Project;
  readonly progress: IndexProgress;
  readonly summary: IndexSummary;
  readonly failures: readonly IndexFailure[];
}

/** The counts of rows in the order in which they are shown. */
const ROW_COUNTS = [
  { key: "classes", name: "classes" },
  { key: "methods", name: "methods" },
  { key: "functions", name: "functions" },
  { key: "imports", name: "imports" },
  { key: "usages", name: "usages" },
  { key: "crossReferences", name: "cross_references" },
  { key: "content", name: "content" },
] as const;

/** The report as one JSON document; numbers of rows and files are exact up to 2^53. */
export function indexReportToJson({ project, progress, summary, failures }: IndexReport): unknown {
  return {
    project: { id: project.id, root_path: project.rootPath, name: project.name },
    files: {
      total: Number(progress.filesTotal),
      indexed: Number(progress.filesIndexed),
      unchanged: Number(progress.filesUnchanged),
      failed: Number(progress.filesFailed),
      skipped: Number(progress.filesSkipped),
      deleted: Number(progress.filesDeleted),
      with_problems: Number(summary.filesWithProblems),
      by_language: Object.fromEntries(languages(summary)),
    },
    rows: Object.fromEntries(ROW_COUNTS.map(({ key, name }) => [name, Number(summary.counts?.[key] ?? 0n)])),
    bytes_read: Number(progress.bytesRead),
    duration_ms: summary.duration === undefined ? 0 : durationMs(summary.duration),
    failures: failures.map((failure) => ({
      file_path: failure.filePath,
      error_type: failure.errorType,
      line: failure.line ?? null,
      message: failure.message,
      is_indexed: failure.isIndexed,
    })),
  };
}

/** The report for people: files, languages, rows, and every failure with its reason. */
export function formatIndexReport(report: IndexReport, stream: OutputStream): string {
  const { project, progress, summary, failures } = report;
  const style = createStyler(stream);
  const seconds = summary.duration === undefined ? 0 : durationMs(summary.duration) / 1_000;
  const lines = [
    style("bold", `${project.rootPath}: ${count(progress.filesTotal)} files in ${seconds.toFixed(1)} s`),
    line("indexed", count(progress.filesIndexed)),
    line("unchanged", count(progress.filesUnchanged)),
    ...(progress.filesDeleted > 0n ? [line("deleted", count(progress.filesDeleted))] : []),
    line("failed", count(progress.filesFailed)),
    ...(progress.filesSkipped > 0n ? [line("skipped", count(progress.filesSkipped))] : []),
  ];
  if (progress.filesIndexed > 0n) {
    lines.push(
      line(
        "languages",
        languages(summary)
          .map(([name, files]) => `${name} ${count(files)}`)
          .join(", "),
      ),
    );
    const rows = ROW_COUNTS.map(({ key, name }) => `${name.replace("_", "-")} ${count(summary.counts?.[key] ?? 0n)}`);
    lines.push(line("rows", rows.join(", ")));
  }
  for (const isIndexed of [false, true]) {
    const group = failures.filter((failure) => failure.isIndexed === isIndexed);
    if (group.length === 0) continue;
    lines.push("", style("bold", isIndexed ? "Indexed as far as their errors allow:" : "Not indexed:"));
    for (const { filePath, errorType, message, line } of group) {
      const place = line === undefined ? filePath : `${filePath}:${line}`;
      lines.push(`  ${toPrintable(place)}  ${style(isIndexed ? "yellow" : "red", errorType)}  ${toPrintable(message)}`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** The files of each language, most first; `text` for those without one. */
function languages({ filesByLanguage }: IndexSummary): [string, number][] {
  return Object.entries(filesByLanguage)
    .map(([name, files]): [string, number] => [name === "" ? "text" : name, Number(files)])
    .sort(([, a], [, b]) => b - a);
}

function count(value: bigint | number): string {
  return value.toLocaleString("en-US");
}

function line(name: string, value: string): string {
  return `  ${name.padEnd(10)} ${value}`;
}
