import { DriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { STREAM_WINDOW } from "./channel.js";
import type { WorkerCall, WorkerHost } from "./host.js";
import { explainMissingTable } from "./missing-table.js";
import type { StreamOperation } from "./operations/operation.js";
import type { Session } from "./session.js";

interface RunningStream {
  readonly call: WorkerCall;
  readonly messages: Iterator<Uint8Array>;
  readonly session: Session;
  /** Messages that the caller can take. */
  credit: number;
}

/**
 * Runs streaming operations, one message for each that the caller has pulled. At most one stream runs at a time. Every message is
 * made in a turn of the event loop of its own: the one before it has left by then, and a cancellation has been heard.
 */
export class StreamRunner {
  readonly #host: WorkerHost;
  readonly #onIdle: () => void;
  #stream: RunningStream | null = null;
  #isScheduled = false;
  /** Since when the stream waits for its caller to take a message, on the clock of `monotonicMs()`; null while it does not. */
  #stalledSinceMs: number | null = null;

  constructor(host: WorkerHost, onIdle: () => void) {
    this.#host = host;
    this.#onIdle = onIdle;
  }

  get isBusy(): boolean {
    return this.#stream !== null;
  }

  /** How long the caller of the stream has taken no message although one is ready, in milliseconds. */
  get stalledMs(): number {
    return this.#stalledSinceMs === null ? 0 : monotonicMs() - this.#stalledSinceMs;
  }

  start(session: Session, call: WorkerCall, run: StreamOperation): void {
    try {
      this.#stream = { call, messages: run(session, call.request), session, credit: STREAM_WINDOW };
    } catch (error) {
      this.#host.fail(call.id, explainMissingTable(session.connection, error));
      return;
    }
    this.#schedule();
  }

  /** Of a stream that has ended meanwhile, a PULL means nothing. */
  pull(callId: number): void {
    if (this.#stream?.call.id !== callId) return;
    this.#stream.credit++;
    this.#stalledSinceMs = null;
    this.#schedule();
  }

  /** @returns whether it was the stream that ran. */
  cancel(callId: number): boolean {
    if (this.#stream?.call.id !== callId) return false;
    this.#stream.messages.return?.();
    this.#finish();
    return true;
  }

  /** Ends the stream, if there is one, with this error. */
  abort(error: DriverError): void {
    if (this.#stream === null) return;
    this.#stream.messages.return?.();
    this.#host.fail(this.#stream.call.id, error);
    this.#finish();
  }

  #schedule(): void {
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#advance();
    });
  }

  #advance(): void {
    if (this.#stream === null) return;
    if (this.#stream.credit === 0) {
      this.#stalledSinceMs ??= monotonicMs();
      return;
    }
    const { call, messages, session } = this.#stream;
    this.#stream.credit--;
    try {
      const { done, value } = this.#next(call, messages, session.limits.maxStatementMs);
      if (done) {
        this.#host.end(call.id);
        this.#finish();
      } else {
        this.#host.message(call.id, value);
        this.#schedule();
      }
    } catch (error) {
      messages.return?.();
      this.#host.fail(call.id, explainMissingTable(session.connection, error));
      this.#finish();
    }
  }

  #next(call: WorkerCall, messages: Iterator<Uint8Array>, maxStatementMs: number): IteratorResult<Uint8Array> {
    const now = monotonicMs();
    if (now >= call.deadlineMs) throw new DriverError("DEADLINE_EXCEEDED", "The deadline passed.");
    this.#host.guard.enter(call.id, Math.min(call.deadlineMs, now + maxStatementMs));
    try {
      return messages.next();
    } finally {
      this.#host.guard.leave();
    }
  }

  #finish(): void {
    this.#stream = null;
    this.#stalledSinceMs = null;
    this.#onIdle();
  }
}
