import { c } from "../c/c.js";
import type { Language } from "../language.js";
import { tokensOf } from "../tokens.js";

/** C++. A function defined outside of its class, `Type::method`, belongs to the class. */
export const cpp: Language = {
  ...c,
  name: "cpp",
  extensions: [".cpp", ".cc", ".cxx", ".c++", ".hpp", ".hh", ".hxx", ".h++", ".ipp", ".tpp", ".inl"],
  grammar: "cpp/grammar.wasm",
  queries: ["c/declarations.scm", "cpp/queries.scm"],
  receivers: ["this"],
  // A header says by what it holds whether it is C++.
  claims: {
    extension: ".h",
    pattern: /^[ \t]*(?:class\s+\w+[^;]*[{:]|namespace\b|template\s*<|using\s+\w|(?:public|private|protected)\s*:)/m,
  },
  isCapitalCallInstantiation: true,
  notImplemented: /not (?:yet )?implemented/i,
  splitName: (spelled) => {
    const parts = withoutTemplateArguments(spelled).split(/\s*::\s*/);
    const name = parts.pop() ?? spelled;
    return { name: name.trim(), owner: parts.at(-1)?.trim() || null };
  },
  importsOf: (statement) => {
    if (statement.startsWith("#")) return c.importsOf(statement);
    const words = tokensOf(statement).filter((token) => !/^(?:using|[:;])$/.test(token));
    if (words[0] === "namespace")
      return [{ name: "*", alias: null, module: words.slice(1).join("::"), type: "import_from" }];
    const name = words.pop();
    return name === undefined ? [] : [{ name, alias: null, module: words.join("::") || null, type: "import_from" }];
  },
};

function withoutTemplateArguments(spelled: string): string {
  if (/\boperator\b/.test(spelled)) return spelled.replace(/<[^<>]*>(?=\s*::)/g, "");
  let bare = spelled;
  for (let inner = bare; ; bare = inner) {
    inner = bare.replace(/<[^<>]*>/g, "");
    if (inner === bare) return bare;
  }
}
