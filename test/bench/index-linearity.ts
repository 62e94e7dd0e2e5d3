import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { milliseconds, withDriver } from "./indexing-driver.js";
import { median, type Ratio, ratioOf } from "./rounds.js";

const DEFINITIONS = [2_000, 4_000, 8_000];
const ROUNDS = 3;

/** IndexFile of a file with n, 2n and 4n definitions: how much longer each takes than the one before; linear is 2. */
export async function benchLinearity(folder: string): Promise<Ratio[]> {
  const project = join(folder, "linearity");
  mkdirSync(project);
  for (const count of DEFINITIONS) writeFileSync(join(project, `${count}.py`), sourceOf(count));
  return withDriver(join(folder, "linearity.db"), project, async ({ client, projectId }) => {
    const times = new Map<number, number>();
    for (const count of DEFINITIONS) {
      const rounds: number[] = [];
      for (let round = 0; round <= ROUNDS; round++) {
        const ms = await milliseconds(() => client.indexFile({ projectId, filePath: `${count}.py`, force: true }));
        if (round > 0) rounds.push(ms);
      }
      times.set(count, median(rounds));
    }
    return DEFINITIONS.slice(1).map((count, index) => {
      const before = DEFINITIONS[index] ?? Number.NaN;
      const pair = [times.get(count) ?? Number.NaN, times.get(before) ?? Number.NaN] as const;
      return ratioOf(`IndexFile of ${count} definitions / of ${before}`, [pair], "ms");
    });
  });
}

/** Classes with methods that call each other, so that rows of every table grow with the file. */
function sourceOf(definitions: number): string {
  return Array.from({ length: definitions }, (_, i) =>
    i % 10 === 0
      ? `class Thing${i}(Thing${Math.max(0, i - 10)}):\n    """Number ${i}."""\n`
      : `    def method_${i}(self, first, second=${i}):\n        return self.method_${i - 1}(helper_${i}(first), second)\n`,
  ).join("\n");
}
