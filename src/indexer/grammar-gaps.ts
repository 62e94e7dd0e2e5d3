import type { Tree } from "web-tree-sitter";
import type { GrammarGap } from "./languages/language.js";

/**
 * The text of a tree, with every shape that the grammar cannot read written as one that it can; the text itself where there is
 * none. Every index stays what it was.
 */
export function closeGrammarGaps(text: string, { rootNode }: Tree, gaps: readonly GrammarGap[]): string {
  let readable = text;
  for (const { pattern, substitute, isMisread } of gaps) {
    if (isMisread === undefined && !rootNode.hasError) continue;
    readable = readable.replace(pattern, (shape, index: number) => {
      const token = rootNode.descendantForIndex(index);
      // In a string or a comment there is no token of its own, and what was understood is left alone.
      const isToken = token?.startIndex === index && (!token.isNamed || token.type.endsWith("identifier"));
      if (!isToken) return shape;
      return (isMisread?.(token) ?? token.parent?.hasError) ? substitute(shape) : shape;
    });
  }
  return readable;
}
