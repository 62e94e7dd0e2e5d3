import { execFileSync } from "node:child_process";
import { readdirSync, statSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

/** Real source files: where they lie, and their paths from there. */
export interface SourceFiles {
  readonly root: string;
  readonly paths: readonly string[];
}

/** Directories whose files are not the work of the library's authors, or are wrong on purpose. */
const LEFT_OUT = /(?:^|\/)(?:site-packages|test|tests|idle_test|lib2to3|__pycache__|\.bin)(?:\/|$)/;

/** Bundles of megabytes are made by programs; the driver refuses the largest. */
const MAX_BYTES = 1_000_000;

/** `count` files of the Python standard library or, where there is none or it is too small, of the packages in `node_modules`. */
export function sourceFiles(count: number): SourceFiles {
  const places = [
    { root: pythonLibrary(), extension: /\.py$/ },
    { root: fileURLToPath(new URL("../../../node_modules", import.meta.url)), extension: /\.(?:js|ts)$/ },
  ];
  for (const { root, extension } of places) {
    if (root === undefined) continue;
    const paths = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(root, join(entry.parentPath, entry.name)))
      .filter((path) => extension.test(path) && !LEFT_OUT.test(path) && statSync(join(root, path)).size < MAX_BYTES)
      .sort();
    if (paths.length >= count) return { root, paths: paths.slice(0, count) };
  }
  throw new Error(`There are no ${count} source files on this machine.`);
}

function pythonLibrary(): string | undefined {
  try {
    const program = "import sysconfig; print(sysconfig.get_paths()['stdlib'])";
    return execFileSync("python3", ["-c", program], { encoding: "utf8" }).trim();
  } catch {
    return undefined;
  }
}
