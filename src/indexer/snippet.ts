/** A part of a source text that shows where a search matched. */
export interface Snippet {
  readonly text: string;
  /** The line of the file that the text begins with. */
  readonly line: number;
  /** The line of the file with the best match. */
  readonly matchLine: number;
  /** The matches in the text, in order: [start, end) in bytes of its UTF-8 form. */
  readonly matches: readonly { readonly start: number; readonly end: number }[];
}

/** A match in a text: [start, end) in UTF-16 code units. */
export interface TextMatch {
  readonly start: number;
  readonly end: number;
}

/** Lines shown before and after the line of the match. */
const CONTEXT_LINES = 1;

/** A line is cut to this many code units, with the match in the middle: generated code can be one line. */
const MAX_LINE_UNITS = 240;

/** Matches that are looked at to find the best line. */
const MAX_MATCHES = 500;

/**
 * Cuts a snippet around the line of `source` with the most matches, the first of several.
 *
 * @param firstLine the line of the file that `source` begins with
 * @param matches in order; with none, the snippet is the first lines
 */
export function cutSnippet(source: string, firstLine: number, matches: readonly TextMatch[]): Snippet {
  const text = withLineFeeds(source);
  const seen = matches.slice(0, MAX_MATCHES);
  const best = bestMatch(text, seen);
  const lineStart = lineStartBefore(text, best.start);
  const from = previousLines(text, lineStart, CONTEXT_LINES);
  let at = from;
  let line = firstLine + countLines(text, 0, from);
  const snippetLine = line;
  let matchLine = line;
  const shown: string[] = [];
  const ranges: { start: number; end: number }[] = [];
  let bytes = 0;
  for (let after = 0; after <= CONTEXT_LINES && at <= text.length; ) {
    const end = lineEndAfter(text, at);
    const isMatchLine = at === lineStart;
    if (isMatchLine) matchLine = line;
    const center = isMatchLine ? best : { start: at, end: at };
    const cut = cutLine(text, at, end, center);
    const piece = text.slice(cut.start, cut.end);
    for (const match of seen) {
      if (match.start < cut.start || match.end > cut.end || match.end === match.start) continue;
      const start = bytes + Buffer.byteLength(text.slice(cut.start, match.start));
      ranges.push({ start, end: start + Buffer.byteLength(text.slice(match.start, match.end)) });
    }
    shown.push(piece);
    bytes += Buffer.byteLength(piece) + 1;
    if (isMatchLine || at > lineStart) after++;
    if (end >= text.length) break;
    at = end + 1;
    line++;
  }
  return { text: shown.join("\n"), line: snippetLine, matchLine, matches: ranges };
}

/** The line of the file at a place of a text that begins with `firstLine`. */
export function lineOf(text: string, firstLine: number, offset: number): number {
  return firstLine + countLines(withLineFeeds(text), 0, offset);
}

/** The text with each lone CR, which ends a line too, as a line feed; every offset stays what it was. */
function withLineFeeds(text: string): string {
  return text.includes("\r") ? text.replace(/\r(?!\n)/g, "\n") : text;
}

function bestMatch(text: string, matches: readonly TextMatch[]): TextMatch {
  let best: TextMatch = matches[0] ?? { start: 0, end: 0 };
  let bestCount = 0;
  let first: TextMatch = best;
  let lineStart = -1;
  let count = 0;
  for (const match of matches) {
    const start = lineStartBefore(text, match.start);
    if (start !== lineStart) {
      lineStart = start;
      first = match;
      count = 0;
    }
    count++;
    if (count > bestCount) {
      best = first;
      bestCount = count;
    }
  }
  return best;
}

function lineStartBefore(text: string, offset: number): number {
  return offset === 0 ? 0 : text.lastIndexOf("\n", offset - 1) + 1;
}

function lineEndAfter(text: string, offset: number): number {
  const end = text.indexOf("\n", offset);
  return end === -1 ? text.length : end;
}

function previousLines(text: string, lineStart: number, count: number): number {
  let start = lineStart;
  for (let n = 0; n < count && start > 0; n++) start = lineStartBefore(text, start - 1);
  return start;
}

function countLines(text: string, from: number, to: number): number {
  let count = 0;
  for (let at = text.indexOf("\n", from); at !== -1 && at < to; at = text.indexOf("\n", at + 1)) count++;
  return count;
}

function cutLine(text: string, start: number, end: number, center: TextMatch): TextMatch {
  const bare = text.charAt(end - 1) === "\r" && end > start ? end - 1 : end;
  if (bare - start <= MAX_LINE_UNITS) return { start, end: bare };
  const room = Math.max(0, MAX_LINE_UNITS - (center.end - center.start));
  const from = Math.max(start, Math.min(center.start - Math.floor(room / 2), bare - MAX_LINE_UNITS));
  return { start: wellFormedAt(text, from), end: wellFormedAt(text, Math.min(bare, from + MAX_LINE_UNITS)) };
}

/** `offset`, or the one before when it would divide a surrogate pair. */
function wellFormedAt(text: string, offset: number): number {
  const unit = text.charCodeAt(offset);
  return unit >= 0xdc00 && unit <= 0xdfff && offset > 0 ? offset - 1 : offset;
}
