import { type ChildProcess, spawn } from "node:child_process";
import { closeSync } from "node:fs";
import type { Duplex } from "node:stream";
import { DriverError, type SerializedDriverError } from "../errors.js";
import { monotonicMs } from "../observability/clock.js";
import { Channel, encodeCallHeader, type Frame, FrameKind } from "./channel.js";
import type { WorkerEvent } from "./events.js";
import { openStatusFile, readStatus, type WorkerStatus } from "./status-file.js";
import { MAX_CALL_ID } from "./watchdog.js";

/**
 * Answers that are passed on in one turn of the event loop. A commit answers many calls at once; the first of them leave, and
 * their clients go on, while the others are still being passed on.
 */
const ANSWERS_PER_TURN = 32;

/** The kinds of worker process; each is an entry file of this folder. */
export type WorkerKind = "writer" | "reader" | "parser" | "backup";

/** Requests of at most this size may move from process to process as often as it helps. */
const MOVABLE_REQUEST_BYTES = 4 * 1024;

/** What the death of a worker process had to do with a call that it left unanswered. */
export interface LossCircumstances {
  /** Which item of this call (`WorkerHost.begin`) it was working on; null when it was not working on one of this call. */
  readonly item: number | null;
  /** The process was ended because the time of another call was up, or died while it worked on an item of another. */
  readonly isBystander: boolean;
}

/** The process died before it answered, and was not ended because of this call's time. */
export class WorkerLostError extends Error implements LossCircumstances {
  readonly item: number | null;
  readonly isBystander: boolean;

  constructor(
    kind: WorkerKind,
    how: string,
    { item, isBystander }: LossCircumstances = { item: null, isBystander: false },
  ) {
    super(`the ${kind} process ended (${how}) before it answered`);
    this.name = "WorkerLostError";
    this.item = item;
    this.isBystander = isBystander;
  }
}

/** The process was ended because the time of this call was up. */
export class CallStoppedError extends DriverError {
  /** As in `LossCircumstances`. */
  readonly item: number | null;

  constructor(item: number | null) {
    super("DEADLINE_EXCEEDED", "The statement was stopped because its time was up.", {
      hint: "Set a longer deadline, or make the statement do less.",
    });
    this.item = item;
  }
}

export interface CallOptions {
  /** Monotonic; the worker does not start the call after it and is ended when it still runs then. */
  readonly deadlineMs: number;
  /** When it aborts, the answer is no longer wanted. */
  readonly signal?: AbortSignal;
}

interface Answers {
  onMessage(message: Buffer): void;
  onEnd(): void;
  onError(error: Error): void;
}

interface Outstanding {
  readonly operation: string;
  readonly request: Uint8Array;
  readonly options: CallOptions;
  readonly answers: Answers;
  /** Another process had it before. */
  readonly isHandedOver: boolean;
  /** Forgets the caller's signal, which may outlive the call by far. */
  release(): void;
}

