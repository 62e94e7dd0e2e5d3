import type { ImportedName, Language } from "../language.js";
import { pythonStringValue } from "./string-literal.js";

/** Python 3, as CPython's `ast` sees it. */
export const python: Language = {
  name: "python",
  family: "python",
  extensions: [".py", ".pyi", ".pyw"],
  filenames: ["SConstruct", "SConscript", "wscript"],
  interpreters: ["python", "pypy"],
  grammar: "python/grammar.wasm",
  queries: ["python/queries.scm"],
  lineOf: "node",
  receivers: ["self"],
  // `cls` stays: it is the name of a parameter like any other, `self` is what the tables leave out.
  receiverParameter: "self",
  isCapitalCallInstantiation: true,
  areVariablesCallable: true,
  reach: "imports",
  notImplemented: /^raise\s+NotImplementedError\b/,
  abstractMark: /^[ \t]*@[ \t]*(?:\w+\.)*abstract(?:method|property|classmethod|staticmethod)\b/m,
  hasEncodingCookie: true,
  // The lexer compares identifiers in NFKC (https://docs.python.org/3/reference/lexical_analysis.html#identifiers).
  normalizeName: (name) => (isAscii(name) ? name : name.normalize("NFKC")),
  // Inside of brackets, a name may stand on the line after its dot, less indented than the block: the grammar ends the block there.
  // With the dot before the name it does not. What is looked for last is the bracket that is open in the dot's line.
  grammarGaps: [
    {
      pattern: /\.[ \t]*\r?\n[ \t]+(?=[^\W\d])(?<=[([{][^()[\]{}\n]*\n[ \t]+)/g,
      substitute: (shape) => ` ${shape.slice(1, -1)}.`,
    },
  ],
  docstringOf: pythonStringValue,
  importsOf: importsOfPython,
};

function isAscii(text: string): boolean {
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) > 127) return false;
  return true;
}

const FROM = /^from([\s.][\s\S]*?)\bimport\b([\s\S]*)$/;

function importsOfPython(statement: string): ImportedName[] {
  // An import statement holds no string, so that a # always begins a comment.
  const source = statement.replace(/#[^\n]*/g, "").replace(/\\\n|[()]/g, " ");
  const from = FROM.exec(source);
  const names = (from?.[2] ?? source.replace(/^import\b/, "")).split(",");
  const module = from?.[1]?.replace(/\s+/g, "");
  const imports: ImportedName[] = [];
  for (const spelled of names) {
    const [name = "", alias = null] = spelled.trim().split(/\s+as\s+/);
    const bare = python.normalizeName?.(name.replace(/\s+/g, "")) ?? name;
    if (bare === "") continue;
    imports.push(
      module === undefined
        ? { name: bare, alias, module: bare, type: "import" }
        : { name: bare, alias, module, type: "import_from" },
    );
  }
  return imports;
}
