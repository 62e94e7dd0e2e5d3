import { c, NEVER_A_NAME } from "../c/c.js";
import type { Language } from "../language.js";
import { tokensOf, withoutTypeArguments } from "../tokens.js";

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
  isReceiverImplicit: true,
  notImplemented: /not (?:yet )?implemented/i,
  splitName,
  importsOf: (statement) => {
    if (statement.startsWith("#")) return c.importsOf(statement);
    const words = tokensOf(statement).filter((token) => !/^(?:using|[:;])$/.test(token));
    if (words[0] === "namespace")
      return [{ name: "*", alias: null, module: words.slice(1).join("::"), type: "import_from" }];
    const name = words.pop();
    return name === undefined ? [] : [{ name, alias: null, module: words.join("::") || null, type: "import_from" }];
  },
};

/**
 * `ns::Queue<T>::size` is `size` of `Queue`. After a macro (`EXPORT std::string Queue::name()`) the grammar takes the type for a part
 * of the name; no name has a blank in it.
 */
function splitName(spelled: string): { name: string; owner: string | null } {
  const operator = /\boperator\b/.exec(spelled)?.index ?? spelled.length;
  const qualified = withoutTypeArguments(spelled.slice(0, operator)).replace(/\s*::\s*/g, "::");
  const parts = qualified.trim().split(/\s+/).pop()?.split("::") ?? [];
  const last = parts.pop() ?? "";
  // The node of a conversion (`operator bool() const`) reaches over its parameter list.
  const name =
    operator === spelled.length ? last : spelled.slice(operator).replace(/(?<=^operator\s+\w[^(]*)\([\s\S]*$/, "");
  return { name: NEVER_A_NAME.test(name) ? "" : name.trim(), owner: parts.at(-1) || null };
}
