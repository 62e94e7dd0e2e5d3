import { lstatSync, realpathSync, statSync } from "node:fs";
import { basename, dirname, isAbsolute, join } from "node:path";
import { codeOf, DriverError } from "../errors.js";

/** What SQLite keeps beside a database; a file of such a name would be taken for it. */
const COMPANION_SUFFIXES = ["-wal", "-shm", "-journal"];

/**
 * Asserts that a client may have the driver write a backup of the database at `databasePath` to `path`: a new file in a directory
 * that is there, under no name that means something to SQLite.
 *
 * @throws DriverError `INVALID_REQUEST`
 */
export function assertBackupDestination(path: string, databasePath: string): void {
  if (!isAbsolute(path) || path.includes("\0") || /(?:^|\/)\.{0,2}$/.test(path)) {
    throw refused(path, "is not the absolute path of a file");
  }
  try {
    const directory = realpathSync(dirname(path));
    if (!statSync(directory).isDirectory()) throw refused(path, "is in no directory");
    const name = join(directory, basename(path));
    const database = realpathSync(databasePath);
    if (COMPANION_SUFFIXES.some((suffix) => name === database + suffix)) throw refused(path, "belongs to the database");
    // A link that leads nowhere is there, too.
    if (lstatSync(path, { throwIfNoEntry: false }) !== undefined) throw refused(path, "exists already");
  } catch (error) {
    if (error instanceof DriverError) throw error;
    throw refused(path, `cannot be used (${codeOf(error) ?? error})`, error);
  }
}

function refused(path: string, why: string, cause?: unknown): DriverError {
  return new DriverError("INVALID_REQUEST", `The destination ${JSON.stringify(path)} ${why}.`, {
    field: "destination_path",
    cause,
    hint: "Name a new file by its absolute path, in a directory of the driver's machine.",
  });
}
