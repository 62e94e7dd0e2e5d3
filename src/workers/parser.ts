/**
 * Entry file of a parser process: reads source files, compares them with the index, and parses those that have changed. It only
 * reads the database; the rows it makes go to the writer. A file that makes the parser crash or hang costs this process.
 */
import { hash } from "node:crypto";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { DriverError, messageOf, type Reason } from "../errors.js";
import type { IndexingErrorType } from "../indexer/entities.js";
import { extractionRules } from "../indexer/extraction-rules.js";
import { IndexingError } from "../indexer/indexing-error.js";
import { languageOf } from "../indexer/languages/registry.js";
import { parseSource } from "../indexer/parse.js";
import { createFileStore, type FileStore } from "../indexer/store.js";
import { monotonicMs } from "../observability/clock.js";
import {
  assertPath,
  type ProjectFile,
  type ProjectPath,
  ProjectRoot,
  readInProject,
  resolveInProject,
} from "../security/path-confinement.js";
import { isFileThere, isInProject, walkProject } from "../source-tree/project-walk.js";
import { type Connection, openConnection, type Statement } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { STREAM_WINDOW } from "./channel.js";
import { announce, exitWorker, type WorkerCall, WorkerHost, workerOptions } from "./host.js";
import {
  decodeMessage,
  encodeFileResult,
  encodeMessage,
  type FileFailure,
  type FileOutcome,
  type FileResult,
  FileResultKind,
  type IndexFilesRequest,
  type ProjectScan,
  type RemoveFileRequest,
  type ScanProjectRequest,
  type StoreFileRequest,
} from "./index-messages.js";
import type { DatabaseWorkerOptions } from "./reader.js";

/** The parser looks at the clock itself; the watchdog is for a parser that does not come back. */
const HANG_GRACE_MS = 2_000;

/** So many files and directories of a project are walked between two looks whether somebody still waits for the scan. */
const ENTRIES_PER_TURN = 256;

/** So long files without news are looked at in one turn of the event loop, in milliseconds: a turn for each takes a tenth of a run. */
const TURN_MS = 5;

/** As much of a file as tells whether it is text, and what a `#!` line says. */
const SNIFFED_BYTES = 8_192;
const EMPTY = Buffer.alloc(0);

/** Results that nobody acts on: they leave with the next other one. A message for each would cost more than the file. */
const WAITING_KINDS: ReadonlySet<FileResultKind> = new Set([FileResultKind.UNCHANGED, FileResultKind.SKIPPED]);

/** Failures of one file, and what `indexing_errors` calls them; every other failure is the call's. */
const ERROR_TYPE_OF_REASON: Partial<Record<Reason, IndexingErrorType>> = {
  FILE_NOT_FOUND: "io_error",
  FILE_NOT_READABLE: "io_error",
};

const { databasePath, limits } = workerOptions<DatabaseWorkerOptions>();
const calls: WorkerCall[] = [];
const cancelled = new Set<number>();
const credits = new Map<number, { count: number; wake: () => void }>();
let isWorking = false;

/** What the parser looks up in the index. */
interface Index {
  readonly store: FileStore;
  readonly findRoot: Statement;
}
let connection: Connection | undefined;
let openedIndex: Index | undefined;

const host = new WorkerHost({
  onCall: (call) => {
    calls.push(call);
    credits.set(call.id, { count: STREAM_WINDOW, wake: () => undefined });
    if (!isWorking) void work();
  },
  // Ended where the parser comes to it.
  onCancel: (callId) => {
    if (credits.has(callId)) cancelled.add(callId);
    credits.get(callId)?.wake();
    return false;
  },
  onPull: (callId) => {
    const credit = credits.get(callId);
    if (credit === undefined) return;
    credit.count++;
    credit.wake();
  },
});

async function work(): Promise<void> {
  isWorking = true;
  for (let call = calls.shift(); call !== undefined; call = calls.shift()) {
    try {
      if (call.operation === "scanProject") await scanProject(call);
      else if (call.operation === "indexFiles") await indexFiles(call);
      else throw new DriverError("INTERNAL", `A parser has no operation ${call.operation}.`);
    } catch (error) {
      host.fail(call.id, fromSqliteError(error));
    }
    host.rest();
    credits.delete(call.id);
    cancelled.delete(call.id);
  }
  isWorking = false;
}

