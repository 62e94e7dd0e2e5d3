import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type IndexFailureSchema,
  IndexPhase,
  IndexProgressSchema,
  IndexProjectResponseSchema,
  RowCountsSchema,
} from "../../gen/code_analysis/driver/v1/index_pb.js";
import { monotonicMs } from "../observability/clock.js";
import type { FileOutcome } from "../workers/index-messages.js";

/** What one `IndexProject` call has done so far, and the messages that tell its client. */
export class ProjectRun {
  readonly #startedMs = monotonicMs();
  readonly #progress = create(IndexProgressSchema, { phase: IndexPhase.SCANNING });
  readonly #counts = create(RowCountsSchema);
  readonly #filesByLanguage: Record<string, bigint> = {};
  #failures: MessageInitShape<typeof IndexFailureSchema>[] = [];
  #filesWithProblems = 0n;

  enter(phase: IndexPhase): void {
    this.#progress.phase = phase;
  }

  /** So many more files are to be looked at. */
  expect(files: number): void {
    this.#progress.filesTotal += BigInt(files);
  }

  /** So much source text was read. */
  read(bytes: number): void {
    this.#progress.bytesRead += BigInt(bytes);
  }

  deleted(files: number): void {
    this.#progress.filesDeleted += BigInt(files);
  }

  /** So many edges between files were written. */
  connected(crossReferences: number): void {
    this.#counts.crossReferences += BigInt(crossReferences);
  }

  /** A file is done: its rows are stored, or were up to date. */
  indexed(outcome: FileOutcome): void {
    const { kind, relativePath, problems } = outcome;
    this.#done(relativePath);
    if (kind === "unchanged") this.#progress.filesUnchanged++;
    else this.#count(outcome);
    if (problems.length > 0) this.#filesWithProblems++;
    for (const { type, message, line } of problems) {
      this.#failures.push({
        filePath: relativePath,
        errorType: type,
        message,
        isIndexed: true,
        ...(line !== null && { line }),
      });
    }
  }

  /** A file is none that is indexed. */
  skipped(filePath: string): void {
    this.#done(filePath);
    this.#progress.filesSkipped++;
  }

  /** A file could not be indexed; it keeps the rows it had. */
  failed(filePath: string, errorType: string, message: string): void {
    this.#done(filePath);
    this.#progress.filesFailed++;
    this.#failures.push({ filePath, errorType, message, isIndexed: false });
  }

  /** The next message of the stream: progress, and the failures since the last one. */
  progressMessage(): Uint8Array {
    return this.#message({});
  }

  /** The last message of the stream. */
  summaryMessage(): Uint8Array {
    this.enter(IndexPhase.DONE);
    this.#progress.currentPath = "";
    const summary = {
      counts: this.#counts,
      filesWithProblems: this.#filesWithProblems,
      duration: durationFromMs(Math.round(monotonicMs() - this.#startedMs)),
      filesByLanguage: this.#filesByLanguage,
    };
    return this.#message({ summary });
  }

  #count({ language, counts }: FileOutcome): void {
    this.#progress.filesIndexed++;
    const name = language ?? "text";
    this.#filesByLanguage[name] = (this.#filesByLanguage[name] ?? 0n) + 1n;
    if (counts === null) return;
    this.#counts.classes += BigInt(counts.classes);
    this.#counts.methods += BigInt(counts.methods);
    this.#counts.functions += BigInt(counts.functions);
    this.#counts.imports += BigInt(counts.imports);
    this.#counts.usages += BigInt(counts.usages);
    this.#counts.content += BigInt(counts.content);
    this.#counts.crossReferences += BigInt(counts.crossReferences);
  }

  #done(filePath: string): void {
    this.#progress.filesDone++;
    this.#progress.currentPath = filePath;
  }

  #message(rest: MessageInitShape<typeof IndexProjectResponseSchema>): Uint8Array {
    const failures = this.#failures;
    this.#failures = [];
    return toBinary(
      IndexProjectResponseSchema,
      create(IndexProjectResponseSchema, { progress: this.#progress, failures, ...rest }),
    );
  }
}
