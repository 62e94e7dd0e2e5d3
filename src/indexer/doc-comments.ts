import type { DocComments } from "./languages/language.js";

/** A comment by its place in the text. */
export interface CommentRange {
  readonly start: number;
  readonly end: number;
}

/**
 * The documentation in the comments that end directly above `start`, without their marks: one block comment, or a run of
 * adjacent one-line comments. Null where there is none, or a blank line in between.
 */
export function commentAbove(
  text: string,
  comments: readonly CommentRange[],
  start: number,
  { pattern, isRun }: DocComments,
): string | null {
  const parts: string[] = [];
  let below = start;
  for (let index = comments.length - 1; index >= 0; index--) {
    const comment = comments[index];
    if (comment === undefined || comment.end > below) continue;
    if (!isAdjacent(text, comment.end, below)) break;
    const spelled = text.slice(comment.start, comment.end);
    if (!pattern.test(spelled) || !isFirstOnLine(text, comment.start)) break;
    parts.unshift(withoutMarks(spelled));
    if (!isRun || spelled.startsWith("/*")) break;
    below = comment.start;
  }
  return parts.length === 0 ? null : parts.join("\n");
}

/** Only blanks and at most one line end between. */
function isAdjacent(text: string, from: number, to: number): boolean {
  return to - from < 4096 && /^[^\S\n]*\n?[^\S\n]*$/.test(text.slice(from, to));
}

function isFirstOnLine(text: string, start: number): boolean {
  let index = start;
  while (index > 0 && (text[index - 1] === " " || text[index - 1] === "\t")) index--;
  return index === 0 || text[index - 1] === "\n";
}

function withoutMarks(comment: string): string {
  if (!comment.startsWith("/*")) return comment.replace(/^(?:\/\/[/!]?|#+) ?/, "").trimEnd();
  const body = comment.replace(/^\/\*+!?/, "").replace(/\*+\/$/, "");
  return body
    .split("\n")
    .map((line) => line.replace(/^\s*\*? ?/, "").trimEnd())
    .join("\n")
    .trim();
}