/** A worker process as the main process sees it: calls go in, answers, streams and events come out. */
export class WorkerProcess {
  /** Resolves with the worker's `ready` info; rejects when it failed to start. */
  readonly ready: Promise<unknown>;
  /** Resolves when the process is gone, after every outstanding call was rejected. */
  readonly exited: Promise<void>;
  readonly #kind: WorkerKind;
  readonly #child: ChildProcess;
  readonly #stream: Duplex;
  readonly #channel: Channel;
  /**
   * Calls whose last frame has not come yet, in the order in which they were sent. Null when nobody wants the answer any more: the
   * process may run the call all the same, and nothing tells whether it does but its end.
   */
  readonly #unanswered = new Map<number, Outstanding | null>();
  /** Events that nobody has been told of. */
  readonly #missedEvents: WorkerEvent[] = [];
  #onEvent = (event: WorkerEvent): void => {
    this.#missedEvents.push(event);
  };
  /** Those of `#unanswered` that are not null. */
  #wantedCalls = 0;
  #lastCallId = 0;
  #isAlive = true;
  #isReady = false;
  #silentSinceMs = monotonicMs();
  #resolveReady: (info: unknown) => void = () => undefined;
  #rejectReady: (error: Error) => void = () => undefined;

  constructor(kind: WorkerKind, options: object) {
    this.#kind = kind;
    this.ready = new Promise((resolve, reject) => {
      this.#resolveReady = resolve;
      this.#rejectReady = reject;
    });
    // Whoever owns the worker awaits `ready`; a worker that nobody awaits any more must not end the process.
    this.ready.catch(() => undefined);

    const statusFd = openStatusFile();
    const entry = new URL(`./${kind}.js`, import.meta.url);
    this.#child = spawn(process.execPath, [...process.execArgv, entry.pathname, JSON.stringify(options)], {
      stdio: ["ignore", "ignore", "inherit", "pipe", statusFd],
    });
    this.#stream = this.#child.stdio[3] as Duplex;
    this.#stream.on("error", () => undefined); // 'exit' tells the same, with the reason.
    this.#channel = new Channel(this.#stream, (frame) => this.#receive(frame), ANSWERS_PER_TURN);
    this.exited = new Promise((resolve) => {
      const onGone = (how: string): void => {
        if (!this.#isAlive) return;
        this.#channel.drain();
        this.#isAlive = false;
        this.#failOutstanding(readStatus(statusFd), how);
        closeSync(statusFd);
        this.#rejectReady(new WorkerLostError(kind, how));
        resolve();
      };
      // 'close' comes after the last frame was read, 'error' when the process could not be started.
      this.#child.once("close", (code, signal) => onGone(signal ?? `exit code ${code}`));
      this.#child.once("error", (error) => onGone(error.message));
    });
  }

  /** Has `onEvent` told of every event: of those that have come already, too. */
  follow(onEvent: (event: WorkerEvent) => void): this {
    this.#onEvent = onEvent;
    for (const event of this.#missedEvents.splice(0)) onEvent(event);
    return this;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** It has started, and answers calls. */
  get isReady(): boolean {
    return this.#isReady && this.#isAlive;
  }

  /** For how long it has answered nothing although there was something to answer, in milliseconds. */
  get silentMs(): number {
    return this.#unanswered.size === 0 ? 0 : monotonicMs() - this.#silentSinceMs;
  }

  /** For how long it has had nothing to answer, in milliseconds. */
  get idleMs(): number {
    return this.#unanswered.size > 0 ? 0 : monotonicMs() - this.#silentSinceMs;
  }

  /** Calls that were sent and not answered yet, with the one that it works on although it was cancelled. */
  get outstandingCalls(): number {
    return this.#wantedCalls + (this.worksForNobody ? 1 : 0);
  }

  /** Calls were cancelled that may be under way. */
  get hasCancelledCalls(): boolean {
    return this.#unanswered.size > this.#wantedCalls;
  }

  /** What it works on, as a process does that takes one call after the other, was cancelled. */
  get worksForNobody(): boolean {
    const [head] = this.#unanswered.values();
    return head === null;
  }

  /** Bytes of calls that the process has not read yet, those of calls that were cancelled included. */
  get bufferedBytes(): number {
    return this.#channel.bufferedBytes;
  }

  /**
   * @throws DriverError what the operation answered, or `CallStoppedError` when the watchdog ended it.
   * @throws WorkerLostError when the process died for another reason.
   */
  call(operation: string, request: Uint8Array, options: CallOptions): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      this.#start(operation, request, options, { onMessage: resolve, onEnd: () => undefined, onError: reject });
    });
  }

  /** Like `call`, for an operation that answers many messages; the worker is never more than a window ahead. */
  async *stream(operation: string, request: Uint8Array, options: CallOptions): AsyncGenerator<Buffer, void, undefined> {
    const messages: Buffer[] = [];
    let end: { error: Error | null } | null = null;
    let wake: () => void = () => undefined;
    const callId = this.#start(operation, request, options, {
      onMessage: (message) => {
        messages.push(message);
        wake();
      },
      onEnd: () => {
        end = { error: null };
        wake();
      },
      onError: (error) => {
        end = { error };
        wake();
      },
    });
    const state = (): { error: Error | null } | null => end;
    try {
      for (;;) {
        const message = messages.shift();
        if (message !== undefined) {
          yield message;
          if (callId !== null && this.#unanswered.get(callId)) this.#channel.send(callId, FrameKind.PULL);
          continue;
        }
        const ended = state();
        if (ended?.error) throw ended.error;
        if (ended) return;
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    } finally {
      if (callId !== null) this.#cancel(callId);
    }
  }

  /**
   * Lets `other` answer the calls behind the one that was sent first, which this process works on. For a process that takes one
   * call after the other, and calls that may run twice.
   *
   * A large request moves once: what was sent is read by this process all the same, and two that hand over the same ones again and
   * again would do nothing else.
   */
  handOver(other: WorkerProcess): void {
    const [, ...waiting] = this.#unanswered.entries();
    for (const [callId, outstanding] of waiting) {
      if (outstanding?.isHandedOver && outstanding.request.length > MOVABLE_REQUEST_BYTES) continue;
      const call = this.#abandon(callId);
      if (call !== null) other.#start(call.operation, call.request, call.options, call.answers, true);
    }
  }

  /** Lets the process end by itself, so that it closes what it has open. No call may be outstanding. */
  end(): void {
    this.#stream.end();
  }

  /** Ends the process now; outstanding calls are rejected as lost. */
  kill(): void {
    this.#child.kill("SIGKILL");
  }

  #start(
    operation: string,
    request: Uint8Array,
    options: CallOptions,
    answers: Answers,
    isHandedOver = false,
  ): number | null {
    const { deadlineMs, signal } = options;
    if (!this.#isAlive) {
      answers.onError(new WorkerLostError(this.#kind, "it was already gone"));
      return null;
    }
    if (signal?.aborted) {
      answers.onError(cancelled());
      return null;
    }
    const callId = this.#nextCallId();
    const onAbort = (): void => this.#cancel(callId);
    signal?.addEventListener("abort", onAbort, { once: true });
    const release = () => signal?.removeEventListener("abort", onAbort);
    if (this.#unanswered.size === 0) this.#silentSinceMs = monotonicMs();
    this.#unanswered.set(callId, { operation, request, options, answers, isHandedOver, release });
    this.#wantedCalls++;
    this.#channel.send(callId, FrameKind.CALL, encodeCallHeader({ operation, deadlineMs }), request);
    return callId;
  }

  #nextCallId(): number {
    do {
      this.#lastCallId = this.#lastCallId === MAX_CALL_ID ? 1 : this.#lastCallId + 1;
    } while (this.#unanswered.has(this.#lastCallId));
    return this.#lastCallId;
  }

  /** The answer is no longer wanted, and the process is told; null when it was not wanted any more already, or is there. */
  #abandon(callId: number): Outstanding | null {
    const call = this.#unanswered.get(callId) ?? null;
    if (call === null) return null;
    this.#unanswered.set(callId, null);
    this.#wantedCalls--;
    call.release();
    if (this.#isAlive) this.#channel.send(callId, FrameKind.CANCEL);
    return call;
  }

  /** The call is over; null when nobody wants to know. */
  #settle(callId: number): Answers | null {
    const call = this.#unanswered.get(callId) ?? null;
    this.#unanswered.delete(callId);
    if (call === null) return null;
    this.#wantedCalls--;
    call.release();
    return call.answers;
  }

  #cancel(callId: number): void {
    this.#abandon(callId)?.answers.onError(cancelled());
  }

  #receive({ callId, kind, payload }: Frame): void {
    if (kind === FrameKind.EVENT) {
      this.#receiveEvent(JSON.parse(payload.toString()) as WorkerEvent);
      return;
    }
    if (kind === FrameKind.MESSAGE) {
      this.#unanswered.get(callId)?.answers.onMessage(payload);
      return;
    }
    this.#silentSinceMs = monotonicMs();
    const answers = this.#settle(callId);
    if (answers === null) return;
    if (kind === FrameKind.RESPONSE) answers.onMessage(payload);
    else if (kind === FrameKind.END) answers.onEnd();
    else answers.onError(DriverError.fromJSON(JSON.parse(payload.toString()) as SerializedDriverError));
  }

  #receiveEvent(event: WorkerEvent): void {
    if (event.type === "ready") {
      this.#isReady = true;
      this.#silentSinceMs = monotonicMs();
      this.#resolveReady(event.info);
    } else if (event.type === "failed") this.#rejectReady(DriverError.fromJSON(event.error));
    else this.#onEvent(event);
  }

  #failOutstanding({ killedCall, workingCall, workingItem }: WorkerStatus, how: string): void {
    const workedForNobody = this.worksForNobody;
    for (const callId of [...this.#unanswered.keys()]) {
      const item = callId === workingCall ? workingItem : null;
      const isBystander = killedCall !== 0 || (item === null && (workingCall !== 0 || workedForNobody));
      const error =
        callId === killedCall
          ? new CallStoppedError(item)
          : new WorkerLostError(this.#kind, how, { item, isBystander });
      this.#settle(callId)?.onError(error);
    }
  }
}

function cancelled(): DriverError {
  return new DriverError("CANCELLED", "The caller cancelled the call.");
}
