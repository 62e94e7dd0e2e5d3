import { monotonicMs } from "../observability/clock.js";
import type { WorkerCall } from "./host.js";
import type { StatementGuard } from "./watchdog.js";

/** The time that a call of many statements has: each what a statement may take, and all of them until the call's deadline. */
export interface CallBound {
  /** Runs a part of the call that may be stopped: the process is ended when its time is up. A commit must not be in it. */
  run<T>(body: () => T): T;
  /** A further statement of the part that runs begins. */
  renew(): void;
}

/** For what the driver does for itself, in which nothing of a client's runs. */
export const UNBOUND: CallBound = { run: (body) => body(), renew: () => undefined };

/** The bound of `call`, kept by `guard`. */
export function boundOf(
  { id, deadlineMs }: WorkerCall,
  guard: StatementGuard,
  { maxStatementMs }: { readonly maxStatementMs: number },
): CallBound {
  const limitMs = () => Math.min(deadlineMs, monotonicMs() + maxStatementMs);
  return {
    run(body) {
      guard.enter(id, limitMs());
      try {
        return body();
      } finally {
        guard.leave();
      }
    },
    renew: () => guard.extend(limitMs()),
  };
}
