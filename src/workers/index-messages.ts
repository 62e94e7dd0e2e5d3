import { deserialize, serialize } from "node:v8";
import type { SerializedDriverError } from "../errors.js";
import type { IndexingErrorType } from "../indexer/entities.js";
import type { RowCounts, StoredProblem } from "../indexer/store.js";
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
  /** Do what an IndexProject would: remove the rows of a file that the project does not have, pass over what is no source. */
  readonly isReconciling: boolean;
}

/** Asks the writer to store what a parser made of a file. */
export interface StoreFileRequest {
  readonly file: StoredFileInput;
  readonly isPartOfProject: boolean;
}

/** Asks the writer to remove the rows of a file that a project does not have any more. */
export interface RemoveFileRequest {
  readonly projectId: string;
  /** Absolute. */
  readonly path: string;
  /** From the root directory of the project, divided by `/`. */
  readonly relativePath: string;
}

/** Asks the writer to end an IndexProject: to remove the rows of files that are gone, and to resolve edges between files. */
export interface FinishProjectRequest extends RemovableFiles {
  readonly projectId: string;
}

/** Stored files that are no longer files of the project; absolute paths. */
export interface RemovableFiles {
  /** They were not there. Whether that is still so is looked at when they are removed. */
  readonly gonePaths: readonly string[];
  /** They are there, and left out by the rules of the project. */
  readonly excludedPaths: readonly string[];
}

/** Asks a parser process which files a project has now. */
export interface ScanProjectRequest {
  readonly projectId: string;
  /** Only files at or below these paths, absolute or relative to the project's root; empty for all. */
  readonly paths: readonly string[];
}

export interface ProjectScan extends RemovableFiles {
  /** The files to look at, relative to the project's root, in stable order. */
  readonly files: readonly string[];
  /** What could not be read, relative to the project's root, and why. */
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
}

export interface InspectedTables {
  readonly isTemporary: boolean;
}

export interface FinishedProject {
  readonly filesRemoved: number;
  /** Edges between files that were written. */
  readonly crossReferences: number;
  /** Those of `gonePaths` that are there again, and were not removed. */
  readonly returnedPaths: readonly string[];
  /** When it was looked for them, on the clock of `monotonicMs()`. */
  readonly lookedMs: number;
}

/** A file that could not be indexed; stored in `indexing_errors`. */
export interface FileFailure {
  readonly projectId: string;
  /** Absolute, links resolved; as the client gave it when no parser could tell. */
  readonly path: string;
  readonly type: IndexingErrorType;
  readonly error: SerializedDriverError;
}

/** What became of a file that was to be indexed. */
export interface FileOutcome {
  readonly kind: "stored" | "unchanged" | "removed";
  /** From the root directory of the project, divided by `/`. */
  readonly relativePath: string;
  /** `files.id`; 0 when the file is not in the index. */
  readonly fileId: number;
  /** Null for a file that is stored as text only. */
  readonly language: string | null;
  readonly lines: number;
  /** The rows that it has; null when nobody wants to know. */
  readonly counts: RowCounts | null;
  readonly problems: readonly StoredProblem[];
  /** Number of the commit; 0 when nothing was written. */
  readonly commitSeq: bigint;
}

/** The outcome for a file of which there is nothing to say. */
export const NO_ROWS = { fileId: 0, language: null, lines: 0, counts: null, problems: [] } as const;

/** What a parser answers for one file: what its `payload` is. */
export const FileResultKind = {
  /** The stored rows are up to date: a `FileOutcome`; nothing for one of a whole project's files without a problem. */
  UNCHANGED: 0,
  /** The writer's `storeFile` takes the rest as it is. */
  STORE: 1,
  /** An encoded `FileFailure`. */
  FAILURE: 2,
  /** The request itself is wrong (no such project, path outside it), nothing is stored: a `SerializedDriverError`. */
  REFUSED: 3,
  /** No source file, found on a walk through the project: nothing is stored, and nothing is wrong. */
  SKIPPED: 4,
  /** The project does not have the file: what the writer's `removeFile` takes. */
  GONE: 5,
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
  /** When the read of the file began, on the clock of `monotonicMs()`. */
  readonly readMs: number;
  /** Absolute, links resolved, as far as that could be done; empty when nothing of the file is to be stored. */
  readonly file: string;
  readonly payload: Uint8Array;
}

const ResultOffset = { KIND: 0, BYTES_READ: 1, READ_MS: 7, FILE_BYTES: 15, PAYLOAD_BYTES: 19, FILE: 23 } as const;

/** The parts of a message, which may hold several results one after the other. */
export function encodeFileResult({ kind, bytesRead, readMs, file, payload }: FileResult): Uint8Array[] {
  const fileBytes = Buffer.from(file);
  const head = Buffer.allocUnsafe(ResultOffset.FILE);
  head.writeUInt8(kind, ResultOffset.KIND);
  head.writeUIntBE(bytesRead, ResultOffset.BYTES_READ, 6);
  head.writeDoubleBE(readMs, ResultOffset.READ_MS);
  head.writeUInt32BE(fileBytes.length, ResultOffset.FILE_BYTES);
  head.writeUInt32BE(payload.length, ResultOffset.PAYLOAD_BYTES);
  return [head, fileBytes, payload];
}

/** The results of one message. */
export function* decodeFileResults(message: Buffer): Generator<FileResult> {
  for (let rest = message; rest.length > 0; ) {
    const payloadStart = ResultOffset.FILE + rest.readUInt32BE(ResultOffset.FILE_BYTES);
    const end = payloadStart + rest.readUInt32BE(ResultOffset.PAYLOAD_BYTES);
    yield {
      kind: rest.readUInt8(ResultOffset.KIND) as FileResultKind,
      bytesRead: rest.readUIntBE(ResultOffset.BYTES_READ, 6),
      readMs: rest.readDoubleBE(ResultOffset.READ_MS),
      file: rest.toString("utf8", ResultOffset.FILE, payloadStart),
      payload: rest.subarray(payloadStart, end),
    };
    rest = rest.subarray(end);
  }
}
