import { randomUUID } from "node:crypto";
import { existsSync, rmSync } from "node:fs";
import { rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fromBinary } from "@bufbuild/protobuf";
import { BackupRequestSchema, BackupResponseSchema } from "../../gen/code_analysis/driver/v1/backup_pb.js";
import { DriverError, draining, messageOf } from "../errors.js";
import { decodeRequest } from "../workers/operations/operation.js";
import { WorkerLostError, WorkerProcess } from "../workers/worker-process.js";
import { Admission } from "./admission.js";
import type { CallContext } from "./call.js";
import type { Snapshots } from "./snapshots.js";
import type { EngineLog } from "./worker-log.js";

/** Each reads the whole database, and keeps its write-ahead log from shrinking while it copies. */
const MAX_BACKUPS = 2;

/** The main process's side of backups: each has a process to itself, so that neither reads nor writes wait for it. */
export class Backups {
  readonly #databasePath: string;
  readonly #log: EngineLog;
  readonly #snapshots: Snapshots;
  readonly #admission = new Admission("backups", MAX_BACKUPS);
  readonly #running = new Set<WorkerProcess>();

  /** @param snapshots told of those from which backups copy */
  constructor(databasePath: string, log: EngineLog, snapshots: Snapshots) {
    this.#databasePath = databasePath;
    this.#log = log;
    this.#snapshots = snapshots;
  }

  /**
   * Answers `Backup`. The file has its name only when the client has the summary; if it does not come to that, nothing is left.
   *
   * @throws DriverError `INVALID_REQUEST` for a bad destination, `DISK_FULL`, `DATABASE_CORRUPT`, `OVERLOADED`, `DRAINING`.
   */
  async *backup(request: Buffer, context: CallContext): AsyncGenerator<Uint8Array> {
    const { destinationPath } = decodeRequest(BackupRequestSchema, request);
    const leave = this.#admission.enter(request.length);
    const partialPath = join(dirname(destinationPath), `${randomUUID()}.partial`);
    let letGo: (() => void) | undefined;
    const worker = this.#spawn(partialPath, () => letGo?.());
    // A second signal ends this process at once.
    const onExit = () => {
      worker.kill();
      for (const file of filesOfCopy(partialPath)) removeAtExit(file);
    };
    process.once("exit", onExit);
    let isPublished = false;
    let isDelivered = false;
    try {
      // A new process has no snapshot yet.
      await worker.ready;
      letGo = this.#snapshots.hold();
      for await (const message of worker.stream("copy", request, context)) {
        if (fromBinary(BackupResponseSchema, message).summary !== undefined) {
          await worker.call("publish", request, context);
          isPublished = true;
        }
        yield message;
      }
      isDelivered = true;
    } catch (error) {
      if (!(error instanceof WorkerLostError)) throw error;
      throw this.#admission.isClosed ? draining() : gaveUp(error);
    } finally {
      // It may be in the middle of a check that takes minutes; killed, it cannot remove what it has begun.
      worker.kill();
      await worker.exited;
      letGo?.();
      const unwanted = [...filesOfCopy(partialPath), ...(isPublished && !isDelivered ? [destinationPath] : [])];
      await Promise.all(unwanted.map((file) => this.#remove(file)));
      process.off("exit", onExit);
      leave();
    }
  }

  /** Ends every backup at once. */
  async close(): Promise<void> {
    this.#admission.close();
    const workers = [...this.#running];
    for (const worker of workers) worker.kill();
    await Promise.all(workers.map(({ exited }) => exited));
  }

  /** Whether the path is one at all nobody may have looked at yet: where nothing can be, nothing is to be removed. */
  async #remove(path: string): Promise<void> {
    try {
      await rm(path, { force: true });
    } catch (error) {
      if (existsSync(path)) this.#log("warn", `${path} could not be removed`, { reason: messageOf(error) });
    }
  }

  #spawn(partialPath: string, onCopied: () => void): WorkerProcess {
    const options = { databasePath: this.#databasePath, partialPath };
    const worker = new WorkerProcess("backup", options).follow((event) => {
      if (event.type === "log") this.#log(event.level, event.message, event.fields);
      else if (event.type === "copied") onCopied();
      // Whether the copy or the original is damaged is not known: what reads the original finds that out.
      else if (event.type === "corrupt") this.#log("error", "a backup is damaged", { reason: event.error.message });
    });
    this.#running.add(worker);
    void worker.exited.then(() => this.#running.delete(worker));
    return worker;
  }
}

function removeAtExit(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // As in `#remove`, and there is no log any more.
  }
}

/** What a killed process leaves: the copy, and what SQLite keeps beside it. */
function filesOfCopy(path: string): string[] {
  return ["", "-journal", "-wal", "-shm"].map((suffix) => path + suffix);
}

function gaveUp(cause: WorkerLostError): DriverError {
  return new DriverError("INTERNAL", `The backup failed: ${cause.message}.`, { cause, hint: "See the driver's log." });
}
