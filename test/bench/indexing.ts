import { spawnSync } from "node:child_process";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { benchLinearity } from "./index-linearity.js";
import { benchIndexMemory } from "./index-memory.js";
import { benchIndexProject } from "./index-project.js";
import type { Figure } from "./rounds.js";
import { benchSearch } from "./search-latency.js";

/** Indexing the Python standard library of this machine, and searching it. */
export async function benchIndexing(folder: string): Promise<Figure[]> {
  const library = join(folder, "library");
  copyStandardLibrary(library);
  const databasePath = join(folder, "library.db");
  return [
    ...(await benchIndexProject(library, databasePath)),
    ...(await benchSearch(library, databasePath)),
    ...(await benchLinearity(folder)),
    ...(await benchIndexMemory(folder, library)),
  ];
}

/** Without its tests and what was installed beside it. */
function copyStandardLibrary(target: string): void {
  const print = "import sysconfig; print(sysconfig.get_paths()['stdlib'])";
  const { stdout } = spawnSync("python3", ["-c", print], { encoding: "utf8" });
  const skipped = /\/(?:site-packages|dist-packages|test|tests|idle_test|__pycache__)$/;
  cpSync(stdout.trim(), target, { recursive: true, filter: (path) => !skipped.test(path) });
}
