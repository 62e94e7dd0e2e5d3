import { cpSync, readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { type IndexingDriver, parsedFiles, withDriver } from "./indexing-driver.js";
import { type Figure, ratioOf } from "./rounds.js";

const FILES = 5_000;
const SAMPLE_INTERVAL_MS = 100;

interface Sample {
  readonly filesDone: number;
  /** Megabytes of memory by the name of the process. */
  readonly megabytes: ReadonlyMap<string, number>;
}

/**
 * The memory of every process of the driver while IndexProject runs over 5,000 files, which are copies of the library side by side:
 * the most in the last fifth of the files against the most in the second, when caches are full. Needs Linux's `/proc`.
 */
export async function benchIndexMemory(folder: string, library: string): Promise<Figure[]> {
  const project = join(folder, "copies");
  const copies = Math.ceil(FILES / parsedFiles(library).length);
  for (let copy = 0; copy < copies; copy++) cpSync(library, join(project, `copy_${copy}`), { recursive: true });
  return withDriver(join(folder, "copies.db"), project, async (driver) => {
    const samples: Sample[] = [];
    let filesDone = 0;
    const timer = setInterval(() => samples.push({ filesDone, megabytes: memoryOf(driver) }), SAMPLE_INTERVAL_MS);
    await driver.index((progress) => {
      filesDone = Number(progress.filesDone);
    });
    clearInterval(timer);
    const total = samples.at(-1)?.filesDone ?? 0;
    const most = (name: string, fifth: number): number =>
      Math.max(
        ...samples
          .filter((sample) => Math.min(4, Math.floor((sample.filesDone / total) * 5)) === fifth)
          .map(({ megabytes }) => megabytes.get(name) ?? 0),
      );
    return ["code-analysis-driver", "writer", "parser"].map((name) =>
      ratioOf(`memory of ${name}, last fifth of ${total} files / second fifth`, [[most(name, 4), most(name, 1)]], "MB"),
    );
  });
}

/** Of the driver and its workers; of several of one name, the largest. */
function memoryOf({ pid }: IndexingDriver): Map<string, number> {
  const found = new Map<string, number>();
  for (const id of [String(pid), ...readdirSync("/proc").filter((name) => /^\d+$/.test(name))]) {
    try {
      const status = readFileSync(`/proc/${id}/status`, "utf8");
      if (Number(id) !== pid && !status.includes(`\nPPid:\t${pid}\n`)) continue;
      const program = readFileSync(`/proc/${id}/cmdline`, "utf8")
        .split("\0")
        .find((argument) => argument.endsWith(".js"));
      const name = basename(program ?? "", ".js");
      const megabytes = Number(/VmRSS:\s*(\d+)/.exec(status)?.[1] ?? 0) / 1024;
      found.set(name, Math.max(found.get(name) ?? 0, megabytes));
    } catch {
      // It has ended meanwhile.
    }
  }
  return found;
}
