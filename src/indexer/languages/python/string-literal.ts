/**
 * The value of Python string literals (https://docs.python.org/3/reference/lexical_analysis.html#string-and-bytes-literals),
 * for docstrings: adjacent literals joined, escapes replaced, nothing trimmed.
 */

const LITERAL = /([A-Za-z]*)("""|'''|"|')/y;
/** What may stand between adjacent literals: blanks, line ends, joined lines, comments (inside parentheses). */
const GAP = /(?:[\s()]|\\\n|#[^\n]*)*/y;
const ESCAPE = /\\(?:\n|[\\'"abfnrtv]|[0-7]{1,3}|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8})/g;
const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  "\n": "",
  "\\": "\\",
  "'": "'",
  '"': '"',
  a: "\x07",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
};

/**
 * The value of one or more adjacent literals, with or without parentheses around them; null when one of them is bytes or
 * formatted, which make no docstring. `\N{NAME}` stays as it is: the names of Unicode are not at hand.
 */
export function pythonStringValue(source: string): string | null {
  let value = "";
  let index = endOf(GAP, source, 0);
  while (index < source.length) {
    LITERAL.lastIndex = index;
    const opening = LITERAL.exec(source);
    const prefix = opening?.[1]?.toLowerCase() ?? "";
    const quote = opening?.[2];
    if (quote === undefined || /[bft]/.test(prefix)) return null;
    const start = LITERAL.lastIndex;
    const end = closingQuote(source, start, quote);
    if (end === -1) return null;
    const body = source.slice(start, end);
    value += prefix.includes("r") ? body : body.replace(ESCAPE, valueOfEscape);
    index = endOf(GAP, source, end + quote.length);
  }
  return value;
}

function endOf(pattern: RegExp, source: string, index: number): number {
  pattern.lastIndex = index;
  return pattern.test(source) ? pattern.lastIndex : index;
}

function closingQuote(source: string, start: number, quote: string): number {
  for (let index = start; index < source.length; index++) {
    if (source[index] === "\\") index++;
    else if (source.startsWith(quote, index)) return index;
  }
  return -1;
}

function valueOfEscape(sequence: string): string {
  const kind = sequence.charAt(1);
  const simple = SIMPLE_ESCAPES[kind];
  if (simple !== undefined) return simple;
  const isHexadecimal = kind === "x" || kind === "u" || kind === "U";
  const code = isHexadecimal ? Number.parseInt(sequence.slice(2), 16) : Number.parseInt(sequence.slice(1), 8);
  return code <= 0x10ffff ? String.fromCodePoint(code) : sequence;
}
