import type { Terminal } from "../terminal.js";
import type { Supervisor } from "./supervision.js";

/** What a command is given by the process it runs in. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly supervisor: Supervisor;
  /** Writes one sentence to stderr, marked as an error. */
  reportError(sentence: string): void;
  /** Aborted when the user wants the command to end; noticed wherever it does not run inside SQLite. */
  readonly signal: AbortSignal;
}
