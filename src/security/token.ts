import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { closeSync, constants, fstatSync, fsyncSync, openSync, readFileSync, type Stats, writeSync } from "node:fs";
import { codeOf, DriverError } from "../errors.js";
import { fileVersion } from "./file-version.js";

/** 256 bits: nobody guesses it. */
const TOKEN_BYTES = 32;

/** Mode bits that let others than the owner change the file, or others than the owner and the group read it. */
const TOO_OPEN = 0o027;

/** Says whether a caller knows a token. */
export interface TokenVerifier {
  /** True when `presented` is the token; takes the same time for any wrong one. */
  verify(presented: string): boolean;
}

/** A verifier of a token that does not change, from the environment. */
export function createFixedVerifier(token: string): TokenVerifier {
  const expected = digest(token);
  return { verify: (presented) => timingSafeEqual(digest(presented), expected) };
}

/**
 * A verifier of the token in the file `path`, which is created (mode 0600) when it is missing. The file is looked at in every
 * call, which costs a few microseconds: from the moment in which it has a new content, the new token counts and the old one does
 * not. Rename a complete file onto it, so that nobody reads half of one.
 *
 * @param onProblem told once of each state of the file that cannot be used: it is gone, empty or open to others. The last good
 *   token counts meanwhile.
 * @throws DriverError `INVALID_REQUEST` when the file cannot be created, or cannot be used from the start.
 */
export function createFileVerifier(path: string, onProblem: (problem: DriverError) => void): TokenVerifier {
  createTokenFile(path);
  // Before the file is read: what changes while it is read shows in the next call.
  let version = fileVersion(path);
  let expected = digest(readTokenFile(path));

  function reload(): void {
    const current = fileVersion(path);
    if (current === version) return;
    version = current;
    try {
      expected = digest(readTokenFile(path));
    } catch (error) {
      onProblem(DriverError.from(error));
    }
  }

  return {
    verify(presented) {
      reload();
      return timingSafeEqual(digest(presented), expected);
    },
  };
}

/**
 * Creates the file with a new random token, readable by its owner alone; one that is there stays.
 *
 * @throws DriverError `INVALID_REQUEST` when it cannot be written.
 */
export function createTokenFile(path: string): void {
  try {
    // "wx" is O_EXCL: of two processes that start at once one creates it, and no link is followed.
    const file = openSync(path, "wx", 0o600);
    try {
      writeSync(file, `${randomBytes(TOKEN_BYTES).toString("base64url")}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
  } catch (error) {
    if (codeOf(error) === "EEXIST") return;
    throw wrongFile(path, "cannot be written", "Name a file in a folder that this process may write.", error);
  }
}

/**
 * The token in the file `path`, without white space around it.
 *
 * @throws DriverError `INVALID_REQUEST` when it cannot be read or is no file, is empty, belongs to another user (root excepted),
 *   or may be read by everybody or written by anybody but its owner. Such a mode is refused, not repaired: whoever could read the
 *   token may have done so.
 */
export function readTokenFile(path: string): string {
  let token: string;
  let stats: Stats;
  try {
    // O_NONBLOCK: opening a FIFO would otherwise wait for its other end. The checks are of what is read, not of a path.
    const file = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      stats = fstatSync(file);
      token = stats.isFile() ? readFileSync(file, "utf8").trim() : "";
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw wrongFile(path, "cannot be read", "Correct its path or its mode.", error);
  }
  if (!stats.isFile()) throw wrongFile(path, "is not a regular file", "Name another one.");
  const user = process.geteuid?.();
  if (user !== undefined && stats.uid !== user && stats.uid !== 0) {
    throw wrongFile(path, "belongs to another user", "Name one that belongs to the user whom the driver runs as.");
  }
  if ((stats.mode & TOO_OPEN) !== 0) {
    throw wrongFile(path, "may be read or written by other users", `Run chmod 600 ${path}, and replace the token.`);
  }
  if (token === "") throw wrongFile(path, "is empty", "Delete it, and the driver creates a new one when it starts.");
  return token;
}

/** Equal lengths, which `timingSafeEqual` asks for, and nothing of the length of the token shows. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function wrongFile(path: string, what: string, hint: string, cause?: unknown): DriverError {
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  return new DriverError("INVALID_REQUEST", `The token file ${path} ${what}${why}.`, { hint, cause });
}
