import { isUtf8 } from "node:buffer";
import type { Problem } from "./entities.js";
import { IndexingError } from "./indexing-error.js";

/** How far into a file a NUL byte makes it binary: the rule of git (`buffer_is_binary`), whose first 8,000 bytes are near enough. */
const BINARY_PROBE_BYTES = 8192;

/** PEP 263: the cookie stands in one of the first two lines, the first of which is then a comment or blank. */
const ENCODING_COOKIE = /^(?:[ \t\f]*(?:#[^\r\n]*)?(?:\r\n|\r|\n))?[ \t\f]*#[^\r\n]*?coding[:=][ \t]*([-\w.]+)/;

/** Python's names of encodings that the WHATWG labels of `TextDecoder` do not know, after lower-casing and `_` → `-`. */
const LABEL_OF_CODEC: Readonly<Record<string, string>> = {
  utf8: "utf-8",
  "utf-8-sig": "utf-8",
  u8: "utf-8",
  "mac-roman": "macintosh",
  "euc-jis-2004": "euc-jp",
  sjis: "shift_jis",
  "shift-jis": "shift_jis",
  cp932: "shift_jis",
  cp936: "gbk",
  cp949: "euc-kr",
  cp950: "big5",
};

/** ISO 8859-1 and its Python names; the WHATWG label `latin1` means windows-1252, which differs in 0x80–0x9F. */
const LATIN_1 = /^(?:latin-?1|iso-?8859-1|8859|l1|cp819)$/;

/** Keeps a mark inside of the text; the one at the beginning is cut off before. */
const UTF_8 = new TextDecoder("utf-8", { ignoreBOM: true });

/** The text of a file, and what was wrong with its bytes. */
export interface DecodedSource {
  /** Line ends as in the file, no byte order mark. */
  readonly text: string;
  readonly problems: readonly Problem[];
}

/**
 * Decodes the bytes of a source file: the PEP 263 cookie where `hasEncodingCookie` and there is one, else UTF-8. Bytes that
 * the encoding does not allow become U+FFFD and a `decode_error` problem with the first line at fault.
 *
 * @throws {IndexingError} `binary` when there is a NUL in the first 8 KB
 */
export function decodeSource(
  bytes: Uint8Array,
  path: string,
  { hasEncodingCookie = false }: { hasEncodingCookie?: boolean } = {},
): DecodedSource {
  if (bytes.subarray(0, BINARY_PROBE_BYTES).includes(0)) {
    throw new IndexingError("binary", `${path} is a binary file: it has a NUL byte in its first 8 KB.`);
  }
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  const content = hasMark ? bytes.subarray(3) : bytes;
  // PEP 263: a byte order mark means UTF-8, whatever the cookie says.
  const codec = hasEncodingCookie && !hasMark ? codecOf(content) : "utf-8";
  if (codec !== "utf-8") {
    const text = decodeWith(codec, content);
    if (text !== null) return { text, problems: [] };
  }
  if (isUtf8(content)) {
    // What is left of another codec here was unknown or did not fit; of ASCII, only whether it is pure matters.
    const isFitting = codec === "utf-8" || (isAscii(codec) && content.every((byte) => byte < 0x80));
    const problems = isFitting ? [] : [decodeProblem(`the file, read as UTF-8, is not in its encoding ${codec}`, 1)];
    return { text: UTF_8.decode(content), problems };
  }
  return {
    text: UTF_8.decode(content),
    problems: [decodeProblem("bytes that are not UTF-8 were replaced", firstLineThatIsNotUtf8(content))],
  };
}

function decodeProblem(what: string, line: number): Problem {
  return { type: "decode_error", message: `${what}, first in line ${line}`, line };
}

function codecOf(content: Uint8Array): string {
  // The cookie's line is short; a first line longer than this is not Python that anyone wrote.
  const head = Buffer.from(content.subarray(0, 4096)).toString("latin1");
  const name = ENCODING_COOKIE.exec(head)?.[1]?.toLowerCase().replaceAll("_", "-");
  if (name === undefined || name === "utf-8" || name.startsWith("utf-8-")) return "utf-8";
  return LABEL_OF_CODEC[name] ?? name.replace(/^cp(?=\d{3,4}$)/, "windows-");
}

/** The text, or null where the codec is unknown or does not allow the bytes. */
function decodeWith(codec: string, content: Uint8Array): string | null {
  if (LATIN_1.test(codec)) return Buffer.from(content).toString("latin1");
  // The WHATWG label `ascii` means windows-1252; real ASCII is UTF-8 without its upper half, and read as such.
  if (isAscii(codec) || !isDecodable(codec)) return null;
  try {
    return new TextDecoder(codec, { fatal: true }).decode(content);
  } catch (error) {
    if (error instanceof TypeError) return null;
    throw error;
  }
}

function isAscii(codec: string): boolean {
  return codec === "ascii" || codec === "us-ascii";
}

function isDecodable(codec: string): boolean {
  try {
    new TextDecoder(codec);
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function firstLineThatIsNotUtf8(content: Uint8Array): number {
  // A line feed is never part of a longer UTF-8 sequence, so that each line can be judged alone.
  let line = 1;
  for (let start = 0; start < content.length; line++) {
    const feed = content.indexOf(0x0a, start);
    const end = feed === -1 ? content.length : feed + 1;
    if (!isUtf8(content.subarray(start, end))) return line;
    start = end;
  }
  return 1;
}
