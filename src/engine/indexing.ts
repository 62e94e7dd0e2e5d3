import { setMaxListeners } from "node:events";
import {
  IndexFileRequestSchema,
  IndexPhase,
  IndexProjectRequestSchema,
} from "../../gen/code_analysis/driver/v1/index_pb.js";
import { DriverError, type SerializedDriverError } from "../errors.js";
import {
  decodeMessage,
  encodeMessage,
  type FileFailure,
  type FileOutcome,
  FileResultKind,
  type FinishedProject,
  type FinishProjectRequest,
  type IndexFilesRequest,
  NO_ROWS,
  type ProjectScan,
  type RemovableFiles,
  type ScanProjectRequest,
} from "../workers/index-messages.js";
import { decodeRequest } from "../workers/operations/operation.js";
import { CallStoppedError } from "../workers/worker-process.js";
import { Admission } from "./admission.js";
import { type CallContext, callWith } from "./call.js";
import { DatabaseHealing, FileFailedError, type FileOfCall } from "./database-healing.js";
import { indexFileResponse } from "./index-file-response.js";
import type { EngineLimits } from "./limits.js";
import { fileFailure, type ParsedPath, type Parsers } from "./parsers.js";
import { ProjectRun } from "./project-run.js";
import { ReadOrder } from "./read-order.js";
import { StoreBatcher } from "./store-batcher.js";
import type { EngineLog } from "./worker-log.js";
import type { Writer } from "./writer.js";

/** Files that one parser is given at a time: many while many are left, and few in the end, so that all parsers end together. */
const CHUNK_FILES = { min: 16, max: 128 } as const;
/** Chunks that a parser has, so that one lies ready when another is done. */
const CHUNKS_PER_PARSER = 2;
/** Files whose rows may wait for the writer; a parser that is further ahead only fills memory. */
const MAX_UNSTORED_FILES = 192;
/** Time between two progress messages, in milliseconds. */
const PROGRESS_INTERVAL_MS = 100;
/** How often one IndexProject looks for files again that were gone when it looked first, and are back when it ends. */
const MAX_SCANS = 3;

const NOTHING_TO_REMOVE: RemovableFiles = { gonePaths: [], excludedPaths: [] };

/** What a call wants of its files beside their paths. */
type FileWish = Omit<IndexFilesRequest, "paths">;
type StoreFile = (payload: Uint8Array) => Promise<FileOutcome>;

/** Indexes files: a parser process makes the rows of a file, the writer stores them. */
export class Indexing {
  readonly #parsers: Parsers;
  readonly #writer: Writer;
  readonly #log: EngineLog;
  readonly #healing: DatabaseHealing;
  readonly #admission: Admission;
  readonly #order = new ReadOrder();
  /** Of `#connectStored`, the last one for each project. */
  readonly #attempts = new Map<string, Promise<void>>();
  /** Projects with which one of them was stopped. */
  readonly #overdue = new Set<string>();

  constructor(parsers: Parsers, writer: Writer, { maxQueuedFiles }: EngineLimits, log: EngineLog) {
    this.#parsers = parsers;
    this.#writer = writer;
    this.#log = log;
    this.#healing = new DatabaseHealing(writer, log);
    this.#admission = new Admission("files", maxQueuedFiles);
  }

  /** Calls of `indexFile` that wait or run. */
  get queueLength(): number {
    return this.#admission.calls;
  }

