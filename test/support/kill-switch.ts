/**
 * For child processes that tests kill: `killSwitch()` before every step ends the process with SIGKILL before step number
 * KILL_AT_STEP (environment, from 1). A process that lives to its end writes `steps N` to stderr.
 */
const killAt = Number(process.env.KILL_AT_STEP ?? 0);
let steps = 0;
process.on("exit", () => process.stderr.write(`steps ${steps}\n`));

export function killSwitch(): void {
  if (++steps === killAt) process.kill(process.pid, "SIGKILL");
}
