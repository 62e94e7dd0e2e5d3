import { closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs";
import { relative, resolve, sep } from "node:path";
import { DriverError } from "../errors.js";

/** A regular file below a root directory, open for reading. Close it with `close()`. */
export interface ConfinedFile {
  /** Absolute, links resolved. */
  readonly path: string;
  /** From the root, divided by `/`. */
  readonly relativePath: string;
  /** In bytes, when it was opened. */
  readonly size: number;
  /** Milliseconds since 1970. */
  readonly mtimeMs: number;
  /** At most the first `maxBytes` of the file; all of it without. */
  read(maxBytes?: number): Buffer;
  close(): void;
}

/** Error codes of the file system that mean that there is no such file (https://nodejs.org/api/errors.html#common-system-errors). */
const MISSING = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG", "ENXIO", "EISDIR"]);

// A link in the last place or a pipe without a writer must not be followed or waited for.
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;

/**
 * Opens `filePath` (absolute, or relative to `root`) when it is a regular file inside `root` after all links are resolved. What
 * was opened is looked at again through its descriptor, so that swapping a directory for a link between check and open gains
 * nothing.
 *
 * @throws DriverError `PATH_OUTSIDE_PROJECT`, `FILE_NOT_FOUND` (also for what is no regular file), `FILE_NOT_READABLE`,
 *   `INVALID_REQUEST` for a path that no file can have.
 */
export function openInProject(root: string, filePath: string): ConfinedFile {
  if (filePath.includes("\0")) {
    throw new DriverError("INVALID_REQUEST", "The path has a NUL character.", { field: "file_path" });
  }
  const realRoot = atPath(root, () => realpathSync(root));
  const wanted = resolve(realRoot, filePath);
  const real = atPath(filePath, () => realpathSync(wanted), isInside(realRoot, wanted) || isInside(root, wanted));
  if (!isInside(realRoot, real)) throw outside(filePath, root);
  const fd = atPath(filePath, () => openSync(real, OPEN_FLAGS));
  try {
    const opened = realPathOf(fd) ?? real;
    if (!isInside(realRoot, opened)) throw outside(filePath, root);
    const { size, mtimeMs, isFile } = fileStatus(fd);
    if (!isFile) throw new DriverError("FILE_NOT_FOUND", `${filePath} is not a regular file.`, { field: "file_path" });
    return {
      path: opened,
      relativePath: relative(realRoot, opened).replaceAll(sep, "/"),
      size,
      mtimeMs,
      read: (maxBytes) => atPath(filePath, () => readAll(fd, Math.min(size, maxBytes ?? size))),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function isInside(root: string, path: string): boolean {
  return path.startsWith(root.endsWith(sep) ? root : root + sep);
}

function fileStatus(fd: number): { size: number; mtimeMs: number; isFile: boolean } {
  const status = fstatSync(fd);
  return { size: status.size, mtimeMs: status.mtimeMs, isFile: status.isFile() };
}

/** Where the open file is now; null on systems that do not tell. */
function realPathOf(fd: number): string | null {
  return process.platform === "linux" ? realpathSync(`/proc/self/fd/${fd}`) : null;
}

function readAll(fd: number, bytes: number): Buffer {
  const buffer = Buffer.allocUnsafe(bytes);
  let length = 0;
  while (length < bytes) {
    const read = readSync(fd, buffer, length, bytes - length, length);
    if (read === 0) break; // cut short meanwhile
    length += read;
  }
  return buffer.subarray(0, length);
}

/** Runs a call of the file system on `path`; `isInRoot` says whether it may be told that the file is missing. */
function atPath<T>(path: string, call: () => T, isInRoot = true): T {
  try {
    return call();
  } catch (error) {
    const code = error instanceof Error && "code" in error ? String(error.code) : "";
    if (!isInRoot)
      throw new DriverError("PATH_OUTSIDE_PROJECT", `${path} is outside the project.`, { field: "file_path" });
    if (MISSING.has(code)) {
      throw new DriverError("FILE_NOT_FOUND", `There is no file ${path}.`, { field: "file_path", cause: error });
    }
    throw new DriverError("FILE_NOT_READABLE", `${path} cannot be read (${code}).`, {
      field: "file_path",
      hint: "Let the user that the driver runs as read it.",
      cause: error,
    });
  }
}

function outside(filePath: string, root: string): DriverError {
  return new DriverError("PATH_OUTSIDE_PROJECT", `${filePath} is not inside the project's root ${root}.`, {
    field: "file_path",
  });
}
