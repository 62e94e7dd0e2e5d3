import { WorkerProcess } from "../workers/worker-process.js";
import type { EngineLimits } from "./limits.js";

/**
 * Starts a writer process, which opens the database, recovers it and creates what is missing.
 *
 * @param ahead One that was started without options: it has loaded its modules meanwhile.
 */
export function startWriterProcess(databasePath: string, limits: EngineLimits, ahead?: WorkerProcess): WorkerProcess {
  const options = { databasePath, limits };
  if (ahead === undefined) return new WorkerProcess("writer", options);
  ahead.begin(options);
  return ahead;
}
