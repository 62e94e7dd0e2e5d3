import { type Deadline, type Metadata, status } from "@grpc/grpc-js";
import type { CallContext, Role } from "../engine/call.js";
import { DriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { type Access, type Authenticate, assertAccess } from "./access.js";
import { toMonotonicMs } from "./deadline.js";
import type { Listener } from "./listener.js";

/**
 * Told of every call that has ended, whichever way.
 *
 * @param path `/package.Service/Method`
 * @param code the gRPC status, https://grpc.io/docs/guides/status-codes/
 * @param durationMs from the request, which has arrived as a whole, to the answer or to its last message
 * @param error what the call failed with, its cause included; not set for status OK
 */
export type CallObserver = (path: string, code: status, durationMs: number, error?: DriverError) => void;

/** What all calls of one method through one listener have in common. */
export interface ServedMethod {
  readonly path: string;
  readonly access: Access;
  readonly listener: Listener;
  readonly authenticate: Authenticate;
  readonly onCallEnd: CallObserver;
}

/** What the calls of all kinds have in common. */
interface SurfaceCall {
  getDeadline(): Deadline;
  once(event: "cancelled", listener: () => void): unknown;
}

/** Timers may fire that much before the time they were set to, since they count whole milliseconds. */
const TIMER_TOLERANCE_MS = 1;

/** One call, from its request to its one end: an answer, an error, or the client going away. */
export class ServedCall implements CallContext {
  readonly deadlineMs: number;
  role: Role = "read-only";
  readonly #method: ServedMethod;
  readonly #startedMs = monotonicMs();
  #hasEnded = false;
  #cancelReason: DriverError | undefined;
  #controller: AbortController | undefined;

  constructor(call: SurfaceCall, method: ServedMethod) {
    this.#method = method;
    this.deadlineMs = toMonotonicMs(call.getDeadline());
    // grpc-js emits it after every call, after one that was answered too.
    call.once("cancelled", () => this.#cancel());
  }

  /** Made when it is asked for: an `AbortController` costs more than all the rest of this class. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancelReason !== undefined) this.#controller.abort(this.#cancelReason);
    }
    return this.#controller.signal;
  }

  /** @throws DriverError `UNAUTHENTICATED`, `ROLE_NOT_ALLOWED` */
  authorize(metadata: Metadata): void {
    const { access, authenticate, listener, path } = this.#method;
    if (access === "anyone") return;
    this.role = authenticate(metadata, listener);
    assertAccess(path, access, this.role);
  }

  /** Ends the call with OK, or with `error`. False when it has ended already, so that nothing more must be sent. */
  end(error?: DriverError): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    const code = error === undefined ? status.OK : status[error.status];
    this.#method.onCallEnd(this.#method.path, code, monotonicMs() - this.#startedMs, error);
    return true;
  }

  #cancel(): void {
    if (this.#hasEnded) return;
    const isLate = monotonicMs() >= this.deadlineMs - TIMER_TOLERANCE_MS;
    const reason = isLate
      ? new DriverError("DEADLINE_EXCEEDED", "The deadline of the call has passed.")
      : new DriverError("CANCELLED", "The client has cancelled the call or gone away.");
    this.#cancelReason = reason;
    this.end(reason);
    this.#controller?.abort(reason);
  }
}
