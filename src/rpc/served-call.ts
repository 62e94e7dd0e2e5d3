import { type Metadata, status } from "@grpc/grpc-js";
import type { CallContext, Role } from "../engine/call.js";
import { DriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { type Access, roleOf } from "./access.js";
import { deadlineOf } from "./deadline.js";
import type { Interrupt, OpenCalls } from "./open-calls.js";
import { REQUEST_ID_KEY, requestIdOf } from "./request-id.js";

/** A call that has ended, whichever way. */
export interface EndedCall {
  /** `/package.Service/Method` */
  readonly path: string;
  /** What the client sent beside the request. */
  readonly metadata: Metadata;
  /** Names the call in logs; see `CallContext.requestId`. */
  readonly requestId: string;
  /** From the request, which has arrived as a whole, to the answer or to its last message; 0 when it was refused before. */
  readonly durationMs: number;
  /** The gRPC status, https://grpc.io/docs/guides/status-codes/. */
  readonly code: status;
  /** What it failed with, its cause included; not set for status OK. */
  readonly error: DriverError | undefined;
}

/** Told of every call when it has ended. Must be quick. */
export type CallObserver = (call: EndedCall) => void;

/** What all calls of one method through one listener have in common. */
export interface ServedMethod {
  readonly path: string;
  readonly access: Access;
  readonly onCallEnd: CallObserver;
  readonly openCalls: OpenCalls;
}

/** What the calls of all kinds have in common. */
interface SurfaceCall {
  readonly metadata: Metadata;
  once(event: "cancelled", listener: () => void): unknown;
}

/** Timers may fire that much before the time they were set to, since they count whole milliseconds. */
const TIMER_TOLERANCE_MS = 1;

/** One call, from its request to its one end: an answer, an error, or the client going away. */
export class ServedCall implements CallContext, EndedCall {
  readonly deadlineMs: number;
  readonly metadata: Metadata;
  role: Role = "read-only";
  code: status = status.OK;
  durationMs = 0;
  error: DriverError | undefined;
  readonly #method: ServedMethod;
  readonly #startedMs = monotonicMs();
  #requestId: string | undefined;
  #leave: (() => void) | undefined;
  #hasEnded = false;
  #cancelReason: DriverError | undefined;
  #controller: AbortController | undefined;

  constructor(call: SurfaceCall, method: ServedMethod) {
    this.#method = method;
    this.metadata = call.metadata;
    this.deadlineMs = deadlineOf(call.metadata);
    // grpc-js emits it after every call, after one that was answered too.
    call.once("cancelled", () => this.#cancel());
  }

  get path(): string {
    return this.#method.path;
  }

  /** Made when it is asked for: most calls are never logged. */
  get requestId(): string {
    this.#requestId ??= requestIdOf(this.metadata.get(REQUEST_ID_KEY)[0]);
    return this.#requestId;
  }

  /** Made when it is asked for: an `AbortController` costs more than all the rest of this class. */
  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#cancelReason !== undefined) this.#controller.abort(this.#cancelReason);
    }
    return this.#controller.signal;
  }

  /**
   * Lets a call in that has passed the gate. What anyone may ask, how the driver is, is answered to the end.
   *
   * @param interrupt - See `OpenCalls`.
   * @throws DriverError `DRAINING`
   */
  admit(interrupt?: Interrupt): void {
    const { access, openCalls } = this.#method;
    if (access === "anyone") return;
    this.role = roleOf(this.metadata);
    this.#leave = openCalls.begin(interrupt);
  }

  /** Ends the call with OK, or with `error`. False when it has ended already, so that nothing more must be sent. */
  end(error?: DriverError): boolean {
    if (this.#hasEnded) return false;
    this.#hasEnded = true;
    this.durationMs = monotonicMs() - this.#startedMs;
    this.error = error;
    if (error !== undefined) this.code = status[error.status];
    this.#method.onCallEnd(this);
    this.#leave?.();
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
