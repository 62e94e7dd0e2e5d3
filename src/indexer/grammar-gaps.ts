import type { Tree } from "web-tree-sitter";
import type { GrammarGap } from "./languages/language.js";

/**
 * The text of a tree with errors, with every shape that the grammar cannot read written as one that it can; the text itself where
 * there is none. Every index stays what it was.
 */
export function closeGrammarGap(text: string, { rootNode }: Tree, { pattern, substitute }: GrammarGap): string {
  return text.replace(pattern, (shape, index: number) => {
    const token = rootNode.descendantForIndex(index);
    // In a string or a comment there is no token of its own, and what was understood is left alone.
    const isToken = token?.startIndex === index && !token.isNamed;
    return isToken && token.parent?.hasError ? substitute(shape) : shape;
  });
}
