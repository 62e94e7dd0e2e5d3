import { Socket } from "node:net";
import { Worker } from "node:worker_threads";
import { fromSqliteError } from "../sqlite/errors.js";
import { type CallHeader, Channel, decodeCall, FrameKind } from "./channel.js";
import type { LogLevel, WorkerEvent } from "./events.js";
import { writeWorking } from "./status-file.js";
import { StatementGuard, type Watched } from "./watchdog.js";

/** File descriptor of the channel in a worker process. */
const CHANNEL_FD = 3;

/** A call as a worker sees it. */
export interface WorkerCall extends CallHeader {
  readonly id: number;
  readonly request: Buffer;
}

/** What a worker does with the frames that concern its calls. */
export interface WorkerHandler {
  onCall(call: WorkerCall): void;
  /** @returns true when the call was under way or waited, and will not be answered otherwise. */
  onCancel?(callId: number): boolean;
  /** The caller of stream `callId` can take one more message. */
  onPull?(callId: number): void;
}

/** A worker process's end of the channel, with its statement guard. */
export class WorkerHost {
  readonly guard = new StatementGuard();
  /** Called before the process ends by itself, because its parent let it go or is gone; `process.exit` closes no database. */
  onEnd: () => void = () => undefined;
  readonly #channel: Channel;

  /** @param temporaryFiles removed when the parent is gone while a statement runs, when `onEnd` cannot be called. */
  constructor(handler: WorkerHandler, temporaryFiles: readonly string[] = []) {
    const socket = new Socket({ fd: CHANNEL_FD, readable: true, writable: true });
    // Without its parent a worker has no purpose; a running statement is ended by the watchdog.
    socket.on("close", () => {
      exitWorker(0);
      this.onEnd();
    });
    socket.on("error", () => exitWorker(0));
    this.#channel = new Channel(socket, ({ callId, kind, payload }) => {
      if (kind === FrameKind.CALL) handler.onCall({ id: callId, ...decodeCall(payload) });
      else if (kind === FrameKind.PULL) handler.onPull?.(callId);
      else if (kind === FrameKind.CANCEL && handler.onCancel?.(callId)) this.end(callId);
    });
    const watched: Watched = { buffer: this.guard.buffer, parentPid: process.ppid, temporaryFiles };
    new Worker(new URL("./watchdog.js", import.meta.url), { workerData: watched }).unref();
    // Ctrl-C in a terminal reaches the whole process group; the parent decides when its workers end.
    process.on("SIGINT", () => undefined);
    process.on("SIGTERM", () => undefined);
  }

  /** From now on this item of the call is worked on: should the process die, that is what it died of. Costs a system call. */
  begin(callId: number, item: number): void {
    writeWorking(callId, item);
  }

  /** Nothing is worked on any more. */
  rest(): void {
    writeWorking(0, 0);
  }

  respond(callId: number, response: Uint8Array): void {
    this.#channel.send(callId, FrameKind.RESPONSE, response);
  }

  /** One message of a stream, in any number of parts. */
  message(callId: number, ...parts: readonly Uint8Array[]): void {
    this.#channel.send(callId, FrameKind.MESSAGE, ...parts);
  }

  end(callId: number): void {
    this.#channel.send(callId, FrameKind.END);
  }

  /** A call that met a damaged database also tells the main process, which stops serving. */
  fail(callId: number, thrown: unknown): void {
    const error = fromSqliteError(thrown);
    this.#channel.sendJson(callId, FrameKind.ERROR, error);
    if (error.reason === "DATABASE_CORRUPT") this.event({ type: "corrupt", error: error.toJSON() });
  }

  event(event: WorkerEvent): void {
    this.#channel.sendJson(0, FrameKind.EVENT, event);
  }

  log(level: LogLevel, message: string, fields: object = {}): void {
    this.event({ type: "log", level, message, fields });
  }

  flush(): void {
    this.#channel.flush();
  }

  /** Lets frames in and out; for a worker that computes for long. Resolves when what was sent has left and what came is heard. */
  giveWay(): Promise<void> {
    return this.#channel.exchange();
  }
}

/**
 * Runs `start` and reports its outcome: `ready` with what it returns, or `failed` with why it did not, after which the process
 * ends.
 */
export async function announce(host: WorkerHost, start: () => unknown): Promise<void> {
  try {
    host.event({ type: "ready", info: await start() });
  } catch (error) {
    host.event({ type: "failed", error: fromSqliteError(error).toJSON() });
    host.flush();
    exitWorker(1);
  }
}

/** Ends this worker process, after what was flushed has left. */
export function exitWorker(code: number): void {
  setImmediate(() => process.exit(code));
}

/** The options that the parent passed to this worker process. */
export function workerOptions<T>(): T {
  return JSON.parse(process.argv[2] ?? "{}") as T;
}
