import { existsSync, realpathSync, statSync } from "node:fs";
import { resolve } from "node:path";
import type { DriverClient } from "../../client/client.js";
import { IndexPhase, type IndexProgress } from "../../client/messages.js";
import { DriverError, messageOf } from "../../errors.js";
import { startProgress } from "../progress.js";
import type { Terminal } from "../terminal.js";
import type { IndexReport } from "./index-report.js";

/**
 * The absolute path of a folder to index, links resolved.
 *
 * @throws DriverError `FILE_NOT_FOUND` or `INVALID_REQUEST` when there is no such folder.
 */
export function resolveDirectory(directory: string): string {
  const path = resolve(directory);
  try {
    if (statSync(path).isDirectory()) return realpathSync(path);
  } catch (error) {
    const what = existsSync(path)
      ? `The folder ${path} cannot be opened: ${messageOf(error)}.`
      : `There is no folder ${path}.`;
    throw new DriverError("FILE_NOT_FOUND", what, { cause: error });
  }
  throw new DriverError("INVALID_REQUEST", `${path} is not a folder.`, { hint: "Name the folder that it is in." });
}

/**
 * Makes `directory` a project, if it is none, and indexes it; shows a progress bar on stderr.
 *
 * @throws DriverError what the driver answers; `CANCELLED` when `signal` is aborted.
 */
export async function indexDirectory(
  client: DriverClient,
  directory: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<IndexReport> {
  const { project } = await client.registerProject({ rootPath: directory }, { signal });
  if (project === undefined) throw incomplete("registered a project without saying which");

  const failures: IndexReport["failures"][number][] = [];
  const bar = startProgress("Indexing", terminal.stderr);
  try {
    for await (const message of client.indexProject({ projectId: project.id }, { signal })) {
      failures.push(...message.failures);
      const { progress, summary } = message;
      if (progress !== undefined)
        bar.update(Number(progress.filesDone), Number(progress.filesTotal), detailOf(progress));
      if (summary !== undefined && progress !== undefined) return { project, progress, summary, failures };
    }
  } finally {
    bar.stop();
  }
  throw incomplete(`ended indexing ${directory} without a summary`);
}

function detailOf({ phase, currentPath }: IndexProgress): string {
  return phase === IndexPhase.FINISHING ? "connecting the files" : currentPath;
}

function incomplete(what: string): DriverError {
  return new DriverError("INTERNAL", `The driver ${what}.`, { hint: "Use a client of the driver's version." });
}
