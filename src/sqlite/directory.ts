import { existsSync, mkdirSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DriverError, messageOf } from "../errors.js";

/**
 * Makes the directory `path`, and those above it, where they are missing.
 *
 * Not with Node's own `recursive`: it never returns (seen with 20.20) where the kernel answers ENOENT below a directory that
 * exists, as in /proc.
 *
 * @param mode of each directory that is made; the umask takes from it
 * @throws DriverError `INVALID_REQUEST` when it cannot be made, or `path` is something else
 */
export function makeDirectory(path: string, mode = 0o777): void {
  const missing: string[] = [];
  for (let above = resolve(path); !existsSync(above); above = dirname(above)) missing.unshift(above);
  try {
    for (const directory of missing) makeUnlessThere(directory, mode);
    if (!statSync(path).isDirectory()) throw new Error("there is something else of that name");
  } catch (cause) {
    throw new DriverError("INVALID_REQUEST", `The folder ${path} cannot be made: ${messageOf(cause)}.`, {
      hint: "Name a folder that may be written.",
      cause,
    });
  }
}

/** Another process may make the same directory at the same moment. */
function makeUnlessThere(directory: string, mode: number): void {
  try {
    mkdirSync(directory, { mode });
  } catch (error) {
    if (!existsSync(directory)) throw error;
  }
}
