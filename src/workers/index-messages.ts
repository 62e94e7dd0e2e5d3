import { deserialize, serialize } from "node:v8";
import type { SerializedDriverError } from "../errors.js";
import type { IndexingErrorType } from "../indexer/entities.js";
import type { StoredFileInput } from "../indexer/stored-file.js";

/** Asks a parser process for files of a project. */
export interface IndexFilesRequest {
  readonly projectId: string;
  /** As the client gave them: absolute, or relative to the project's root. */
  readonly paths: readonly string[];
  /** Parse also what has not changed. */
  readonly force: boolean;
  /** Other files follow: edges between files are resolved once, after the last one, by `finishProject`. */
  readonly isPartOfProject: boolean;
}

/** Asks the writer to store what a parser made of a file. */
export interface StoreFileRequest {
  readonly file: StoredFileInput;
  readonly isPartOfProject: boolean;
}

/** Asks the writer to end an IndexProject: to remove the rows of files that are gone, and to resolve edges between files. */
export interface FinishProjectRequest {
  readonly projectId: string;
  /** Absolute. */
  readonly paths: readonly string[];
}

/** Asks a parser process which files a project has now. */
export interface ScanProjectRequest {
  readonly projectId: string;
  /** Only files at or below these paths, absolute or relative to the project's root; empty for all. */
  readonly paths: readonly string[];
}

export interface ProjectScan {
  /** The files to look at, relative to the project's root, in stable order. */
  readonly files: readonly string[];
  /** Absolute paths of stored files that are no longer there. */
  readonly deletedPaths: readonly string[];
  /** What could not be read, relative to the project's root, and why. */
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
}

export interface InspectedTables {
  readonly isTemporary: boolean;
}

export interface FinishedProject {
  readonly filesRemoved: number;
}

/** A file that could not be indexed; stored in `indexing_errors`. */
export interface FileFailure {
  readonly projectId: string;
  /** Absolute, links resolved; as the client gave it when no parser could tell. */
  readonly path: string;
  readonly type: IndexingErrorType;
  readonly error: SerializedDriverError;
}

/** What a parser answers for one file: what its `payload` is. */
export const FileResultKind = {
  /** The stored rows are up to date: an encoded `IndexFileResponse`. */
  UNCHANGED: 0,
  /** The writer's `storeFile` takes the rest as it is. */
  STORE: 1,
  /** An encoded `FileFailure`. */
  FAILURE: 2,
  /** The request itself is wrong (no such project, path outside it), nothing is stored: a `SerializedDriverError`. */
  REFUSED: 3,
  /** No source file, found on a walk through the project: nothing is stored, and nothing is wrong. */
  SKIPPED: 4,
} as const;
export type FileResultKind = (typeof FileResultKind)[keyof typeof FileResultKind];

/**
 * A value between two worker processes; the structured clone of V8 keeps strings as they are in memory. Its first bytes are no
 * tag of protobuf, so that nobody finds a field of a request in it by chance.
 */
export function encodeMessage(value: unknown): Buffer {
  return serialize(value);
}

export function decodeMessage<T>(bytes: Uint8Array): T {
  return deserialize(bytes) as T;
}

/** A parser's answer for one file. */
export interface FileResult {
  readonly kind: FileResultKind;
  /** Of the file's content; 0 when it was not read. */
  readonly bytesRead: number;
  readonly payload: Uint8Array;
}

const RESULT_HEAD_BYTES = 1 + 6;

export function encodeFileResult({ kind, bytesRead, payload }: FileResult): Buffer {
  const head = Buffer.alloc(RESULT_HEAD_BYTES);
  head.writeUInt8(kind);
  head.writeUIntBE(bytesRead, 1, 6);
  return Buffer.concat([head, payload]);
}

export function decodeFileResult(bytes: Buffer): FileResult {
  return {
    kind: bytes.readUInt8(0) as FileResultKind,
    bytesRead: bytes.readUIntBE(1, 6),
    payload: bytes.subarray(RESULT_HEAD_BYTES),
  };
}
