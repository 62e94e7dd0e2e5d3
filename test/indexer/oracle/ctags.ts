import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { basename, dirname } from "node:path";
import type { Definition } from "../../../src/indexer/entities.js";

/** The release whose tags are committed: another one has other bugs, hence other differences. */
export const CTAGS_RELEASE = "Universal Ctags 5.9.0";

/** universal-ctags' name of a language, and the letters of the kinds that may be definitions here. */
export interface CtagsLanguage {
  readonly name: string;
  readonly kinds: string;
}

/** By the names of our languages. */
export const CTAGS_LANGUAGES: Readonly<Record<string, CtagsLanguage>> = {
  bash: { name: "Sh", kinds: "f" },
  c: { name: "C", kinds: "dfgstu" },
  cpp: { name: "C++", kinds: "cdfgstu" },
  csharp: { name: "C#", kinds: "cgims" },
  go: { name: "Go", kinds: "finst" },
  java: { name: "Java", kinds: "acgim" },
  php: { name: "PHP", kinds: "cfit" },
  ruby: { name: "Ruby", kinds: "Scfm" },
  rust: { name: "Rust", kinds: "MPfgis" },
};

/** Whether the release that the expectations are of is installed. */
export function hasCtags(): boolean {
  return spawnSync("ctags", ["--version"], { encoding: "utf8" }).stdout?.startsWith(CTAGS_RELEASE) ?? false;
}

/** The tags file of one source file, as `FILE.tags` beside it has it. */
export function runCtags(path: string, { name, kinds }: CtagsLanguage): string {
  const { stdout, status } = spawnSync(
    "ctags",
    [
      ...["--options=NONE", "--extras=-s", `--language-force=${name}`, `--kinds-${name}=${kinds}`],
      ...["--fields=+nSt", "--excmd=number", "--sort=no", "-f", "-", basename(path)],
    ],
    { cwd: dirname(path), encoding: "utf8", maxBuffer: 1 << 28 },
  );
  assert.equal(status, 0);
  return stdout;
}

const CLASS_KINDS = new Set(["a", "c", "g", "i", "s", "t", "u"]);

/** Kinds whose letter means something else in one language than in the others. */
const OTHER_KINDS: Readonly<Record<string, "class" | "function">> = {
  "Ruby m": "class",
  "Rust c": "class",
};

/**
 * The definitions in a tags file, as `class NAME LINE` or `function NAME LINE`. Macros without parameters and typedefs of types that
 * have a name are none here; a typedef of one that has none stands for it.
 */
export function taggedDefinitions(tags: string, { name: language }: CtagsLanguage): string[] {
  return tags
    .split("\n")
    .filter((line) => line !== "")
    .flatMap((line) => {
      const [name = "", , address = "", kind = "", ...fields] = line.split("\t");
      const isMacro = kind === "d" || kind === "M";
      if (kind === "d" && !fields.some((field) => field.startsWith("signature:"))) return [];
      if (kind === "t" && language.startsWith("C") && !fields.some((field) => /^typeref:\w+:.*__anon/.test(field)))
        return [];
      if (name.startsWith("__anon")) return [];
      const category = OTHER_KINDS[`${language} ${kind}`] ?? (CLASS_KINDS.has(kind) && !isMacro ? "class" : "function");
      return [`${category} ${plainName(unescaped(name))} ${Number.parseInt(address, 10)}`];
    });
}

/** Our definitions in the same form: methods are functions, and a name goes without its type. */
export function ownDefinitions(definitions: readonly Definition[]): string[] {
  return definitions.map(
    ({ kind, name, line }) => `${kind === "class" ? "class" : "function"} ${plainName(name)} ${line}`,
  );
}

/** A name that starts with an exclamation mark is escaped, because lines that start with one are about the file. */
function unescaped(name: string): string {
  return name.replace(/^\\x21/, "!");
}

/** Without its type, and an operator of C++ without the blanks that ctags writes around its sign. */
function plainName(name: string): string {
  return name
    .replace(/^.*(?:\.|::)(?=[^.:])/, "")
    .replace(/^operator (?=\W)/, "operator")
    .trimEnd();
}

/** What is in one list and not in the other: `ctags: class NAME LINE`, `ours: …`. */
export function differencesOf(tagged: readonly string[], own: readonly string[]): string[] {
  const [theirs, ours] = [new Set(tagged), new Set(own)];
  return [
    ...[...theirs].filter((it) => !ours.has(it)).map((it) => `ctags: ${it}`),
    ...[...ours].filter((it) => !theirs.has(it)).map((it) => `ours: ${it}`),
  ];
}
