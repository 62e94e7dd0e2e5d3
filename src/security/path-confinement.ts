import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readlinkSync,
  readSync,
  realpathSync,
  type Stats,
} from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";
import { codeOf, DriverError, messageOf } from "../errors.js";

/**
 * Keeps what a client names inside the root directory of its project. Links are resolved first and the result decides, so that
 * neither `..` nor a symbolic link leads out. All functions are synchronous: they run in workers.
 */

/**
 * The root directory of a project for as long as one call lasts: its links are resolved once, when they are first asked for. Should
 * one of them change meanwhile, the call keeps to the directory that it began with.
 */
export class ProjectRoot {
  /** As the project was registered. */
  readonly path: string;
  #realPath: string | undefined;

  constructor(path: string) {
    this.path = path;
  }

  /**
   * Links resolved.
   *
   * @throws DriverError `FILE_NOT_FOUND` or `FILE_NOT_READABLE`
   */
  get realPath(): string {
    this.#realPath ??= realPath(this.path, this.path);
    return this.#realPath;
  }
}

/** A path in a project, links resolved. */
export interface ProjectPath {
  /** Absolute, links resolved. */
  readonly path: string;
  /** From the root directory, divided by `/`; empty for the root itself. */
  readonly relativePath: string;
}

/** A regular file of a project that was read. */
export interface ProjectFile extends ProjectPath {
  /** Of this module, and only until the next file is read. */
  readonly bytes: Buffer;
  /** Milliseconds since 1970. */
  readonly mtimeMs: number;
}

/**
 * The longest path that a request may name, in bytes of UTF-8: PATH_MAX of Linux (path_resolution(7)). Without a bound, a path
 * of megabytes of which nothing can be there would be stored with its failure.
 */
const MAX_PATH_BYTES = 4096;
/** How much of a longer path an error shows, in characters. */
const SHOWN_OF_LONG_PATH = 80;

/** Codes for "nothing can be there"; ELOOP is a circle of links. */
const MISSING_CODES: ReadonlySet<string> = new Set(["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"]);

/**
 * Refuses what cannot be a path, whatever there is on the disk.
 *
 * @param field of the request that the path stands in
 * @throws DriverError `INVALID_REQUEST` for an empty path, one with a NUL, or one of more than 4,096 bytes
 */
export function assertPath(path: string, field: string): void {
  if (path === "") throw new DriverError("INVALID_REQUEST", `The request has no ${field}.`, { field });
  const bytes = Buffer.byteLength(path);
  if (bytes > MAX_PATH_BYTES) {
    throw new DriverError("INVALID_REQUEST", `${beginningOf(path)} has ${bytes} bytes.`, {
      field,
      hint: `A path has ${MAX_PATH_BYTES} bytes at most.`,
    });
  }
  if (path.includes("\0")) throw new DriverError("INVALID_REQUEST", `${beginningOf(path)} has a NUL in it.`, { field });
}

function beginningOf(path: string): string {
  return `The path that begins with ${JSON.stringify(path.slice(0, SHOWN_OF_LONG_PATH))}`;
}

/**
 * Resolves `filePath`, absolute or relative to `root`. What it names must exist; it may be a directory.
 *
 * @throws DriverError `PATH_OUTSIDE_PROJECT` when it lies, links resolved, outside `root`; `FILE_NOT_FOUND` when there is
 *   nothing; `FILE_NOT_READABLE` when a directory on the way may not be read; `INVALID_REQUEST` as `assertPath`
 */
export function resolveInProject(root: ProjectRoot, filePath: string): ProjectPath {
  assertPath(filePath, "file_path");
  const absolute = resolve(root.realPath, filePath);
  let path: string;
  try {
    path = realPath(absolute, filePath);
  } catch (error) {
    // Whether something exists outside is nothing that a client may find out.
    const isInside = isWithin(root.realPath, absolute) || isWithin(resolve(root.path), absolute);
    throw isInside ? error : outsideError(root, filePath);
  }
  if (!isWithin(root.realPath, path)) throw outsideError(root, filePath);
  return { path, relativePath: relative(root.realPath, path).replaceAll(sep, "/") };
}

