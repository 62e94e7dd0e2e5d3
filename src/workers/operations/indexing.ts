import { create, toBinary } from "@bufbuild/protobuf";
import { IndexFileResponseSchema } from "../../../gen/code_analysis/driver/v1/index_pb.js";
import { createEdgeResolver, type EdgeResolver } from "../../indexer/cross-references.js";
import { createFileStore, type FileChange, type FileStore } from "../../indexer/store.js";
import type { Connection } from "../../sqlite/connection.js";
import { decodeMessage, encodeMessage, type FileFailure, type FinishProjectRequest, type StoreFileRequest } from "../index-messages.js";
import type { UnaryOperation } from "./operation.js";

/** What the writer keeps for indexing, beside its connection. */
interface IndexWriter {
  readonly store: FileStore;
  readonly edges: EdgeResolver;
  /** Files of a running IndexProject whose edges are not resolved yet, by project. */
  readonly unresolved: Map<string, FileChange[]>;
}

const indexWriters = new WeakMap<Connection, IndexWriter>();

function indexWriterOf(connection: Connection): IndexWriter {
  let writer = indexWriters.get(connection);
  if (writer === undefined) {
    writer = { store: createFileStore(connection), edges: createEdgeResolver(connection), unresolved: new Map() };
    indexWriters.set(connection, writer);
  }
  return writer;
}

/** Stores what a parser made of a file; answers an encoded `IndexFileResponse`. */
export const storeFile: UnaryOperation = ({ connection, commitSeq }, bytes) => {
  const { file, isPartOfProject } = decodeMessage<StoreFileRequest>(bytes);
  const { store, edges, unresolved } = indexWriterOf(connection);
  const change = store.storeFile(file);
  if (isPartOfProject) {
    const changes = unresolved.get(file.projectId);
    if (changes === undefined) unresolved.set(file.projectId, [change]);
    else changes.push(change);
  } else {
    edges.resolve(file.projectId, [change]);
  }
  const counts = isPartOfProject ? change.counts : store.countRows(change.fileId);
  const { parsed } = file;
  const response = create(IndexFileResponseSchema, {
    fileId: BigInt(change.fileId),
    filePath: file.relativePath,
    language: parsed.language ?? "",
    lines: parsed.lineCount,
    counts: Object.fromEntries(Object.entries(counts).map(([name, count]) => [name, BigInt(count)])),
    problems: parsed.problems.map(({ type, message, line }) => ({ errorType: type, message, ...(line !== null && { line }) })),
    commitSeq,
  });
  return toBinary(IndexFileResponseSchema, response);
};
