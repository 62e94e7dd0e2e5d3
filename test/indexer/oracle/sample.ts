/** Which files of a corpus a test takes: all of them with ORACLE=full, else as many as fit, drawn by a printed seed. */

/** A reproducible stream of numbers in [0, 1): mulberry32. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/** The seed of this run: ORACLE_SEED, else the clock. */
export const seed = Number(process.env.ORACLE_SEED ?? Date.now() % 1_000_000);

/** At most `size` of the items, in their order; all of them with ORACLE=full. */
export function sample<T>(items: readonly T[], size: number): T[] {
  if (process.env.ORACLE === "full" || items.length <= size) return [...items];
  const random = randomFrom(seed);
  const keys = new Map(items.map((item) => [item, random()]));
  const limit = [...keys.values()].sort((a, b) => a - b)[size] ?? 1;
  return items.filter((item) => (keys.get(item) ?? 1) < limit);
}

/** Prints what a test found, below its name. */
export function report(line: string): void {
  process.stdout.write(`      ${line}\n`);
}
