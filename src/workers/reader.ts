/**
 * Entry file of a reader process: a read-only connection that answers reads one after another. It holds nothing that another
 * reader could not do again, so it may be killed at any moment.
 */
import { DriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { openConnection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { announce, type WorkerCall, WorkerHost, workerOptions } from "./host.js";
import type { WorkerLimits } from "./limits.js";
import { explainMissingTable } from "./missing-table.js";
import { oncePerTurn } from "./once-per-turn.js";
import { READ_OPERATIONS } from "./operations/reads.js";
import { STREAM_OPERATIONS } from "./operations/tables.js";
import { queuedCalls } from "./queued-calls.js";
import { assertStatementGateWorks, Session } from "./session.js";
import { StreamRunner } from "./stream-runner.js";

/** What the main process tells a reader or writer when it starts it. */
export interface DatabaseWorkerOptions {
  readonly databasePath: string;
  readonly limits: WorkerLimits;
}

/** So long calls are taken in one turn of the event loop, in milliseconds; then others are let in, and cancellations heard. */
const TURN_MS = 1;

const { databasePath, limits } = workerOptions<DatabaseWorkerOptions>();
let openedSession: Session | undefined;
const queue: WorkerCall[] = [];
const schedule = oncePerTurn(runQueue);
const host = new WorkerHost(queuedCalls(queue, schedule, () => streams));
const streams: StreamRunner = new StreamRunner(host, schedule);

function runQueue(): void {
  const endMs = monotonicMs() + TURN_MS;
  do {
    const call = streams.isBusy ? undefined : queue.shift();
    if (call === undefined) return;
    run(call);
    // The next call may not end.
    host.flush();
  } while (monotonicMs() < endMs);
  if (queue.length > 0) schedule();
}

function run(call: WorkerCall): void {
  let session: Session;
  try {
    session = openSession();
  } catch (error) {
    host.fail(call.id, fromSqliteError(error));
    return;
  }
  const stream = STREAM_OPERATIONS[call.operation];
  if (stream !== undefined) streams.start(session, call, stream);
  else runUnary(session, call);
}

/** Opened when it is first needed: a database that cannot be opened fails the call, in SQLite's words, and not the process. */
function openSession(): Session {
  openedSession ??= new Session(openConnection(databasePath, { role: "reader" }), limits);
  return openedSession;
}

function runUnary(session: Session, call: WorkerCall): void {
  const now = monotonicMs();
  if (now >= call.deadlineMs) {
    host.fail(call.id, new DriverError("DEADLINE_EXCEEDED", "The deadline passed before the call was started."));
    return;
  }
  host.guard.enter(call.id, Math.min(call.deadlineMs, now + limits.maxStatementMs));
  try {
    const run = READ_OPERATIONS[call.operation];
    if (run === undefined) throw new DriverError("INTERNAL", `A reader has no operation ${call.operation}.`);
    host.respond(call.id, run(session, call.request));
  } catch (error) {
    host.fail(call.id, explainMissingTable(session.connection, error));
  } finally {
    host.guard.leave();
  }
}

await announce(host, () => {
  assertStatementGateWorks();
  return {};
});
