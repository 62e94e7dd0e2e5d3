/** One thing to measure: does a fixed amount of work and answers how much per second. */
export interface Contender {
  readonly name: string;
  /** Units of work done per second. */
  run(): Promise<number>;
}

export interface Ratio {
  readonly name: string;
  /** What the two are measured in: `per second`, say. */
  readonly ratesUnit: string;
  /** Median rate of each contender over the rounds. */
  readonly rates: readonly [number, number];
  /** Median, lowest and highest of the ratios of the single rounds. */
  readonly median: number;
  readonly lowest: number;
  readonly highest: number;
}

/** A figure that is no ratio: megabytes, rows. */
export interface Amount {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
}

/** What a benchmark prints. */
export type Figure = Ratio | Duration | Amount;

/** How long one thing took, in milliseconds. */
export interface Duration {
  readonly name: string;
  readonly medianMs: number;
  readonly lowestMs: number;
  readonly highestMs: number;
}

/**
 * Runs both contenders in turn, `rounds` times after one round to warm up, and compares them round by round: what slows the
 * machine down for a while slows both.
 */
export async function compare(a: Contender, b: Contender, rounds: number): Promise<Ratio> {
  const [ratio] = await compareWith(b, [a], rounds);
  if (ratio === undefined) throw new Error("nothing was compared");
  return ratio;
}

/** Like `compare` for several contenders and one `base`, which runs once a round: the ratio of each to the base. */
export async function compareWith(base: Contender, others: readonly Contender[], rounds: number): Promise<Ratio[]> {
  const rates: [baseRate: number, rates: number[]][] = [];
  for (let round = 0; round <= rounds; round++) {
    const measured: number[] = [];
    for (const other of others) measured.push(await other.run());
    const baseRate = await base.run();
    if (round > 0) rates.push([baseRate, measured]);
  }
  return others.map(({ name }, index) =>
    ratioOf(
      `${name} / ${base.name}`,
      rates.map(([baseRate, measured]) => [measured[index] ?? Number.NaN, baseRate]),
    ),
  );
}

/** The ratio of two rates, from what each was in every round. */
export function ratioOf(
  name: string,
  rounds: readonly (readonly [first: number, second: number])[],
  ratesUnit = "per second",
): Ratio {
  const ratios = rounds.map(([first, second]) => first / second);
  return {
    name,
    ratesUnit,
    rates: [median(rounds.map(([first]) => first)), median(rounds.map(([, second]) => second))],
    median: median(ratios),
    lowest: Math.min(...ratios),
    highest: Math.max(...ratios),
  };
}

/** How long the calls of `times` took: the median, and what 99 of 100 stay below. */
export function latencyOf(name: string, times: readonly number[]): Amount[] {
  const sorted = [...times].sort((x, y) => x - y);
  const quantile = (share: number): number => sorted[Math.ceil(share * sorted.length) - 1] ?? Number.NaN;
  return [
    { name: `${name}, p50`, value: quantile(0.5), unit: "ms" },
    { name: `${name}, p99`, value: quantile(0.99), unit: "ms" },
  ];
}

/** Times `run`, `repeats` times after once to warm up, each after `prepare`. */
export function durationOf(name: string, repeats: number, run: () => void, prepare: () => void = () => {}): Duration {
  const times: number[] = [];
  for (let repeat = 0; repeat <= repeats; repeat++) {
    prepare();
    const started = performance.now();
    run();
    if (repeat > 0) times.push(performance.now() - started);
  }
  return summaryOf(name, times);
}

/** Durations that were measured elsewhere, in milliseconds. */
export function summaryOf(name: string, times: readonly number[]): Duration {
  return { name, medianMs: median(times), lowestMs: Math.min(...times), highestMs: Math.max(...times) };
}

/** The middle one of `values`, or the mean of the two in the middle. */
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
