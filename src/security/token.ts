import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { closeSync, fsyncSync, openSync, readFileSync, statSync, writeSync } from "node:fs";
import { DriverError } from "../errors.js";

/** 256 bits: nobody guesses it. */
const TOKEN_BYTES = 32;

/** Mode bits for everybody who is neither the owner nor in the group. */
const OTHERS = 0o007;

/** How long a token that was correct a moment ago is taken without another look at the file, in milliseconds. */
const RECHECK_AFTER_MS = 1_000;

/** Says whether a caller knows the token. */
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
 * A verifier of the token in the file `path`, which is created (mode 0600) when it is missing. A new content is taken over
 * without a restart: at the first call that brings it, and a second later at most the old one no longer counts.
 *
 * @param now - Milliseconds on a monotonic clock.
 * @throws DriverError `INVALID_REQUEST` when the file cannot be created or read, is empty, or other users may read it.
 */
export function createFileVerifier(path: string, now: () => number = performance.now.bind(performance)): TokenVerifier {
  createTokenFile(path);
  let version = fileVersion(path);
  let expected = digest(readTokenFile(path));
  let checkedAtMs = now();

  /** True when there is a new token. A file that is gone or wrong for the moment leaves the token as it is. */
  function reload(): boolean {
    checkedAtMs = now();
    try {
      const current = fileVersion(path);
      if (current === version) return false;
      expected = digest(readTokenFile(path));
      version = current;
      return true;
    } catch {
      return false;
    }
  }

  return {
    verify(presented) {
      const hash = digest(presented);
      if (now() - checkedAtMs >= RECHECK_AFTER_MS) reload();
      return timingSafeEqual(hash, expected) || (reload() && timingSafeEqual(hash, expected));
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
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return;
    throw wrongFile(path, "cannot be written", "Name another one with --token-file.", error);
  }
}

/**
 * The token in the file `path`, without white space around it.
 *
 * @throws DriverError `INVALID_REQUEST` when it cannot be read, is empty, or other users may read it.
 */
export function readTokenFile(path: string): string {
  let token: string;
  let mode: number;
  try {
    token = readFileSync(path, "utf8").trim();
    mode = statSync(path).mode;
  } catch (error) {
    throw wrongFile(path, "cannot be read", "Name another one with --token-file.", error);
  }
  if (token === "") throw wrongFile(path, "is empty", "Delete it, and the driver creates a new one when it starts.");
  if ((mode & OTHERS) !== 0) {
    throw wrongFile(path, "may be read or written by every user of this machine", `Run chmod 600 ${path}.`);
  }
  return token;
}

/** Changes whenever the file is written or replaced. */
function fileVersion(path: string): string {
  const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
  return [ino, size, mtimeNs, ctimeNs].join(" ");
}

/** Equal lengths, which `timingSafeEqual` asks for, and nothing of the length of the token shows. */
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

function wrongFile(path: string, what: string, hint: string, cause?: unknown): DriverError {
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  return new DriverError("INVALID_REQUEST", `The token file ${path} ${what}${why}.`, {
    hint,
    cause,
    field: "token_file",
  });
}
