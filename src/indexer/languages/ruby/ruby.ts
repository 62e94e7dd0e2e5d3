import type { Language } from "../language.js";

/** Ruby. A module is a class; `Type.new` is an instantiation. */
export const ruby: Language = {
  name: "ruby",
  family: "ruby",
  extensions: [".rb", ".rake", ".gemspec", ".ru"],
  filenames: ["Gemfile", "Rakefile", "Guardfile", "Vagrantfile", "Podfile", "Fastfile"],
  interpreters: ["ruby", "jruby", "rake"],
  grammar: "ruby/grammar.wasm",
  queries: ["ruby/queries.scm"],
  lineOf: "name",
  receivers: ["self"],
  isCapitalCallInstantiation: false,
  isImportOfFile: true,
  constructorCall: "new",
  isReceiverImplicit: true,
  reach: "project",
  notImplemented: /^raise\b[\s(]*NotImplementedError\b/,
  emptyBody: /^def\s+[^\s;(]+\s*(?:\([^()]*\))?[\s;]*end$/,
  docComments: { pattern: /^#(?!!)/, isRun: true },
  importsOf: (statement) => {
    const [, verb, path] = /^(require|require_relative|load)\b[\s(]*["']([^"']+)["']/.exec(statement) ?? [];
    if (path === undefined) return [];
    // A leading dot says, as elsewhere, that the path is relative to the file.
    const module = verb === "require_relative" && !path.startsWith(".") ? `./${path}` : path;
    return [{ name: module, alias: null, module, type: "import" }];
  },
};
