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
  /** Only files at or below these paths; empty for all. */
  readonly paths: readonly string[];
}

export interface ProjectScan {
  /** Absolute paths of the files to look at, in stable order. */
  readonly files: readonly string[];
  /** Absolute paths of stored files that are no longer there. */
  readonly deletedPaths: readonly string[];
  /** Directories that could not be read, and why. */
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

/** What a parser answers for one file: one byte that says what follows. */
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

/** A value between two worker processes; the structured clone of V8 keeps strings as they are in memory. */
export function encodeMessage(value: unknown): Buffer {
  return serialize(value);
}

export function decodeMessage<T>(bytes: Uint8Array): T {
  return deserialize(bytes) as T;
}

export function fileResult(kind: FileResultKind, payload: Uint8Array): Buffer {
  return Buffer.concat([Buffer.of(kind), payload]);
}
