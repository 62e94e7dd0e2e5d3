import { WorkerProcess } from "../workers/worker-process.js";
import type { EngineLimits } from "./limits.js";
import type { EngineLog } from "./worker-log.js";

/** The main process's side of the parser processes, started when they are needed and replaced when they die. */
export class Parsers {
  readonly #databasePath: string;
  readonly #limits: EngineLimits;
  readonly #log: EngineLog;
  #processes: WorkerProcess[] = [];

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

  /** The parser with the least to do; a new one as long as there may be more and every one is busy. */
  leastBusy(): WorkerProcess {
    const [best] = this.#processes
      .filter(({ isAlive }) => isAlive)
      .sort((a, b) => a.outstandingCalls - b.outstandingCalls);
    if (best !== undefined && (best.outstandingCalls === 0 || this.#processes.length >= this.#limits.parsers))
      return best;
    return this.#spawn();
  }

  /** Ends every parser at once. */
  async close(): Promise<void> {
    const processes = this.#processes;
    for (const process of processes) process.kill();
    await Promise.all(processes.map(({ exited }) => exited));
  }

  #spawn(): WorkerProcess {
    const options = { databasePath: this.#databasePath, limits: this.#limits };
    const process = new WorkerProcess("parser", options, (event) => {
      if (event.type === "log") this.#log(event.level, event.message, event.fields);
    });
    this.#processes.push(process);
    void process.exited.then(() => {
      this.#processes = this.#processes.filter((other) => other !== process);
    });
    return process;
  }
}
