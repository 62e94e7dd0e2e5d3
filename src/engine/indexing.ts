import { setMaxListeners } from "node:events";
import { fromBinary } from "@bufbuild/protobuf";
import {
  IndexFileRequestSchema,
  IndexFileResponseSchema,
  IndexPhase,
  IndexProjectRequestSchema,
} from "../../gen/code_analysis/driver/v1/index_pb.js";
import { DriverError, type Reason, type SerializedDriverError } from "../errors.js";
import type { IndexingErrorType } from "../indexer/entities.js";
import {
  decodeMessage,
  encodeMessage,
  type FileFailure,
  FileResultKind,
  type FinishedProject,
  type FinishProjectRequest,
  type IndexFilesRequest,
  type InspectedTables,
  type ProjectScan,
  type ScanProjectRequest,
} from "../workers/index-messages.js";
import { decodeRequest } from "../workers/operations/operation.js";
import { WorkerLostError } from "../workers/worker-process.js";
import type { CallContext } from "./call.js";
import type { Parsers } from "./parsers.js";
import { ProjectRun } from "./project-run.js";
import { StoreBatcher } from "./store-batcher.js";
import type { EngineLog } from "./worker-log.js";
import type { Writer } from "./writer.js";

/** Files that one parser is given at a time. */
const CHUNK_FILES = 16;
/** Files whose rows may wait for the writer; a parser that is further ahead only fills memory. */
const MAX_UNSTORED_FILES = 64;
/** Time between two progress messages, in milliseconds. */
const PROGRESS_INTERVAL_MS = 100;

/** Failures of the database, as opposed to those of a file or a request; what a temporary table can be behind. */
const DATABASE_REASONS: ReadonlySet<Reason> = new Set<Reason>(["SQL_ERROR", "TEMP_TABLE_STATE", "INTERNAL"]);

interface FileResult {
  readonly path: string;
  readonly kind: FileResultKind;
  readonly payload: Buffer;
}

/** One file that is being indexed, for the log. */
interface FileOfCall {
  readonly projectId: string;
  readonly path: string;
  readonly caller: "IndexFile" | "IndexProject";
}

/** Indexes files: a parser process makes the rows of a file, the writer stores them. */
export class Indexing {
  readonly #parsers: Parsers;
  readonly #writer: Writer;
  readonly #log: EngineLog;

  constructor(parsers: Parsers, writer: Writer, log: EngineLog) {
    this.#parsers = parsers;
    this.#writer = writer;
    this.#log = log;
  }

