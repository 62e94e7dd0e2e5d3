import type { Language } from "../language.js";
import { tokensOf, withoutTypeArguments } from "../tokens.js";

/** C#. Constructors are methods with the name of their class, destructors have a `~` before it. */
export const csharp: Language = {
  name: "csharp",
  family: "csharp",
  extensions: [".cs", ".csx"],
  filenames: [],
  interpreters: [],
  grammar: "csharp/grammar.wasm",
  queries: ["csharp/queries.scm"],
  lineOf: "name",
  receivers: ["this"],
  isCapitalCallInstantiation: false,
  isBareCallMethod: true,
  isReceiverImplicit: true,
  areVariablesCallable: true,
  reach: "project",
  notImplemented: /NotImplementedException|not (?:yet )?implemented/i,
  emptyBody: /\{\s*\}$/,
  docComments: { pattern: /^\/(?:\/\/(?!\/)|\*\*(?!\/))/, isRun: true },
  importsOf: (statement) => {
    const words = tokensOf(withoutTypeArguments(statement)).filter(
      (token) => !/^(?:global|using|unsafe|[.;])$/.test(token),
    );
    if (words[0] === "static")
      return [{ name: "*", alias: null, module: words.slice(1).join("."), type: "import_from" }];
    if (words[1] === "=") {
      const name = words.at(-1) ?? "";
      return [{ name, alias: words[0] ?? null, module: words.slice(2, -1).join(".") || null, type: "import_from" }];
    }
    const module = words.join(".");
    return module === "" ? [] : [{ name: module, alias: null, module, type: "import" }];
  },
};
