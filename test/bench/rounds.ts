/** One thing to measure: does a fixed amount of work and answers how much per second. */
export interface Contender {
  readonly name: string;
  /** Units of work done per second. */
  run(): Promise<number>;
}

export interface Ratio {
  readonly name: string;
  /** Median rate of each contender over the rounds. */
  readonly rates: readonly [number, number];
  /** Median, lowest and highest of the ratios of the single rounds. */
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/**
 * Runs both contenders in turn, `rounds` times after one round to warm up, and compares them round by round: what slows the
 * machine down for a while slows both.
 */
export async function compare(a: Contender, b: Contender, rounds: number): Promise<Ratio> {
  const rates: [number, number][] = [];
  for (let round = 0; round <= rounds; round++) {
    const pair: [number, number] = [await a.run(), await b.run()];
    if (round > 0) rates.push(pair);
  }
  const ratios = rates.map(([first, second]) => first / second);
  return {
    name: `${a.name} / ${b.name}`,
    rates: [median(rates.map(([first]) => first)), median(rates.map(([, second]) => second))],
    median: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
  };
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((x, y) => x - y);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2;
}

/** Runs `call` `count` times with `inFlight` at a time and answers the calls per second. */
export async function callsPerSecond(
  count: number,
  inFlight: number,
  call: (index: number) => Promise<unknown>,
): Promise<number> {
  let next = 0;
  const started = performance.now();
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      while (next < count) await call(next++);
    }),
  );
  return (count / (performance.now() - started)) * 1_000;
}
