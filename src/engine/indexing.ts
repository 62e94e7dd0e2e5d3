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
  decodeFileResult,
  decodeMessage,
  encodeMessage,
  type FileFailure,
  type FileResult,
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
const MAX_UNSTORED_FILES = 96;
/** Time between two progress messages, in milliseconds. */
const PROGRESS_INTERVAL_MS = 100;
/** How often a scan is begun when the parser process dies. */
const MAX_SCAN_ATTEMPTS = 3;
const EMPTY = Buffer.alloc(0);

/**
 * Failures of the database that another try soon would meet again, as opposed to those of a file, of the request, or of the
 * moment (a full queue, a lock, a deadline); what a temporary table can be behind.
 */
const DATABASE_REASONS: ReadonlySet<Reason> = new Set<Reason>([
  "SQL_ERROR",
  "TEMP_TABLE_STATE",
  "CONSTRAINT_UNIQUE",
  "CONSTRAINT_FOREIGN_KEY",
  "CONSTRAINT_CHECK",
  "CONSTRAINT_NOT_NULL",
  "CONSTRAINT_TRIGGER",
  "CONSTRAINT_DATATYPE",
  "INTERNAL",
]);

/** A parser's answer for the file at `path`, as it was asked for. */
interface ParsedPath extends FileResult {
  readonly path: string;
}

