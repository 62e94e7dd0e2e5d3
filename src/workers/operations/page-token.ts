import { DriverError } from "../../errors.js";

/**
 * Page tokens by keyset (https://google.aip.dev/158): a token holds the request it was made for and the key of the last entry
 * answered, so that a page begins behind that entry whatever was inserted or deleted meanwhile.
 */
export interface PageKey {
  /** What the page lists: a name of the method and the fields that select entries. */
  readonly scope: readonly string[];
  /** The key of the last entry of the page before. */
  readonly after: readonly string[];
}

/** An opaque token of letters, digits, `-` and `_`. */
export function formatPageToken({ scope, after }: PageKey): string {
  return Buffer.from(JSON.stringify([scope, after])).toString("base64url");
}

/**
 * The key of the last entry that the token was made behind.
 *
 * @throws DriverError `INVALID_REQUEST` when it is no token of ours, or was made for another scope or for keys of another length.
 */
export function parsePageToken(token: string, scope: readonly string[], keyLength: number): readonly string[] {
  const decoded = decode(token);
  if (!Array.isArray(decoded) || decoded.length !== 2) invalid("is not one that the driver made");
  const [madeFor, after]: unknown[] = decoded;
  if (!isStrings(madeFor) || !isStrings(after) || after.length !== keyLength)
    invalid("is not one that the driver made");
  if (JSON.stringify(madeFor) !== JSON.stringify(scope)) invalid("was made for another request");
  return after;
}

function decode(token: string): unknown {
  try {
    return JSON.parse(Buffer.from(token, "base64url").toString());
  } catch {
    return undefined;
  }
}

function isStrings(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}

function invalid(why: string): never {
  throw new DriverError("INVALID_REQUEST", `The page token ${why}.`, {
    field: "page_token",
    hint: "Pass next_page_token of the page before and leave the other fields as they were.",
  });
}
