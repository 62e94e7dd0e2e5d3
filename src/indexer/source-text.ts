/**
 * A decoded source in the two forms that parsing needs: as it is in the file, and with every line end as `\n`, which is what
 * a grammar sees. Indices are UTF-16 code units of the normalised text unless a name says otherwise.
 */
export class SourceText {
  /** As in the file. */
  readonly original: string;
  /** Every `\r\n` and lone `\r` as `\n`. */
  readonly text: string;
  /** Index at which each line starts. */
  readonly #starts: readonly number[];
  /** For each line, how many `\r\n` stand before it; null when there are none. */
  readonly #shifts: readonly number[] | null;

  constructor(original: string) {
    this.original = original;
    this.text = original.includes("\r") ? original.replace(/\r\n?/g, "\n") : original;
    const starts = [0];
    for (let feed = this.text.indexOf("\n"); feed !== -1; feed = this.text.indexOf("\n", feed + 1))
      starts.push(feed + 1);
    this.#starts = starts;
    this.#shifts = this.text.length === original.length ? null : shiftsOf(original, starts.length);
  }

  /** How many lines the file has; a last line without a line end counts. */
  get lineCount(): number {
    return this.text === "" || this.text.endsWith("\n") ? this.#starts.length - 1 : this.#starts.length;
  }

  /** 1-based line of an index. */
  lineAt(index: number): number {
    let low = 0;
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= index) low = middle;
      else high = middle;
    }
    return low + 1;
  }

  /** The index in `original` of an index in `text`. */
  originalIndex(index: number): number {
    return this.#shifts === null ? index : index + (this.#shifts[this.lineAt(index) - 1] ?? 0);
  }
}

function shiftsOf(original: string, lineCount: number): number[] {
  const shifts = [0];
  let shift = 0;
  for (const { 0: lineEnd } of original.matchAll(/\r\n|\r|\n/g)) {
    if (lineEnd.length === 2) shift++;
    if (shifts.length < lineCount) shifts.push(shift);
  }
  return shifts;
}
