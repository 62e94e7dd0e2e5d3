import { fileURLToPath } from "node:url";

/** Path of a file or folder in `test/fixtures`, which is not copied to `dist`. */
export function fixturePath(...parts: readonly string[]): string {
  return fileURLToPath(new URL(`../../../test/fixtures/${parts.join("/")}`, import.meta.url));
}
