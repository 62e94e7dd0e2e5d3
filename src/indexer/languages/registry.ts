import { bash } from "./bash/bash.js";
import { c } from "./c/c.js";
import { cpp } from "./cpp/cpp.js";
import { csharp } from "./csharp/csharp.js";
import { go } from "./go/go.js";
import { java } from "./java/java.js";
import { javascript } from "./javascript/javascript.js";
import type { Language } from "./language.js";
import { php } from "./php/php.js";
import { python } from "./python/python.js";
import { ruby } from "./ruby/ruby.js";
import { rust } from "./rust/rust.js";
import { tsx, typescript } from "./typescript/typescript.js";

/** Every language that is parsed; a file of another kind is stored as text. */
export const LANGUAGES: readonly Language[] = [
  python,
  typescript,
  tsx,
  javascript,
  go,
  rust,
  java,
  c,
  cpp,
  csharp,
  ruby,
  php,
  bash,
];

const languageByName = new Map(LANGUAGES.map((language) => [language.name, language]));

/** A language by its name; null for a file that is stored as text only. */
export function languageNamed(name: string | null): Language | null {
  return languageByName.get(name ?? "") ?? null;
}

/** The family of a language by its name; empty for a file that is stored as text only, which defines nothing. */
export function familyOf(language: string | null): string {
  return languageNamed(language)?.family ?? "";
}

/**
 * The language of a file by its name, else by its `#!` line; null for a file that is stored as text only.
 *
 * @param head answers the beginning of the file's text: its first line, and enough of a header to tell C++ from C; most names
 *   say enough without it
 */
export function languageOf(path: string, head: () => string): Language | null {
  const filename = path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
  const dot = filename.lastIndexOf(".");
  const extension = dot <= 0 ? "" : filename.slice(dot).toLowerCase();
  const claimant = LANGUAGES.find(({ claims }) => claims?.extension === extension && claims.pattern.test(head()));
  if (claimant !== undefined) return claimant;
  const byName = LANGUAGES.find(
    ({ extensions, filenames }) => filenames.includes(filename) || extensions.includes(extension),
  );
  if (byName !== undefined) return byName;
  const program = interpreterOf(head());
  return LANGUAGES.find(({ interpreters }) => program !== null && interpreters.includes(program)) ?? null;
}

/** The program of a `#!` line, without its directory and version; what `env` starts where that is the program. */
function interpreterOf(head: string): string | null {
  if (!head.startsWith("#!")) return null;
  const words = (/^#!([^\r\n]*)/.exec(head)?.[1] ?? "").trim().split(/\s+/);
  const isEnv = /(?:^|\/)env$/.test(words[0] ?? "");
  const word = isEnv ? words.slice(1).find((it) => !it.startsWith("-") && !it.includes("=")) : words[0];
  return word?.replace(/^.*\//, "").replace(/[\d.]+$/, "") ?? null;
}
