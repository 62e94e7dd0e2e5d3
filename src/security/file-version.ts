import { statSync } from "node:fs";

/**
 * A text that changes whenever the file at `path` is written, replaced, moved away or comes back; links are followed, so it also
 * changes when one is turned to another file, as Kubernetes does with secrets.
 */
export function fileVersion(path: string): string {
  try {
    const { dev, ino, size, mode, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return [dev, ino, size, mode, mtimeNs, ctimeNs].join(" ");
  } catch (error) {
    // Missing, or in a folder that may not be searched: whoever reads the file gets the same error.
    return String(error);
  }
}
