import type { Node } from "web-tree-sitter";
import type { GrammarGap } from "../language.js";

/**
 * Macros where the grammars of C and C++, which know no preprocessor, have no place for one, and lose or misname a definition for
 * it. By convention they are written in capitals; each is read as blanks. The patterns have bounds, so that no text makes them
 * look at much of it from each of many places.
 */
export const MACRO_GAPS: readonly GrammarGap[] = [
  // `class EXPORT Widget : public Base {` is a function or a bit field `Widget` to the grammar.
  {
    pattern:
      /\b(?:class|struct|union|enum)(?:\s+class)?(?:\s+(?:__\w+|[A-Z_][A-Z0-9_]*)\b(?:\([^()]*\))?){1,3}(?=\s+(?!final\b)[A-Za-z_][\w:]*(?:<[^;{}()]{0,500}>)?\s*(?:final\s*)?(?:\{|:(?!:)))/g,
    substitute: (shape) => shape.replace(/\b(?!(?:class|struct|union|enum)\b)\w[\s\S]*/, blanks),
    isMisread: ({ parent: type }) => type?.childForFieldName("body") === null && isNoDeclaration(type.parent),
  },
  // `NAMESPACE_BEGIN class Cache {` and, in a class, `Q_OBJECT public:`; the grammar takes the macro for a type.
  {
    pattern:
      /\b[A-Z_][A-Z0-9_]*\b(?=\s+(?:(?:\/\/.{0,500}\n|\/\*[^*]{0,500}(?:\*(?!\/)[^*]{0,500}){0,60}\*\/)\s*){0,30}(?:class|struct|union|enum|template|namespace|typedef|using|public|private|protected)\b)/g,
    substitute: blanks,
    isMisread: ({ type, parent }) => type === "type_identifier" && parent?.hasError === true,
  },
  // `int __init start(void) {` is a function `void` of the type `start` to the grammar.
  {
    pattern: /\b(?:__\w+|[A-Z_][A-Z0-9_]+)(?=[\s*]+[A-Za-z_]\w*\s*\(\s*void\s*\))/g,
    substitute: blanks,
    isMisread: ({ parent }) => lacksSemicolon(parent?.type === "pointer_declarator" ? parent.parent : parent),
  },
  // `int size() const LOCKS_EXCLUDED(mutex) {` and, in a class, `int size() NOEXCEPT {`; the grammar takes the macro for the function.
  {
    pattern:
      /\b(?=[A-Z_])(?<=\)\s*(?:(?:const|noexcept|override|final)\s*)*)[A-Z_][A-Z0-9_]*\b(?:\([^(){};]*\))?(?=\s*(?:(?:override|final)\s*)?(?:\{|:(?!:)))/g,
    substitute: blanks,
    isMisread: (name) => {
      const { parent } = name;
      if (parent?.type === "function_definition") return parent.childForFieldName("declarator")?.id === name.id;
      const isFunction = parent?.type === "function_declarator" && parent.parent?.type === "function_definition";
      return isFunction && lacksSemicolon(parent.parent.previousSibling);
    },
  },
];

function isNoDeclaration(node: Node | null): boolean {
  return node !== null && (node.hasError || /^(?:function_definition|field_declaration)$/.test(node.type));
}

function lacksSemicolon(node: Node | null): boolean {
  return node !== null && /declaration$/.test(node.type) && node.lastChild?.isMissing === true;
}

function blanks(macro: string): string {
  return macro.replace(/\S/g, " ");
}
