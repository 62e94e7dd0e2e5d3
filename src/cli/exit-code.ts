/** How a program ends, as far as both have it in common. */
export const ExitCode = {
  OK: 0,
  /** It could not do what it was asked to do; stderr says why. */
  FAILED: 1,
  /** It was not asked properly. */
  USAGE: 2,
  /** SIGINT or SIGTERM: 128 and the number of SIGINT, as shells have it. */
  INTERRUPTED: 130,
} as const;
