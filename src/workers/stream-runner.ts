import { DriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import type { WorkerCall, WorkerHost } from "./host.js";
import { explainMissingTable } from "./missing-table.js";
import type { StreamOperation } from "./operations/operation.js";
import type { Session } from "./session.js";

interface RunningStream {
  readonly call: WorkerCall;
  readonly messages: Iterator<Uint8Array>;
}

/** Runs streaming operations, one message for each that the caller has pulled. At most one stream runs at a time. */
export class StreamRunner {
  readonly #host: WorkerHost;
  readonly #onIdle: () => void;
  #stream: RunningStream | null = null;
  #credit = 0;

  constructor(host: WorkerHost, onIdle: () => void) {
    this.#host = host;
    this.#onIdle = onIdle;
  }

  get isBusy(): boolean {
    return this.#stream !== null;
  }

  start(session: Session, call: WorkerCall, run: StreamOperation): void {
    this.#stream = { call, messages: run(session, call.request) };
    this.#advance(session);
  }

  /** PULL frames can arrive before the stream is started, when calls wait in a queue; they count all the same. */
  pull(callId: number, session: Session): void {
    this.#credit++;
    if (this.#stream?.call.id === callId) this.#advance(session);
  }

  cancel(callId: number): void {
    if (this.#stream?.call.id === callId) this.stop();
  }

  /** Ends the running stream without telling its caller. */
  stop(): void {
    this.#stream?.messages.return?.();
    this.#finish();
  }

  #advance(session: Session): void {
    while (this.#stream !== null && this.#credit > 0) {
      const { call, messages } = this.#stream;
      this.#credit--;
      const now = monotonicMs();
      this.#host.guard.enter(call.id, Math.min(call.deadlineMs, now + session.limits.maxStatementMs));
      try {
        if (now >= call.deadlineMs) throw new DriverError("DEADLINE_EXCEEDED", "The deadline passed.");
        const { done, value } = messages.next();
        this.#host.guard.leave();
        if (done) {
          this.#host.end(call.id);
          this.#finish();
        } else {
          this.#host.message(call.id, value);
        }
      } catch (error) {
        this.#host.guard.leave();
        messages.return?.();
        this.#host.fail(call.id, explainMissingTable(session.connection, error));
        this.#finish();
      }
    }
  }

  #finish(): void {
    if (this.#stream === null) return;
    this.#stream = null;
    this.#credit = 0;
    this.#onIdle();
  }
}