  /** `IndexFile`; resolves with the encoded `IndexFileResponse` once the rows are on disk. */
  async indexFile(bytes: Buffer, context: CallContext): Promise<Uint8Array> {
    const { projectId, filePath, force, reconcile } = decodeRequest(IndexFileRequestSchema, bytes);
    if (projectId === "") throw missing("project_id");
    if (filePath === "") throw missing("file_path");
    const wish = { projectId, force, isPartOfProject: false, isReconciling: reconcile };
    const storeFile = async (payload: Uint8Array) =>
      decodeMessage<FileOutcome>(await this.#writer.store("storeFile", payload, context));
    const leaveQueue = this.#admission.enter(bytes.length);
    const leave = this.#order.enter();
    try {
      return await this.#healing.run({ projectId, path: filePath, caller: "IndexFile" }, context, async () => {
        const outcome = await this.#index(wish, filePath, undefined, storeFile, context);
        return indexFileResponse(outcome);
      });
    } finally {
      leave();
      leaveQueue();
    }
  }

  /** `IndexProject`; encoded `IndexProjectResponse` messages, the last one with the summary. */
  async *indexProject(bytes: Buffer, context: CallContext): AsyncGenerator<Uint8Array> {
    const { projectId, paths, force } = decodeRequest(IndexProjectRequestSchema, bytes);
    if (projectId === "") throw missing("project_id");
    const run = new ProjectRun();
    yield run.progressMessage();

    const wish = { projectId, force, isPartOfProject: true, isReconciling: false };
    const leave = this.#order.enter();
    let isUnderWay = false;
    try {
      let wanted = paths;
      for (let scans = 1; ; scans++) {
        const scan = await this.#scan({ projectId, paths: wanted }, context);
        run.expect(scan.files.length + scan.unreadable.length);
        for (const { path, message } of scan.unreadable) {
          await this.#writer.store("storeFailure", encodeMessage(unreadable(projectId, path, message)), context);
          run.failed(path, "io_error", message);
        }
        run.enter(IndexPhase.INDEXING);
        isUnderWay = true;
        yield* this.#indexFiles({ ...wish, paths: scan.files }, run, context);
        run.enter(IndexPhase.FINISHING);
        yield run.progressMessage();
        const { filesRemoved, crossReferences, returnedPaths } = await this.#finish(projectId, scan, context);
        this.#overdue.delete(projectId);
        run.deleted(filesRemoved);
        run.connected(crossReferences);
        if (returnedPaths.length === 0 || scans === MAX_SCANS) break;
        wanted = [...returnedPaths];
      }
      isUnderWay = false;
      yield run.summaryMessage();
    } finally {
      // The client went away, or a failure ended the run: what is stored stays, the rest is not begun.
      if (isUnderWay) await this.#connectStored(projectId, context.requestId);
      leave();
    }
  }

  /** Connects what was stored in an IndexProject that ended with its process. */
  connectLeftovers(projectIds: readonly string[]): void {
    for (const projectId of projectIds) void this.#connectStored(projectId, "start");
  }

  #scan(request: ScanProjectRequest, context: CallContext): Promise<ProjectScan> {
    const { projectId } = request;
    return this.#healing.run({ projectId, caller: "IndexProject" }, context, () =>
      this.#parsers.scan(request, context),
    );
  }

  /** Removes the rows of files that are not there any more, and resolves the edges between files. */
  #finish(
    projectId: string,
    { gonePaths, excludedPaths }: RemovableFiles,
    context: CallContext,
  ): Promise<FinishedProject> {
    const request: FinishProjectRequest = { projectId, gonePaths, excludedPaths };
    const files = [...gonePaths, ...excludedPaths].map((path) => keyOf(projectId, path));
    return this.#healing.run({ projectId, caller: "IndexProject" }, context, () =>
      this.#order.remove(files, async () =>
        decodeMessage<FinishedProject>(await this.#writer.store("finishProject", encodeMessage(request), context)),
      ),
    );
  }

  /** Connects, one attempt for a project after the other, the files that a run has stored which did not come to its end. */
  async #connectStored(projectId: string, requestId: string): Promise<void> {
    const earlier = this.#attempts.get(projectId) ?? Promise.resolve();
    const attempt = earlier.then(() => this.#tryToConnect(projectId, requestId));
    this.#attempts.set(projectId, attempt);
    await attempt;
    if (this.#attempts.get(projectId) === attempt) this.#attempts.delete(projectId);
  }

  async #tryToConnect(projectId: string, requestId: string): Promise<void> {
    if (this.#overdue.has(projectId)) {
      return this.#log(
        "warn",
        "the files of an unfinished IndexProject are not connected: the last attempt was stopped",
        {
          projectId,
        },
      );
    }
    const { signal } = new AbortController();
    const context: CallContext = { deadlineMs: Number.POSITIVE_INFINITY, signal, role: "read-write", requestId };
    try {
      await this.#finish(projectId, NOTHING_TO_REMOVE, context);
    } catch (error) {
      // It has cost the writer its process; the next one must not die of it as well.
      if (error instanceof CallStoppedError) this.#overdue.add(projectId);
      // The database knows that they are missing: the next IndexProject makes them, or the next driver.
      const { message } = DriverError.from(error);
      this.#log("warn", "the files of an unfinished IndexProject are not connected yet", {
        projectId,
        reason: message,
      });
    }
  }

  /** Indexes these files and tells the progress meanwhile; gives up what is under way when its consumer goes away. */
  async *#indexFiles(request: IndexFilesRequest, run: ProjectRun, context: CallContext): AsyncGenerator<Uint8Array> {
    const abort = new AbortController();
    const bounded = callWith(context, { signal: AbortSignal.any([context.signal, abort.signal]) });
    // Every file under way listens; Node takes more than ten for a leak.
    setMaxListeners(0, bounded.signal);
    let isDone = false;
    const work = this.#indexAll(request, run, bounded).finally(() => {
      isDone = true;
    });
    try {
      while (!isDone) {
        await Promise.race([work, delay(PROGRESS_INTERVAL_MS)]);
        yield run.progressMessage();
      }
      await work;
    } finally {
      abort.abort();
      await work.catch(() => undefined);
    }
  }

  /** Every parser takes chunks of the remaining files until none is left. */
  async #indexAll({ paths, ...wish }: IndexFilesRequest, run: ProjectRun, context: CallContext): Promise<void> {
    let next = 0;
    const workers = this.#parsers.max * CHUNKS_PER_PARSER;
    const unstored = new Set<Promise<void>>();
    let failure: { readonly error: unknown } | undefined;
    const batcher = new StoreBatcher((operation, request) => this.#writer.store(operation, request, context));
    const work = async (): Promise<void> => {
      while (next < paths.length) {
        const share = Math.ceil((paths.length - next) / (2 * workers));
        const chunk = paths.slice(next, next + Math.min(CHUNK_FILES.max, Math.max(CHUNK_FILES.min, share)));
        next += chunk.length;
        for await (const parsed of this.#parsers.parse({ ...wish, paths: chunk }, context)) {
          run.read(parsed.bytesRead);
          const storing = this.#indexOfProject(wish, parsed, batcher, run, context)
            .catch((error: unknown) => {
              failure ??= { error };
            })
            .finally(() => unstored.delete(storing));
          unstored.add(storing);
          while (unstored.size >= MAX_UNSTORED_FILES || (unstored.size > 0 && this.#parsers.unstored.isFull))
            await unstored.values().next().value;
          if (failure !== undefined) throw failure.error;
        }
      }
    };
    await Promise.all(Array.from({ length: workers }, work));
    batcher.flush();
    await Promise.all(unstored);
    if (failure !== undefined) throw failure.error;
  }

  async #indexOfProject(
    wish: FileWish,
    parsed: ParsedPath,
    batcher: StoreBatcher,
    run: ProjectRun,
    context: CallContext,
  ): Promise<void> {
    const { path } = parsed;
    const file: FileOfCall = { projectId: wish.projectId, path, caller: "IndexProject" };
    let first: ParsedPath | undefined = parsed;
    try {
      const outcome = await this.#healing.run(file, context, () => {
        const known = first;
        first = undefined;
        return this.#index(wish, path, known, (payload) => batcher.store(payload), context);
      });
      // What was removed was one of the project's files when it was indexed last.
      if (outcome === null || outcome.kind === "removed") run.skipped(path);
      else run.indexed(outcome);
    } catch (error) {
      // A directory on its way became a link that leads outside since the project was walked.
      if (error instanceof DriverError && error.reason === "PATH_OUTSIDE_PROJECT") return run.skipped(path);
      if (!(error instanceof FileFailedError)) throw error;
      run.failed(path, error.type, error.message);
    }
  }

  /**
   * Stores what was read of a file, `first` or what is read now, and reads it again when somebody else's newer read was quicker.
   * Resolves with null for what is none of the project's files.
   */
  async #index(
    wish: FileWish,
    path: string,
    first: ParsedPath | undefined,
    storeFile: StoreFile,
    context: CallContext,
  ): Promise<FileOutcome | null> {
    for (let known = first; ; known = undefined) {
      const parsed = known ?? (await this.#parsers.parseOne(wish, path, context));
      const { kind, payload, readMs } = parsed;
      const file = keyOf(wish.projectId, parsed.file);
      switch (kind) {
        case FileResultKind.SKIPPED:
          return null;
        case FileResultKind.REFUSED:
          throw DriverError.fromJSON(decodeMessage<SerializedDriverError>(payload));
        case FileResultKind.UNCHANGED:
          if (await this.#order.confirm(file, readMs)) {
            return payload.length === 0 ? unchanged(path) : decodeMessage<FileOutcome>(payload);
          }
          break;
        case FileResultKind.STORE: {
          const outcome = await this.#parsers.unstored.hold(payload, () =>
            this.#order.store(file, readMs, () => storeFile(payload)),
          );
          if (outcome !== null) return outcome;
          break;
        }
        case FileResultKind.GONE: {
          const removeFile = () => this.#writer.store("removeFile", payload, context);
          const outcome = await this.#order.store(file, readMs, removeFile);
          if (outcome !== null) return decodeMessage<FileOutcome>(outcome);
          break;
        }
        case FileResultKind.FAILURE: {
          const storeFailure = () => this.#writer.store("storeFailure", payload, context);
          // What a dead parser was working on is known by its name only, and stands outside of the order.
          const stored = await (parsed.file === "" ? storeFailure() : this.#order.store(file, readMs, storeFailure));
          if (stored === null) break;
          const failure = decodeMessage<FileFailure>(payload);
          throw new FileFailedError(failure.type, failure.error);
        }
      }
    }
  }
}

/** The outcome for a file of a project of which there is nothing else to say. */
function unchanged(relativePath: string): FileOutcome {
  return { ...NO_ROWS, kind: "unchanged", relativePath, commitSeq: 0n };
}

/** A file of one project: projects may overlap. */
function keyOf(projectId: string, path: string): string {
  return `${projectId}\0${path}`;
}

function unreadable(projectId: string, path: string, message: string): FileFailure {
  return fileFailure(projectId, path, "io_error", new DriverError("FILE_NOT_READABLE", message));
}

function missing(field: string): DriverError {
  return new DriverError("INVALID_REQUEST", `The request has no ${field}.`, { field });
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
