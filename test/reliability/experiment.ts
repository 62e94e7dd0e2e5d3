/**
 * An experiment has a short form, which runs with all tests, and a long form, which `npm run reliability` runs. They differ in
 * nothing but amounts.
 */
const IS_LONG = process.env.RELIABILITY === "long";

/** The seed of every random choice; `SEED=7 npm run reliability -- kill-ledger` repeats a run. */
export const SEED = Number(process.env.SEED ?? Date.now() % 2 ** 31);

/** The amount for the form that runs. */
export function amount<T>(short: T, long: T): T {
  return IS_LONG ? long : short;
}

/** Prints a line of figures under the running test, for the page of results. */
export function report(figures: string): void {
  process.stdout.write(`      ${figures}\n`);
}

/** Resolves after `ms`: for faults at random moments, never in place of a condition. */
export async function pause(ms: number): Promise<void> {
  await new Promise((resolve) => setTimeout(resolve, ms));
}
