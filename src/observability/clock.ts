/**
 * Milliseconds on the monotonic clock of the machine. All processes of one boot share it (CLOCK_MONOTONIC), so a deadline can
 * cross a process border, and a change of the wall clock moves nothing.
 */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