  /** `IndexFile`; resolves with the encoded `IndexFileResponse` once the rows are on disk. */
  async indexFile(bytes: Buffer, context: CallContext): Promise<Uint8Array> {
    const { projectId, filePath, force } = decodeRequest(IndexFileRequestSchema, bytes);
    if (projectId === "") throw missing("project_id");
    if (filePath === "") throw missing("file_path");
    const request = { projectId, paths: [filePath], force, isPartOfProject: false };
    return await this.#healing({ projectId, path: filePath, caller: "IndexFile" }, context, async () => {
      const [result] = await collect(this.#parse(request, context));
      if (result === undefined) throw new DriverError("INTERNAL", `The parser gave no answer for ${filePath}.`);
      return await this.#store(result, (payload) => this.#writer.write("storeFile", payload, context), context);
    });
  }

  /** `IndexProject`; encoded `IndexProjectResponse` messages, the last one with the summary. */
  async *indexProject(bytes: Buffer, context: CallContext): AsyncGenerator<Uint8Array> {
    const { projectId, paths, force } = decodeRequest(IndexProjectRequestSchema, bytes);
    if (projectId === "") throw missing("project_id");
    const run = new ProjectRun();
    yield run.progressMessage();

    const scan = await this.#healing({ projectId, path: "", caller: "IndexProject" }, context, () =>
      this.#scan({ projectId, paths }, context),
    );
    run.setTotal(scan.files.length);
    for (const { path, message } of scan.unreadable) run.failed(path, "io_error", message);
    run.enter(IndexPhase.INDEXING);

    const abort = new AbortController();
    const bounded = { ...context, signal: AbortSignal.any([context.signal, abort.signal]) };
    // Every file under way listens; Node takes more than ten for a leak.
    setMaxListeners(0, bounded.signal);
    let isDone = false;
    const work = this.#indexFiles({ projectId, paths: scan.files, force, isPartOfProject: true }, run, bounded).finally(
      () => {
        isDone = true;
      },
    );
    try {
      while (!isDone) {
        await Promise.race([work, delay(PROGRESS_INTERVAL_MS)]);
        yield run.progressMessage();
      }
      await work;
      run.enter(IndexPhase.FINISHING);
      yield run.progressMessage();
      await this.#finishProject(projectId, scan, run, context);
      yield run.summaryMessage();
    } finally {
      // The client went away: what is stored stays, the rest is not begun.
      abort.abort();
      work.catch(() => undefined);
    }
  }

  async #scan(request: ScanProjectRequest, context: CallContext): Promise<ProjectScan> {
    const scan = await this.#parsers.leastBusy().call("scanProject", encodeMessage(request), context);
    return decodeMessage<ProjectScan>(scan);
  }

  /** Removes the rows of files that are gone, and resolves the edges between files. */
  async #finishProject(
    projectId: string,
    { deletedPaths }: ProjectScan,
    run: ProjectRun,
    context: CallContext,
  ): Promise<void> {
    const request: FinishProjectRequest = { projectId, paths: deletedPaths };
    const answer = await this.#writer.write("finishProject", encodeMessage(request), context);
    run.deleted(decodeMessage<FinishedProject>(answer).filesRemoved);
  }

  /** Every parser takes chunks of the remaining files until none is left. */
  async #indexFiles(request: IndexFilesRequest, run: ProjectRun, context: CallContext): Promise<void> {
    const { paths } = request;
    let next = 0;
    const unstored = new Set<Promise<void>>();
    const batcher = new StoreBatcher((payload) => this.#writer.write("storeFile", payload, context));
    const work = async (): Promise<void> => {
      while (next < paths.length) {
        const chunk = paths.slice(next, next + CHUNK_FILES);
        next += chunk.length;
        for await (const result of this.#parse({ ...request, paths: chunk }, context)) {
          const storing = this.#storeOfProject(request, result, batcher, run, context).finally(() =>
            unstored.delete(storing),
          );
          // Awaited below, unless another file's failure ends the run first.
          storing.catch(() => undefined);
          unstored.add(storing);
          while (unstored.size >= MAX_UNSTORED_FILES) await Promise.race(unstored);
        }
      }
    };
    await Promise.all(Array.from({ length: this.#parsers.max }, work));
    await Promise.all(unstored);
  }

  async #storeOfProject(
    { projectId }: IndexFilesRequest,
    result: FileResult,
    batcher: StoreBatcher,
    run: ProjectRun,
    context: CallContext,
  ): Promise<void> {
    if (result.kind === FileResultKind.SKIPPED) {
      run.skipped(result.path);
      return;
    }
    const file: FileOfCall = { projectId, path: result.path, caller: "IndexProject" };
    try {
      const response = await this.#healing(file, context, () =>
        this.#store(result, (payload) => batcher.store(payload), context),
      );
      run.indexed(fromBinary(IndexFileResponseSchema, response));
    } catch (error) {
      if (!(error instanceof FileFailedError)) throw error;
      run.failed(result.path, error.type, error.message);
    }
  }

  /**
   * The results of these files in order. A parser that dies or hangs costs the file that it was working on; the others go to
   * another process.
   */
  async *#parse(request: IndexFilesRequest, context: CallContext): AsyncGenerator<FileResult> {
    let { paths } = request;
    while (paths.length > 0) {
      let done = 0;
      try {
        const process = this.#parsers.leastBusy();
        const results = process.stream("indexFiles", encodeMessage({ ...request, paths }), context);
        for await (const message of results) {
          yield { path: paths[done] ?? "", kind: message.readUInt8(0) as FileResultKind, payload: message.subarray(1) };
          done++;
        }
        return;
      } catch (error) {
        const failure = parserFailure(error, context);
        if (failure !== null) {
          const path = paths[done] ?? "";
          const payload = encodeMessage(fileFailure(request.projectId, path, failure.type, failure.error));
          yield { path, kind: FileResultKind.FAILURE, payload };
          done++;
        }
        paths = paths.slice(done);
      }
    }
  }

  /** Stores what a parser made of one file; resolves with the encoded `IndexFileResponse`. */
  async #store(
    { kind, payload }: FileResult,
    storeFile: (payload: Buffer) => Promise<Uint8Array>,
    context: CallContext,
  ): Promise<Uint8Array> {
    switch (kind) {
      case FileResultKind.UNCHANGED:
        return payload;
      case FileResultKind.STORE:
        return await storeFile(payload);
      case FileResultKind.SKIPPED:
        throw new DriverError("INTERNAL", "The parser skipped a file that was asked for.");
      case FileResultKind.REFUSED:
        throw DriverError.fromJSON(decodeMessage<SerializedDriverError>(payload));
      case FileResultKind.FAILURE: {
        const failure = decodeMessage<FileFailure>(payload);
        await this.#writer.write("storeFailure", payload, context);
        throw new FileFailedError(failure.type, failure.error);
      }
    }
  }

  /**
   * Runs `attempt`. When it fails because the database is between two statements of a migration, the failure is logged and
   * stored, recovery is run, and `attempt` runs once more.
   */
  async #healing<T>(file: FileOfCall, context: CallContext, attempt: () => Promise<T>): Promise<T> {
    try {
      return await attempt();
    } catch (thrown) {
      const error = DriverError.from(thrown);
      if (!DATABASE_REASONS.has(error.reason)) throw thrown;
      const request = encodeMessage({ message: error.message });
      const { isTemporary } = decodeMessage<InspectedTables>(
        await this.#writer.write("inspectTempTables", request, context),
      );
      const stored = await this.#storeDatabaseFailure(file, error, context);
      if (!isTemporary) throw error;
      const fields = { project: file.projectId, file: file.path, caller: file.caller };
      this.#log("error", `[index_file] temp_files-related failure: ${error.message}`, fields);
      if (stored) this.#log("error", `[indexing_errors] Stored temp_files-related error: ${error.message}`, fields);
    }
    await this.#writer.write("recover", Buffer.alloc(0), context);
    this.#log("warn", "[index_file] recovery has run; the file is tried once more", { file: file.path });
    const result = await attempt();
    this.#log("info", "[index_file] the file was indexed after recovery", { file: file.path });
    return result;
  }

  async #storeDatabaseFailure(file: FileOfCall, error: DriverError, context: CallContext): Promise<boolean> {
    const failure = fileFailure(file.projectId, file.path, "db_error", error);
    try {
      await this.#writer.write("storeFailure", encodeMessage(failure), context);
      return true;
    } catch (storeError) {
      const reason = DriverError.from(storeError).message;
      this.#log("error", "[indexing_errors] the failure could not be stored", { file: file.path, reason });
      return false;
    }
  }
}

