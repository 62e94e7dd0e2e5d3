import { WorkerProcess } from "../workers/worker-process.js";
import type { EngineLimits } from "./limits.js";

/**
 * Starts a writer process, which opens the database, recovers it and creates what is missing. In a file of its own, which loads
 * quickly: half of the time until a driver serves is the writer's, and it begins before the engine is loaded.
 */
export function startWriterProcess(databasePath: string, limits: EngineLimits): WorkerProcess {
  return new WorkerProcess("writer", { databasePath, limits });
}
