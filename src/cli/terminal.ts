import type { Writable } from "node:stream";
import { styleText } from "node:util";

/** Where a command writes to; `process.stdout` is one. */
export type OutputStream = Writable & {
  /** True for a terminal; nothing is coloured, cut or animated elsewhere. */
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  hasColors?(): boolean;
};

/** The two ends of a command: results go to stdout, everything about the way there to stderr. */
export interface Terminal {
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
}

/** A way to set text off from other text. */
export type Style = Parameters<typeof styleText>[0];

/** Writes `text` and waits until the stream can take more, so that a long result does not pile up in memory. */
export function write(stream: OutputStream, text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stream.write(text, (error) => (error ? reject(error) : undefined))) resolve();
    else stream.once("drain", resolve);
  });
}

/** Styles text for `stream`: not at all unless it is a terminal with colours; NO_COLOR counts. */
export function createStyler(stream: OutputStream): (style: Style, text: string) => string {
  const hasColors = stream.isTTY === true && stream.hasColors?.() === true;
  return (style, text) => (hasColors ? styleText(style, text, { validateStream: false }) : text);
}

/** First of the symbols that stand for the control characters U+0000 to U+001F. */
const CONTROL_PICTURES = 0x2400;
const DELETE_PICTURE = "\u2421";

/**
 * Text from a database or a source file as it may be shown: control characters, which could move the cursor or change the
 * terminal, become symbols. Line feeds and tabs stay.
 */
export function toPrintable(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what this is about.
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, (character) => {
    const code = character.charCodeAt(0);
    return code < 0x20 ? String.fromCharCode(CONTROL_PICTURES + code) : DELETE_PICTURE;
  });
}
