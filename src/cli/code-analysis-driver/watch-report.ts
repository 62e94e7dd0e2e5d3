import type { DriverError } from "../../errors.js";
import { createStyler, type Style, type Terminal, toPrintable, write } from "../terminal.js";
import type { FileEvent, WatchListener } from "./watch.js";

/** More files at once than this are summed up in one line. */
const MAX_LINES = 20;

type Outcome = "indexed" | "unchanged" | "removed" | "skipped" | "failed";

const STYLES: Readonly<Record<Outcome, Style>> = {
  indexed: "green",
  unchanged: "dim",
  removed: "yellow",
  skipped: "dim",
  failed: "red",
};

function outcomeOf(event: FileEvent): Outcome {
  if ("error" in event) return "failed";
  const { removed, skipped, unchanged } = event.response;
  return removed ? "removed" : skipped ? "skipped" : unchanged ? "unchanged" : "indexed";
}

/** Prints a line for each file, or one for a whole burst and its failures; what did not change after all is passed over. */
export function createWatchReport({ stdout, stderr }: Terminal): WatchListener {
  const style = createStyler(stdout);
  const styleNotice = createStyler(stderr);
  const stamped = (text: string): string => `${style("dim", new Date().toLocaleTimeString("en-GB"))}  ${text}\n`;

  const lineOf = (event: FileEvent): string => {
    const outcome = outcomeOf(event);
    const details =
      "error" in event
        ? event.error.message
        : [event.response.language, ...event.response.problems.map(({ message }) => message)].join("  ");
    const head = `${style(STYLES[outcome], outcome.padEnd(7))}  ${toPrintable(event.path)}`;
    return stamped(`${head}  ${style("dim", toPrintable(details))}`.trimEnd());
  };

  const summaryOf = (events: readonly FileEvent[]): string => {
    const parts = (["indexed", "removed", "failed"] as const).flatMap((outcome) => {
      const count = events.filter((event) => outcomeOf(event) === outcome).length;
      return count === 0 ? [] : [style(STYLES[outcome], `${count.toLocaleString("en-US")} ${outcome}`)];
    });
    return stamped(`${events.length.toLocaleString("en-US")} files: ${parts.join(", ")}`);
  };

  return {
    async changed(events) {
      const told = events.filter((event) => outcomeOf(event) !== "unchanged" && outcomeOf(event) !== "skipped");
      const isBurst = told.length > MAX_LINES;
      const lines = (isBurst ? told.filter((event) => "error" in event) : told).map(lineOf);
      const text = [...(isBurst ? [summaryOf(told)] : []), ...lines].join("");
      if (text !== "") await write(stdout, text);
    },
    suspended(error) {
      stderr.write(`${styleNotice("yellow", "waiting:")} ${error.sentence}\n`);
    },
    resumed() {
      stderr.write(`${styleNotice("green", "The driver answers again.")}\n`);
    },
  };
}

/** Prints a JSON document for each file, one a line, with nothing left out. */
export function createJsonWatchReport({ stdout, stderr }: Terminal): WatchListener {
  const problem = (error: DriverError) =>
    stderr.write(`${JSON.stringify({ event: "waiting", message: error.message })}\n`);
  return {
    async changed(events) {
      const documents = events.map((event) => {
        const head = { event: outcomeOf(event), file_path: event.path };
        if ("error" in event) return { ...head, reason: event.error.reason, message: event.error.message };
        const { language, lines, problems } = event.response;
        if (outcomeOf(event) !== "indexed") return head;
        const told = problems.map(({ errorType, message, line }) => ({
          error_type: errorType,
          message,
          line: line ?? null,
        }));
        return { ...head, language, lines, problems: told };
      });
      await write(stdout, documents.map((document) => `${JSON.stringify(document)}\n`).join(""));
    },
    suspended: problem,
    resumed() {
      stderr.write(`${JSON.stringify({ event: "resumed" })}\n`);
    },
  };
}