async function indexFiles(call: WorkerCall): Promise<void> {
  const request = decodeMessage<IndexFilesRequest>(call.request);
  let root: ProjectRoot | undefined;
  // Looked up for a file: where it cannot be, the file fails and not the call.
  const rootOfCall = (): ProjectRoot => {
    root ??= rootOf(request.projectId);
    return root;
  };
  let parts: Uint8Array[] = [];
  let turnEndMs = 0;
  for (const [item, path] of request.paths.entries()) {
    const isNothingWaiting = parts.length === 0;
    if (isNothingWaiting || monotonicMs() >= turnEndMs) {
      if (!(await isStillWanted(call))) break;
      turnEndMs = monotonicMs() + TURN_MS;
    }
    host.begin(call.id, item);
    host.guard.enter(call.id, monotonicMs() + limits.maxParseMs + HANG_GRACE_MS);
    let result: FileResult;
    try {
      result = await indexFile(request, path, rootOfCall);
    } finally {
      host.guard.leave();
    }
    parts.push(...encodeFileResult(result));
    const isLast = item === request.paths.length - 1;
    if (!isLast && WAITING_KINDS.has(result.kind)) continue;
    host.rest();
    await creditFor(call.id);
    if (cancelled.has(call.id)) break;
    host.message(call.id, ...parts);
    parts = [];
  }
  host.end(call.id);
}

/** Asked before what may occupy this thread for long: what is done leaves meanwhile, and who is gone is heard. */
async function isStillWanted({ id }: WorkerCall): Promise<boolean> {
  await host.giveWay();
  return !cancelled.has(id);
}

/** Waits until the main process can take one more message. */
async function creditFor(callId: number): Promise<void> {
  const credit = credits.get(callId);
  if (credit === undefined) return;
  while (credit.count === 0 && !cancelled.has(callId)) {
    await new Promise<void>((resolve) => {
      credit.wake = resolve;
    });
  }
  credit.count--;
}

async function indexFile(request: IndexFilesRequest, path: string, rootOfCall: () => ProjectRoot): Promise<FileResult> {
  const { projectId, isPartOfProject, isReconciling } = request;
  const readMs = monotonicMs();
  let file: ProjectFile | undefined;
  const result = (kind: FileResultKind, payload: Uint8Array, absolute = file?.path ?? ""): FileResult => ({
    kind,
    bytesRead: file?.bytes.length ?? 0,
    readMs,
    file: absolute,
    payload,
  });
  const gone = ({ path: absolute, relativePath }: ProjectPath): FileResult => {
    const request: RemoveFileRequest = { projectId, path: absolute, relativePath };
    return result(FileResultKind.GONE, encodeMessage(request), absolute);
  };
  try {
    // First of all: a later failure is stored with the path.
    assertPath(path, "file_path");
    const root = rootOfCall();
    if (isReconciling) {
      const relativePath = pathInProject(root.path, path, "file_path");
      if (!isOfProject(root.path, relativePath)) {
        return gone({ path: resolve(root.path, relativePath), relativePath });
      }
    }
    const isOfNoLanguage = (isPartOfProject || isReconciling) && languageOf(path, () => "") === null;
    const skip = (place: ProjectPath): FileResult =>
      index().store.hasPath(projectId, place.path) ? gone(place) : result(FileResultKind.SKIPPED, EMPTY);
    if (isOfNoLanguage) {
      // Its first bytes only, so that a large binary file is not read for nothing.
      const head = readInProject(root, path, SNIFFED_BYTES);
      if (head.bytes.includes(0)) return skip(head);
    }
    file = readInProject(root, path, limits.maxFileBytes);
    if (isOfNoLanguage && file.bytes.length > limits.maxFileBytes) return skip(file);
    const { kind, payload } = await indexBytes(request, file);
    return result(kind, payload);
  } catch (thrown) {
    if (thrown instanceof IndexingError && thrown.type === "crash") return await die(thrown);
    const error = fromSqliteError(thrown);
    const type = thrown instanceof IndexingError ? thrown.type : ERROR_TYPE_OF_REASON[error.reason];
    if (type === undefined) return result(FileResultKind.REFUSED, encodeMessage(error.toJSON()));
    const failure: FileFailure = {
      projectId,
      path: absolutePath(rootOfCall(), path),
      type,
      error: error.toJSON(),
    };
    return result(FileResultKind.FAILURE, encodeMessage(failure), failure.path);
  }
}

/** The memory of a parser that failed cannot be trusted: the process ends, which is told of the file it was working on. */
function die({ message }: IndexingError): Promise<never> {
  host.log("error", "a parser failed", { reason: message });
  host.flush();
  exitWorker(1);
  return new Promise(() => undefined);
}

/** The path by which `files` knows the file, or would; of one that is not there, as far as the name says. */
function absolutePath(root: ProjectRoot, path: string): string {
  try {
    return resolveInProject(root, path).path;
  } catch {
    return resolve(root.path, path);
  }
}

