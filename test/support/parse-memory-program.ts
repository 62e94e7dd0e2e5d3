/**
 * Parses the Python source on stdin 5 times, then 15 times more, and prints by how many bytes the process has grown meanwhile. A
 * process of its own: what other tests have freed would hide or feign growth.
 */
import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { parseSource } from "../../src/indexer/parse.js";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;
const source = readFileSync(0);

async function residentAfter(count: number): Promise<number> {
  for (let index = 0; index < count; index++) await parseSource(source, "a.py", { maxBytes: 5e6, timeoutMs: 60_000 });
  collect();
  return process.memoryUsage().rss;
}

const before = await residentAfter(5);
process.stdout.write(String((await residentAfter(15)) - before));