/** A file that could not be indexed; its failure is stored. */
class FileFailedError extends DriverError {
  readonly type: IndexingErrorType;

  constructor(type: IndexingErrorType, { reason, message, ...options }: SerializedDriverError) {
    super(reason, message, options);
    this.type = type;
  }
}

/** What the end of a parser process says about the file it was working on; null when the file may be tried again. */
function parserFailure(
  error: unknown,
  { signal }: CallContext,
): { type: IndexingErrorType; error: DriverError } | null {
  if (signal.aborted) throw error;
  if (error instanceof WorkerLostError) {
    if (!error.wasRunning) return null;
    const crash = new DriverError("FILE_NOT_INDEXABLE", "The parser process died while it worked on the file.");
    return { type: "crash", error: crash };
  }
  if (error instanceof DriverError && error.reason === "DEADLINE_EXCEEDED") {
    const timeout = new DriverError("FILE_NOT_INDEXABLE", "The file took too long to parse.");
    return { type: "timeout", error: timeout };
  }
  throw error;
}

function fileFailure(projectId: string, path: string, type: IndexingErrorType, error: DriverError): FileFailure {
  return { projectId, path, type, error: error.toJSON() };
}

function missing(field: string): DriverError {
  return new DriverError("INVALID_REQUEST", `The request has no ${field}.`, { field });
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const collected: T[] = [];
  for await (const item of items) collected.push(item);
  return collected;
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