/** What is being indexed, for the log and for `indexing_errors`. */
interface FileOfCall {
  readonly projectId: string;
  /** Not set for what concerns the whole project. */
  readonly path?: string;
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
      const parsed = await this.#parseOne(request, filePath, context);
      return await this.#store(parsed, (payload) => this.#writer.write("storeFile", payload, context), context);
    });
  }

  /** `IndexProject`; encoded `IndexProjectResponse` messages, the last one with the summary. */
  async *indexProject(bytes: Buffer, context: CallContext): AsyncGenerator<Uint8Array> {
    const { projectId, paths, force } = decodeRequest(IndexProjectRequestSchema, bytes);
    if (projectId === "") throw missing("project_id");
    const run = new ProjectRun();
    yield run.progressMessage();

    const project: FileOfCall = { projectId, caller: "IndexProject" };
    const scan = await this.#healing(project, context, () => this.#scan({ projectId, paths }, context));
    run.setTotal(scan.files.length + scan.unreadable.length);
    for (const { path, message } of scan.unreadable) run.failed(path, "io_error", message);
    run.enter(IndexPhase.INDEXING);

    const abort = new AbortController();
    const bounded = { ...context, signal: AbortSignal.any([context.signal, abort.signal]) };
    // Every file under way listens; Node takes more than ten for a leak.
    setMaxListeners(0, bounded.signal);
    let isDone = false;
    let isFinished = false;
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
      const { deletedPaths } = scan;
      run.deleted(await this.#healing(project, context, () => this.#finish(projectId, deletedPaths, context)));
      isFinished = true;
      yield run.summaryMessage();
    } finally {
      // The client went away: what is stored stays, the rest is not begun.
      abort.abort();
      if (!isFinished) {
        await work.catch(() => undefined);
        await this.#resolveEdges(projectId, context);
      }
    }
  }

  async #scan(request: ScanProjectRequest, context: CallContext): Promise<ProjectScan> {
    for (let attempt = 1; ; attempt++) {
      try {
        const scan = await this.#parsers.leastBusy().call("scanProject", encodeMessage(request), context);
        return decodeMessage<ProjectScan>(scan);
      } catch (error) {
        // The file of another call, for which this one waited, may have ended the parser.
        if (!(error instanceof WorkerLostError) || attempt === MAX_SCAN_ATTEMPTS) throw error;
      }
    }
  }

  /** Removes the rows of files that are gone, and resolves the edges between files. @returns how many files were removed. */
  async #finish(projectId: string, paths: readonly string[], context: CallContext): Promise<number> {
    const request: FinishProjectRequest = { projectId, paths };
    const answer = await this.#writer.write("finishProject", encodeMessage(request), context);
    return decodeMessage<FinishedProject>(answer).filesRemoved;
  }

  /** Connects the files that a run has stored which did not come to its end. */
  async #resolveEdges(projectId: string, context: CallContext): Promise<void> {
    const signal = new AbortController().signal;
    try {
      await this.#finish(projectId, [], { ...context, deadlineMs: Number.POSITIVE_INFINITY, signal });
    } catch (error) {
      // The database knows that they are missing, and the next connect makes them.
      const { message } = DriverError.from(error);
      this.#log("warn", "the files of an unfinished IndexProject are not connected yet", {
        projectId,
        reason: message,
      });
    }
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
          run.read(result.bytesRead);
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
    request: IndexFilesRequest,
    result: ParsedPath,
    batcher: StoreBatcher,
    run: ProjectRun,
    context: CallContext,
  ): Promise<void> {
    if (result.kind === FileResultKind.SKIPPED) {
      run.skipped(result.path);
      return;
    }
    const file: FileOfCall = { projectId: request.projectId, path: result.path, caller: "IndexProject" };
    let latest: FileResult | undefined = result;
    try {
      const response = await this.#healing(file, context, async () => {
        const parsed = latest ?? (await this.#parseOne(request, result.path, context));
        latest = undefined;
        return await this.#store(parsed, (payload) => batcher.store(payload), context);
      });
      run.indexed(fromBinary(IndexFileResponseSchema, response));
    } catch (error) {
      if (!(error instanceof FileFailedError)) throw error;
      run.failed(result.path, error.type, error.message);
    }
  }

  async #parseOne(request: IndexFilesRequest, path: string, context: CallContext): Promise<FileResult> {
    for await (const result of this.#parse({ ...request, paths: [path] }, context)) return result;
    throw new DriverError("INTERNAL", `The parser gave no answer for ${path}.`);
  }

  /**
   * The results of these files in order. A parser that dies or hangs costs the file that it was working on; the others go to
   * another process.
   */
  async *#parse(request: IndexFilesRequest, context: CallContext): AsyncGenerator<ParsedPath> {
    let { paths } = request;
    while (paths.length > 0) {
      let done = 0;
      try {
        const process = this.#parsers.leastBusy();
        const results = process.stream("indexFiles", encodeMessage({ ...request, paths }), context);
        for await (const message of results) {
          yield { path: paths[done] ?? "", ...decodeFileResult(message) };
          done++;
        }
        return;
      } catch (error) {
        const failure = parserFailure(error, context);
        if (failure !== null) {
          const path = paths[done] ?? "";
          const payload = encodeMessage(fileFailure(request.projectId, path, failure.type, failure.error));
          yield { path, kind: FileResultKind.FAILURE, bytesRead: 0, payload };
          done++;
        }
        paths = paths.slice(done);
      }
    }
  }

  /** Stores what a parser made of one file; resolves with the encoded `IndexFileResponse`. */
  async #store(
    { kind, payload }: FileResult,
    storeFile: (payload: Uint8Array) => Promise<Uint8Array>,
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
   * Runs `attempt`. A failure of the database is stored and, when the database is or was between two statements of a migration,
   * logged; recovery is then run, and `attempt` once more.
   *
   * @throws FileFailedError a failure of the database that is stored; everything else as `attempt` threw it.
   */
  async #healing<T>(file: FileOfCall, context: CallContext, attempt: () => Promise<T>): Promise<T> {
    let failure: DriverError;
    try {
      return await attempt();
    } catch (thrown) {
      failure = databaseFailure(thrown);
    }
    const isTemporary = await this.#isTemporary(failure, context);
    const fields = { project: file.projectId, file: file.path, caller: file.caller };
    if (isTemporary) this.#log("error", `[index_file] temp_files-related failure: ${failure.message}`, fields);
    const isStored = await this.#storeDatabaseFailure(file, failure, context);
    if (!isTemporary) throw isStored ? new FileFailedError("db_error", failure.toJSON()) : failure;
    if (isStored) {
      this.#log("error", `[indexing_errors] Stored temp_files-related failure: ${failure.message}`, fields);
    }

    try {
      await this.#writer.write("recover", EMPTY, context);
      const result = await attempt();
      this.#log("info", "[index_file] succeeded after recovery", fields);
      return result;
    } catch (thrown) {
      const { message } = databaseFailure(thrown);
      this.#log("error", `[index_file] failed again after recovery: ${message}`, fields);
      const error = new DriverError("TEMP_TABLE_STATE", message, {
        hint: "A migration was interrupted and recovery could not undo it; run `config_cli doctor`.",
        cause: thrown,
      });
      throw isStored ? new FileFailedError("db_error", error.toJSON()) : error;
    }
  }

  async #isTemporary({ message }: DriverError, context: CallContext): Promise<boolean> {
    const answer = await this.#writer.write("inspectTempTables", encodeMessage({ message }), context);
    return decodeMessage<InspectedTables>(answer).isTemporary;
  }

  async #storeDatabaseFailure({ projectId, path }: FileOfCall, error: DriverError, context: CallContext) {
    if (path === undefined) return false;
    try {
      await this.#writer.write("storeFailure", encodeMessage(fileFailure(projectId, path, "db_error", error)), context);
      return true;
    } catch (storeError) {
      const reason = DriverError.from(storeError).message;
      this.#log("error", "[indexing_errors] the failure could not be stored", {
        project: projectId,
        file: path,
        reason,
      });
      return false;
    }
  }
}

/** What was thrown, when it is a failure of the database; throws it again when it is another one. */
function databaseFailure(thrown: unknown): DriverError {
  const error = DriverError.from(thrown);
  if (thrown instanceof FileFailedError || !DATABASE_REASONS.has(error.reason)) throw thrown;
  return error;
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

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
}
