import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type IndexFailureSchema,
  type IndexFileResponse,
  IndexPhase,
  IndexProgressSchema,
  IndexProjectResponseSchema,
  RowCountsSchema,
} from "../../gen/code_analysis/driver/v1/index_pb.js";
import { monotonicMs } from "../observability/clock.js";

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

  /** The rows of a file were up to date, and there is nothing else to tell of it. */
  unchanged(filePath: string): void {
    this.#done(filePath);
    this.#progress.filesUnchanged++;
  }

  /** So many edges between files were written. */
  connected(crossReferences: number): void {
    this.#counts.crossReferences += BigInt(crossReferences);
  }

  /** A file is done: its rows are stored, or were up to date. */
  indexed(response: IndexFileResponse): void {
    this.#done(response.filePath);
    if (response.unchanged) this.#progress.filesUnchanged++;
    else this.#count(response);
    const { problems } = response;
    if (problems.length > 0) this.#filesWithProblems++;
    for (const { errorType, message, line } of problems) {
      this.#failures.push({
        filePath: response.filePath,
        errorType,
        message,
        isIndexed: true,
        ...(line !== undefined && { line }),
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

  #count({ language, counts }: IndexFileResponse): void {
    this.#progress.filesIndexed++;
    const name = language === "" ? "text" : language;
    this.#filesByLanguage[name] = (this.#filesByLanguage[name] ?? 0n) + 1n;
    if (counts === undefined) return;
    this.#counts.classes += counts.classes;
    this.#counts.methods += counts.methods;
    this.#counts.functions += counts.functions;
    this.#counts.imports += counts.imports;
    this.#counts.usages += counts.usages;
    this.#counts.content += counts.content;
    this.#counts.crossReferences += counts.crossReferences;
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
