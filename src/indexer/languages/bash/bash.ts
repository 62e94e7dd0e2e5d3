import type { Language } from "../language.js";

/** Bash and its relatives. Every command is a call; parameters have no names. */
export const bash: Language = {
  name: "bash",
  family: "bash",
  extensions: [".sh", ".bash", ".ksh", ".bats"],
  filenames: [".bashrc", ".bash_profile", ".bash_aliases", ".profile", "PKGBUILD", "APKBUILD"],
  interpreters: ["bash", "sh", "dash", "ksh", "ash", "bats"],
  grammar: "bash/grammar.wasm",
  queries: ["bash/queries.scm"],
  lineOf: "name",
  receivers: [],
  isCapitalCallInstantiation: false,
  isImportOfFile: true,
  isCalleeWhole: true,
  reach: "project",
  emptyBody: /\{\s*(?::|true);?\s*\}$/,
  docComments: { pattern: /^#(?!!)/, isRun: true },
  importsOf: (statement) => {
    const path = /^(?:source|\.)\s+(?:"([^"]*)"|'([^']*)'|(\S+))/.exec(statement)?.slice(1).find(Boolean);
    return path === undefined ? [] : [{ name: path, alias: null, module: path, type: "import" }];
  },
};
