import { createHash } from "node:crypto";
import { DriverError } from "../errors.js";

/** Where a page ended: the sort key of its last row. */
export type PageKey = readonly (string | number)[];

/** A token that continues `request` (everything but its page size and token) behind the row with `key`. */
export function encodePageToken(request: unknown, key: PageKey): string {
  return Buffer.from(JSON.stringify([fingerprint(request), ...key])).toString("base64url");
}

/**
 * The key in `token`; null for the empty token, the first page.
 *
 * @param shape a value of the type that each part of the key must have
 * @throws DriverError `INVALID_REQUEST` when the token is not one of ours or was made for another request
 */
export function decodePageToken<const Shape extends PageKey>(
  request: unknown,
  token: string,
  shape: Shape,
): { [Index in keyof Shape]: Shape[Index] extends string ? string : number } | null {
  if (token === "") return null;
  const parts = parseParts(token);
  const key = parts?.slice(1);
  if (parts?.[0] !== fingerprint(request) || !hasShape(key, shape)) {
    throw new DriverError("INVALID_REQUEST", "The page token does not belong to this request.", {
      field: "page_token",
      hint: "Send the next_page_token of the page before with otherwise the same request, or none for the first page.",
    });
  }
  return key;
}

function hasShape<const Shape extends PageKey>(
  key: unknown[] | undefined,
  shape: Shape,
): key is { [Index in keyof Shape]: Shape[Index] extends string ? string : number } & unknown[] {
  return key?.length === shape.length && shape.every((part, index) => typeof part === typeof key[index]);
}

function parseParts(token: string): unknown[] | null {
  try {
    const parts: unknown = JSON.parse(Buffer.from(token, "base64url").toString("utf8"));
    return Array.isArray(parts) ? parts : null;
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

function fingerprint(request: unknown): string {
  return createHash("sha256").update(JSON.stringify(request)).digest("base64url").slice(0, 12);
}