async function indexBytes(
  { projectId, force, isPartOfProject }: IndexFilesRequest,
  file: ProjectFile,
): Promise<Pick<FileResult, "kind" | "payload">> {
  const { bytes } = file;
  const contentHash = hash("sha256", bytes, "hex");
  const known = index().store.findFile(projectId, file.path);
  if (!force && known?.contentHash === contentHash) {
    // Nobody sees what is stored of a whole project's files, and counting takes longer than reading.
    if (isPartOfProject && known.problem === null) return { kind: FileResultKind.UNCHANGED, payload: EMPTY };
    const unchanged: FileOutcome = {
      kind: "unchanged",
      relativePath: file.relativePath,
      fileId: known.id,
      language: known.language,
      lines: known.lines ?? 0,
      counts: isPartOfProject ? null : index().store.countRows(known.id),
      problems: known.problem === null ? [] : [known.problem],
      commitSeq: 0n,
    };
    return { kind: FileResultKind.UNCHANGED, payload: encodeMessage(unchanged) };
  }
  const parsed = await parseSource(bytes, file.relativePath, {
    maxBytes: limits.maxFileBytes,
    timeoutMs: limits.maxParseMs,
  });
  const storeRequest: StoreFileRequest = {
    isPartOfProject,
    file: {
      projectId,
      path: file.path,
      relativePath: file.relativePath,
      size: bytes.length,
      contentHash,
      lastModified: file.mtimeMs / 1_000,
      parsed,
      rules: extractionRules(parsed.language),
    },
  };
  return { kind: FileResultKind.STORE, payload: encodeMessage(storeRequest) };
}

/** A scan has no limit but its caller's patience: it ends when that does, in a system call that does not return as well. */
async function scanProject(call: WorkerCall): Promise<void> {
  host.guard.enter(call.id, call.deadlineMs + HANG_GRACE_MS);
  try {
    const walked = await walk(call);
    if (walked === null) host.end(call.id);
    else host.respond(call.id, encodeMessage(walked));
  } finally {
    host.guard.leave();
  }
}

/** Null when the scan is not wanted any more. */
async function walk(call: WorkerCall): Promise<ProjectScan | null> {
  const { projectId, paths } = decodeMessage<ScanProjectRequest>(call.request);
  const root = rootOf(projectId).path;
  const files: string[] = [];
  const unreadable: { path: string; message: string }[] = [];
  let entries = 0;
  for (const found of walkProject(root)) {
    if (entries++ % ENTRIES_PER_TURN === 0 && !(await isStillWanted(call))) return null;
    if (found.kind === "file") files.push(found.relativePath);
    else if (found.kind === "unreadable") unreadable.push({ path: found.relativePath, message: found.message });
  }
  const wanted = paths.map((path) => pathInProject(root, path, "paths"));
  const isWanted = (path: string): boolean =>
    wanted.length === 0 || wanted.some((start) => start === "" || path === start || path.startsWith(`${start}/`));
  // What cannot be read, or lies in a directory that cannot be, may still be there.
  const isKnown = (path: string): boolean =>
    !unreadable.some((other) => other.path === "" || path === other.path || path.startsWith(`${other.path}/`));
  const found = new Set(files);
  const removable = index()
    .store.listPaths(projectId)
    .filter((path) => {
      const inProject = relative(root, path).replaceAll(sep, "/");
      return !found.has(inProject) && isWanted(inProject) && isKnown(inProject);
    });
  return {
    files: files.filter(isWanted),
    unreadable: unreadable.filter(({ path }) => isWanted(path)),
    gonePaths: removable.filter((path) => !isFileThere(path)),
    excludedPaths: removable.filter(isFileThere),
  };
}

/** Whether a walk would find the file; one that cannot be looked at may still be there. */
function isOfProject(root: string, relativePath: string): boolean {
  try {
    return isInProject(root, relativePath);
  } catch (cause) {
    const what = messageOf(cause);
    throw new DriverError("FILE_NOT_READABLE", `It cannot be said whether ${relativePath} is there: ${what}.`, {
      cause,
    });
  }
}

/** What is asked for may be gone by now, so its links cannot be resolved; the walk follows none. */
function pathInProject(root: string, path: string, field: string): string {
  const inProject = relative(root, resolve(root, path));
  if (inProject === ".." || inProject.startsWith(`..${sep}`) || isAbsolute(inProject)) {
    throw new DriverError("PATH_OUTSIDE_PROJECT", `${path} lies outside the project's root directory ${root}.`, {
      field,
    });
  }
  return inProject.replaceAll(sep, "/");
}

function rootOf(projectId: string): ProjectRoot {
  const root: unknown = index().findRoot.get(projectId);
  if (typeof root === "string") return new ProjectRoot(root);
  throw new DriverError("PROJECT_NOT_FOUND", `There is no project ${projectId}.`, {
    field: "project_id",
    hint: "Register its root directory with RegisterProject first.",
  });
}

/** Opened when it is first needed: a database that cannot be read fails the call and not the process. */
function index(): Index {
  connection ??= openConnection(databasePath, { role: "reader" });
  openedIndex ??= {
    store: createFileStore(connection),
    findRoot: connection.prepare("SELECT root_path FROM main.projects WHERE id = ?").pluck(),
  };
  return openedIndex;
}

await announce(host, () => ({}));
