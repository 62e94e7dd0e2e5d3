import { readFileSync } from "node:fs";
import { Random } from "../support/random.js";
import { parsedFiles, withDriver } from "./indexing-driver.js";
import { type Amount, latencyOf } from "./rounds.js";

const SEED = 1;
const CALLS = 1_000;

/** SearchCode and FindDefinitions for names of Python definitions drawn at random, one call after the other. */
export async function benchSearch(project: string, databasePath: string): Promise<Amount[]> {
  const names = parsedFiles(project)
    .filter((path) => path.endsWith(".py"))
    .flatMap((path) =>
      [...readFileSync(path, "latin1").matchAll(/^\s*(?:def|class) (\w+)/gm)].map(([, name = ""]) => name),
    );
  const random = new Random(SEED);
  const drawn = Array.from({ length: CALLS }, () => random.pick(names));
  return withDriver(databasePath, project, async ({ client, projectId }) => {
    const search = await timesOf(drawn, (query) => client.searchCode({ projectId, query }));
    const find = await timesOf(drawn, (name) => client.findDefinitions({ projectId, name }));
    return [...latencyOf("SearchCode", search), ...latencyOf("FindDefinitions", find)];
  });
}

async function timesOf(names: readonly string[], call: (name: string) => Promise<unknown>): Promise<number[]> {
  const times: number[] = [];
  for (const name of names) {
    const started = performance.now();
    await call(name);
    times.push(performance.now() - started);
  }
  return times;
}
