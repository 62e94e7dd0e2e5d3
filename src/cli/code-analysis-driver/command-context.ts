import type { Terminal } from "../terminal.js";

/** What a command is given by the process it runs in. */
export interface CommandContext {
  readonly terminal: Terminal;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** The script of this program, for a driver that a command starts. */
  readonly programPath: string;
  /** Aborted when the user wants the command to end. */
  readonly signal: AbortSignal;
}
