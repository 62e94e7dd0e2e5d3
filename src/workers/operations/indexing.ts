import { resolve } from "node:path";
import { createEdgeResolver, type EdgeResolver } from "../../indexer/cross-references.js";
import { createFailureStore } from "../../indexer/failure-store.js";
import { createFileStore, type FileChange, type FileStore } from "../../indexer/store.js";
import { monotonicMs } from "../../observability/clock.js";
import { isFileThere } from "../../source-tree/project-walk.js";
import type { Statement } from "../../sqlite/connection.js";
import {
  decodeMessage,
  encodeMessage,
  type FileFailure,
  type FileOutcome,
  type FinishedProject,
  type FinishProjectRequest,
  NO_ROWS,
  type RemoveFileRequest,
  type StoreFileRequest,
} from "../index-messages.js";
import type { WriterSession } from "../writer-session.js";
import type { ExclusiveOperation, WriteOperation } from "./operation.js";

/** What the writer keeps for indexing, beside its session. */
interface IndexWriter {
  readonly store: FileStore;
  readonly edges: EdgeResolver;
  /** The root directory of a project. */
  readonly findRoot: Statement<string, [string]>;
  /** Files whose edges to other files wait for the end of an IndexProject, by project. */
  readonly unresolved: Map<string, FileChange[]>;
  /** Projects with such files of an earlier process; which files those are, nobody knows any more. */
  readonly leftovers: Set<string>;
}

const indexWriters = new WeakMap<WriterSession, IndexWriter>();

/** Made when it is first needed: its statements compile only in a database that has the tables. */
function indexWriterOf(session: WriterSession): IndexWriter {
  let writer = indexWriters.get(session);
  if (writer === undefined) {
    const { connection } = session;
    writer = {
      store: createFileStore(connection),
      edges: createEdgeResolver(connection, () => session.bound.renew()),
      findRoot: connection.prepare<[string], string>("SELECT root_path FROM main.projects WHERE id = ?").pluck(),
      unresolved: new Map(),
      leftovers: new Set(session.tables.unresolvedProjects()),
    };
    indexWriters.set(session, writer);
  }
  return writer;
}

/** Stores what parsers made of some files, all or none: encoded `StoreFileRequest`s; answers the `FileOutcome` of each. */
export const storeFiles: WriteOperation = (session, bytes) =>
  encodeMessage(decodeMessage<Uint8Array[]>(bytes).map((request) => storeOne(session, request)));

/** Stores what a parser made of a file (`StoreFileRequest`); answers a `FileOutcome`. */
export const storeFile: WriteOperation = (session, bytes) => encodeMessage(storeOne(session, bytes));

function storeOne(session: WriterSession, bytes: Uint8Array): FileOutcome {
  const { file, isPartOfProject } = decodeMessage<StoreFileRequest>(bytes);
  const { projectId, parsed } = file;
  const { store, edges, unresolved } = indexWriterOf(session);
  const change = store.storeFile(file);
  const [problem] = parsed.problems;
  if (problem !== undefined) session.onIndexingError(problem.type);
  if (isPartOfProject) {
    session.tables.markUnresolved(projectId);
    const changes = unresolved.get(projectId);
    if (changes === undefined) unresolved.set(projectId, [change]);
    else changes.push(change);
  } else {
    edges.resolve(projectId, [change]);
  }
  return {
    kind: "stored",
    relativePath: file.relativePath,
    fileId: change.fileId,
    language: parsed.language,
    lines: parsed.lineCount,
    counts: isPartOfProject ? change.counts : store.countRows(change.fileId),
    problems: parsed.problems,
    commitSeq: session.commitSeq,
  };
}

/** Removes the rows of a file (`RemoveFileRequest`); answers a `FileOutcome`. */
export const removeFile: WriteOperation = (session, bytes) => {
  const { projectId, path, relativePath } = decodeMessage<RemoveFileRequest>(bytes);
  const { store, edges } = indexWriterOf(session);
  const change = store.removeFile(projectId, path);
  if (change !== null) edges.resolve(projectId, [change]);
  return encodeMessage({
    ...NO_ROWS,
    kind: "removed",
    relativePath,
    commitSeq: session.commitSeq,
  } satisfies FileOutcome);
};

/** Stores why a file could not be indexed (`FileFailure`), under its absolute path. */
export const storeFailure: WriteOperation = ({ connection, onIndexingError }, bytes) => {
  const { projectId, path, type, error } = decodeMessage<FileFailure>(bytes);
  const root: unknown = connection.prepare("SELECT root_path FROM main.projects WHERE id = ?").pluck().get(projectId);
  createFailureStore(connection).store(
    projectId,
    typeof root === "string" ? resolve(root, path) : path,
    type,
    error.message,
  );
  onIndexingError(type);
  return Buffer.alloc(0);
};

/**
 * Ends an IndexProject (`FinishProjectRequest`): removes the files that are gone and resolves the edges between files. Answers a
 * `FinishedProject`.
 */
export const finishProject: ExclusiveOperation = (session, bytes) => {
  const { projectId, gonePaths, excludedPaths } = decodeMessage<FinishProjectRequest>(bytes);
  const { store, edges, unresolved, leftovers } = indexWriterOf(session);
  const finished = session.commitAlone((): FinishedProject => {
    const lookedMs = monotonicMs();
    const returnedPaths = gonePaths.filter(isFileThere);
    const isBack = new Set(returnedPaths);
    const removed = [...gonePaths.filter((path) => !isBack.has(path)), ...excludedPaths]
      .map((path) => {
        session.bound.renew();
        return store.removeFile(projectId, path);
      })
      .filter((change) => change !== null);
    const crossReferences = leftovers.has(projectId)
      ? edges.resolveAll(projectId)
      : edges.resolve(projectId, [...(unresolved.get(projectId) ?? []), ...removed]);
    session.tables.clearUnresolved(projectId);
    return { filesRemoved: removed.length, crossReferences, returnedPaths, lookedMs };
  });
  unresolved.delete(projectId);
  leftovers.delete(projectId);
  return encodeMessage(finished);
};
