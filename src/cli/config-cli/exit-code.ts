import type { DriverError } from "../../errors.js";

/** How `config_cli` ends. In every case but `OK`, nothing was changed by `schema`, unless the disk failed its COMMIT. */
export const ExitCode = {
  /** The schema is as wanted, or was made so; the database is healthy. */
  OK: 0,
  FAILED: 1,
  /** Something differs and can be made as wanted safely: `--check`, `--dry-run`, `doctor`. */
  DRIFT: 2,
  NEEDS_CONSENT: 3,
  BUSY: 4,
  /** SIGINT or SIGTERM: 128 and the number of SIGINT, as shells have it. */
  INTERRUPTED: 130,
} as const;

/** The exit code for a command that ended with `error`. */
export function exitCodeOf({ reason }: DriverError): number {
  if (reason === "DATABASE_BUSY") return ExitCode.BUSY;
  return reason === "CANCELLED" ? ExitCode.INTERRUPTED : ExitCode.FAILED;
}