/**
 * Reads a regular file of the project. What is read is the file that was checked, even when somebody exchanges it or a
 * directory above it for a link in between.
 *
 * @param maxBytes the most bytes to read; of a larger file, one byte more is read, which tells that it is larger
 * @throws DriverError as `resolveInProject`; `FILE_NOT_FOUND` when it is not a regular file, `FILE_NOT_READABLE` when it may
 *   not be read
 */
export function readInProject(root: ProjectRoot, filePath: string, maxBytes: number): ProjectFile {
  const place = resolveInProject(root, filePath);
  let descriptor: number;
  try {
    // O_NONBLOCK: opening a FIFO would otherwise wait for its other end.
    descriptor = openSync(place.path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  } catch (error) {
    throw fileError(error, filePath);
  }
  try {
    const opened = fstatSync(descriptor);
    if (!opened.isFile()) throw new DriverError("FILE_NOT_FOUND", `${filePath} is not a regular file.`);
    assertUnmoved(root, filePath, place, descriptor, opened);
    return { ...place, bytes: readAll(descriptor, Math.min(opened.size, maxBytes), maxBytes), mtimeMs: opened.mtimeMs };
  } catch (error) {
    throw error instanceof DriverError ? error : fileError(error, filePath);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * O_NOFOLLOW looks at the last part of a path only: a directory above could have become a link since the path was resolved.
 * Linux tells where the opened file really is (proc(5), /proc/pid/fd); paths alone cannot, since they can be exchanged back.
 * Elsewhere the path is resolved once more, which leaves a narrow gap for somebody who may write into the project.
 */
function assertUnmoved(
  root: ProjectRoot,
  filePath: string,
  place: ProjectPath,
  descriptor: number,
  opened: Stats,
): void {
  let isSame: boolean;
  try {
    isSame = readlinkSync(`/proc/self/fd/${descriptor}`) === place.path;
  } catch {
    const now = resolveInProject(root, filePath);
    const found = lstatSync(now.path);
    isSame = now.path === place.path && found.ino === opened.ino && found.dev === opened.dev;
  }
  if (!isSame) {
    throw new DriverError("FILE_NOT_FOUND", `${filePath} was replaced while it was read.`, { hint: "Try again." });
  }
}

/** Fresh memory for every file would cost more than reading it. */
let scratch = Buffer.allocUnsafe(65_536);

/** Reads to the end, since a file may have grown, but no further than one byte past `maxBytes`. */
function readAll(descriptor: number, expectedBytes: number, maxBytes: number): Buffer {
  if (scratch.length <= expectedBytes) scratch = Buffer.allocUnsafe(expectedBytes + 1);
  let length = 0;
  for (;;) {
    const read = readSync(descriptor, scratch, length, Math.min(scratch.length, maxBytes + 1) - length, null);
    length += read;
    if (read === 0 || length > maxBytes) return scratch.subarray(0, length);
    if (length === scratch.length) scratch = Buffer.concat([scratch], scratch.length * 2);
  }
}

function isWithin(root: string, path: string): boolean {
  const way = relative(root, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}

function realPath(path: string, named: string): string {
  try {
    return realpathSync.native(path);
  } catch (error) {
    throw fileError(error, named);
  }
}

function outsideError(root: ProjectRoot, filePath: string): DriverError {
  return new DriverError(
    "PATH_OUTSIDE_PROJECT",
    `${filePath} lies outside the project's root directory ${root.path}.`,
    {
      field: "file_path",
    },
  );
}

function fileError(error: unknown, filePath: string): DriverError {
  const code = codeOf(error) ?? "";
  if (MISSING_CODES.has(code)) {
    return new DriverError("FILE_NOT_FOUND", `${filePath} does not exist.`, { cause: error });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new DriverError("FILE_NOT_READABLE", `${filePath} may not be read by this process.`, {
      hint: "Check the permissions of the file and of the directories above it.",
      cause: error,
    });
  }
  const message = messageOf(error);
  return new DriverError("FILE_NOT_READABLE", `${filePath} cannot be read: ${message}.`, { cause: error });
}
