import { DriverError, draining } from "../errors.js";
import type { IndexingErrorType } from "../indexer/entities.js";
import {
  decodeFileResults,
  decodeMessage,
  encodeMessage,
  type FileFailure,
  type FileResult,
  FileResultKind,
  type IndexFilesRequest,
  type ProjectScan,
  type ScanProjectRequest,
} from "../workers/index-messages.js";
import { CallStoppedError, WorkerLostError, WorkerProcess } from "../workers/worker-process.js";
import type { CallContext } from "./call.js";
import type { EngineLimits } from "./limits.js";
import { UnstoredRows } from "./unstored-rows.js";
import { WaitingLine } from "./waiting-line.js";
import type { EngineLog } from "./worker-log.js";

/** So many single files are given to parsers at a time, for each of them: enough that none waits for the next one. */
const FILES_PER_PARSER = 4;
/** How often a parser may die without having worked on anything before that is given up. */
const MAX_ATTEMPTS = 3;

/** A parser's answer for the file at `path`, as it was asked for. */
export interface ParsedPath extends FileResult {
  readonly path: string;
}

/** The main process's side of the parser processes, started when they are needed and replaced when they die. */
export class Parsers {
  /** What was parsed and is not stored; whoever stores it counts it here. */
  readonly unstored = new UnstoredRows();
  readonly #databasePath: string;
  readonly #limits: EngineLimits;
  readonly #log: EngineLog;
  /** Calls of `parseOne` that have no turn yet: here they cost nothing when they are given up. */
  readonly #line = new WaitingLine<null, void>();
  #turns = 0;
  #processes: WorkerProcess[] = [];
  #isClosed = false;

  constructor(databasePath: string, limits: EngineLimits, log: EngineLog) {
    this.#databasePath = databasePath;
    this.#limits = limits;
    this.#log = log;
  }

  /** Parser processes that are running. */
  get count(): number {
    return this.#processes.length;
  }

  /** How many may run at the same time. */
  get max(): number {
    return this.#limits.parsers;
  }

  /** @throws DriverError why the project cannot be walked. */
  async scan(request: ScanProjectRequest, context: CallContext): Promise<ProjectScan> {
    for (let deaths = 0; ; ) {
      try {
        const scan = await this.#leastBusy().call("scanProject", encodeMessage(request), context);
        return decodeMessage<ProjectScan>(scan);
      } catch (error) {
        if (!(error instanceof WorkerLostError)) throw error;
        deaths = countDeath(deaths, error);
      }
    }
  }

  /**
   * The results of these files, each once. A parser that dies or hangs costs the file that it was working on, which gets a
   * `FAILURE` of its own; the others go to another process.
   *
   * @throws DriverError what ended the call.
   */
  async *parse(request: IndexFilesRequest, context: CallContext): AsyncGenerator<ParsedPath> {
    let { paths } = request;
    let deaths = 0;
    while (paths.length > 0) {
      let done = 0;
      try {
        const results = this.#leastBusy().stream("indexFiles", encodeMessage({ ...request, paths }), context);
        for await (const message of results) {
          for (const result of decodeFileResults(message)) {
            const path = paths[done] ?? "";
            done++;
            yield { path, ...result };
          }
        }
        return;
      } catch (error) {
        if (this.#isClosed) throw draining();
        if (context.signal.aborted) throw error;
        const { type, message, item } = parserFailure(error);
        const culprit = item === null || item < done ? undefined : paths[item];
        // Results before the culprit's that had not left the process yet are lost: those files are parsed again.
        paths = paths.filter((_, index) => index >= done && (culprit === undefined || index !== item));
        if (culprit !== undefined) {
          const payload = encodeMessage(
            fileFailure(request.projectId, culprit, type, new DriverError("FILE_NOT_INDEXABLE", message)),
          );
          // Where the file really is, and when it was read, nobody can tell any more.
          yield { path: culprit, file: "", readMs: 0, kind: FileResultKind.FAILURE, bytesRead: 0, payload };
        }
        deaths = culprit !== undefined || done > 0 ? 0 : countDeath(deaths, error);
      }
    }
  }

  /** `parse` of one file, when it is its turn and there is room for its rows. */
  async parseOne(request: Omit<IndexFilesRequest, "paths">, path: string, context: CallContext): Promise<ParsedPath> {
    if (this.#turns < this.max * FILES_PER_PARSER) this.#turns++;
    else await this.#line.wait(null, context.signal);
    try {
      await this.unstored.room(context.signal);
      for await (const result of this.parse({ ...request, paths: [path] }, context)) return result;
    } finally {
      if (this.#line.length > 0) this.#line.grantFirst();
      else this.#turns--;
    }
    throw new DriverError("INTERNAL", `The parser gave no answer for ${path}.`);
  }

  /** What waits for its turn is refused, and what would have to wait. */
  drain(): void {
    this.#line.close(draining());
    this.unstored.close(draining());
  }

  /** Ends every parser at once; what asks for one from now on is refused. */
  async close(): Promise<void> {
    this.#isClosed = true;
    this.drain();
    const processes = this.#processes;
    for (const process of processes) process.kill();
    await Promise.all(processes.map(({ exited }) => exited));
  }

  /** The parser with the least to do; a new one as long as there may be more and every one is busy. */
  #leastBusy(): WorkerProcess {
    if (this.#isClosed) throw draining();
    const [best] = this.#processes
      .filter(({ isAlive }) => isAlive)
      .sort((a, b) => a.outstandingCalls - b.outstandingCalls);
    if (best !== undefined && (best.outstandingCalls === 0 || this.#processes.length >= this.#limits.parsers))
      return best;
    return this.#spawn();
  }

  #spawn(): WorkerProcess {
    const options = { databasePath: this.#databasePath, limits: this.#limits };
    const process = new WorkerProcess("parser", options).follow((event) => {
      if (event.type === "log") this.#log(event.level, event.message, event.fields);
    });
    this.#processes.push(process);
    void process.exited.then(() => {
      this.#processes = this.#processes.filter((other) => other !== process);
    });
    return process;
  }
}

/** A file that could not be indexed, for `indexing_errors`. */
export function fileFailure(projectId: string, path: string, type: IndexingErrorType, error: DriverError): FileFailure {
  return { projectId, path, type, error: error.toJSON() };
}

/** What the end of a parser process says, and of which item of the call; throws what has another reason. */
function parserFailure(error: unknown): { type: IndexingErrorType; message: string; item: number | null } {
  if (error instanceof WorkerLostError) {
    return { type: "crash", message: "The parser process died while it worked on the file.", item: error.item };
  }
  if (error instanceof CallStoppedError) {
    return { type: "timeout", message: "The file took too long to parse.", item: error.item };
  }
  throw error;
}

/** One more death, for which neither this call nor another one is the reason; throws when that is one too many. */
function countDeath(deaths: number, error: unknown): number {
  if (error instanceof WorkerLostError && error.isBystander) return deaths;
  if (deaths + 1 < MAX_ATTEMPTS) return deaths + 1;
  throw new DriverError("INTERNAL", `The parser process died ${MAX_ATTEMPTS} times before it worked on a file.`, {
    cause: error,
    hint: "See the driver's log for how it died.",
  });
}
