import type { Import } from "./entities.js";
import { familyOf, languageNamed } from "./languages/registry.js";

/**
 * Which file an import means, by path alone: modules and files are compared as lists of path parts.
 *
 * An **origin** is where a use says its name comes from: the parts of a module joined by `/`. With a leading `/` it is counted
 * from the project's root (a relative import) and matches whole paths; without, it matches the end of a path, since a project's
 * root need not be the root that modules are named from (`src/`, `lib/`). With a trailing `/` it is a directory whose files
 * have one common scope, a package of Go or Java, that holds nothing but what they define. Several, in the order in which they
 * are tried, are joined by `|`.
 */

/** File names that stand for their directory. */
const INDEX_NAMES: ReadonlySet<string> = new Set(["__init__", "index", "mod"]);

/** What bundlers and packages put before a path of their own: `@/`, `~/`, `#` (https://nodejs.org/api/packages.html#subpath-imports). */
const SCRIPT_ALIAS = /^(?:[@~]\/|#\/?)/;

/** The root of a Rust crate, or a type in it. */
const CRATE_ROOT = /^crate(?:::[A-Z]\w*)?$/;

const SCRIPT_EXTENSION = /\.(?:[cm]?[jt]sx?|vue|svelte)$/;

/** How the parts of an absolute module name are divided; a language that is not listed has dots. */
const SEPARATOR_OF_LANGUAGE: Readonly<Record<string, RegExp>> = {
  typescript: /\//,
  tsx: /\//,
  javascript: /\//,
  go: /\//,
  c: /\//,
  cpp: /\//,
  ruby: /\//,
  bash: /\//,
  rust: /::/,
  php: /[\\/]/,
};

/** `src/pkg/store.ts` → `["src", "pkg", "store"]`; a package's index file has the parts of its directory. */
function partsOfPath(relativePath: string): string[] {
  const parts = relativePath.split("/");
  const file = parts.pop() ?? "";
  const dot = file.indexOf(".", 1);
  const stem = dot === -1 ? file : file.slice(0, dot);
  if (!INDEX_NAMES.has(stem)) parts.push(stem);
  return parts;
}

/** Any of these, the first before the next. */
export function anyOrigin(origins: readonly string[]): string {
  return origins.join("|");
}

/** The origins that `anyOrigin` joined. */
export function splitOrigins(origin: string): string[] {
  return origin.split("|");
}

/** A file that imports. */
export interface Importer {
  /** Relative to the root. */
  readonly path: string;
  readonly language: string | null;
  /** The package or namespace that it says it belongs to; null where it says none. */
  readonly namespace: string | null;
}

/** The package of a file: that which it names with dots, else its directory. */
export function originOfOwnPackage({ path, namespace }: Importer): string {
  if (namespace !== null) return `${namespace.replaceAll(".", "/")}/`;
  const end = path.lastIndexOf("/");
  return end === -1 ? "//" : `/${path.slice(0, end)}/`;
}

/** The name that an import brings into its file; null where it takes in a file and brings none. */
export function boundName({ type, name, alias }: Import, language: string | null): string | null {
  if (alias !== null) return alias;
  if (type === "import_from") return name;
  if (languageNamed(language)?.isImportOfFile) return null;
  return language === "go" ? packageName(name) : (name.split(".")[0] ?? name);
}

/** What Go calls a package by its import path, where the package's own clause does not say otherwise: the last part, no version. */
function packageName(path: string): string {
  const parts = path.split("/").filter((part) => !/^v\d+$/.test(part));
  return parts.at(-1)?.replace(/\.v\d+$/, "") ?? path;
}

/** The origin that `module`, as the importer writes it, stands for. */
export function originOfModule(module: string, importer: Importer): string {
  const { language } = importer;
  const directory = importer.path.split("/").slice(0, -1);
  if (language === "python") {
    const name = module.replace(/^\.+/, "");
    const parts = name === "" ? [] : name.split(".");
    const level = module.length - name.length;
    if (level === 0) return parts.join("/");
    return `/${[...directory.slice(0, Math.max(0, directory.length - level + 1)), ...parts].join("/")}`;
  }
  if (module.startsWith("./") || module.startsWith("../") || module === "." || module === "..") {
    return `/${normalizeRelative(directory, module).join("/")}`;
  }
  if (SCRIPT_ALIAS.test(module) && familyOf(language) === "script") {
    return normalizeRelative([], module.replace(SCRIPT_ALIAS, "")).join("/");
  }
  // The path of a Go package begins with its repository, which no file path in that repeats.
  if (language === "go") return `${packageName(module)}/`;
  if (language === "php" && !module.includes("/")) return originOfNamespace(module, importer.namespace ?? "");
  const parts = module
    .replace(/\.(?:h|hh|hpp|hxx|rb|php|sh)$/, "")
    .split(SEPARATOR_OF_LANGUAGE[language ?? ""] ?? /[./]/)
    .filter((part) => part !== "" && part !== "crate" && part !== "self" && part !== "super" && part !== "..");
  // The root of a crate passes on (`pub use`) what is defined anywhere in it.
  if (language === "rust" && CRATE_ROOT.test(module)) return anyOrigin([parts.join("/"), "/"]);
  return parts.join("/") + (language === "java" ? "/" : "");
}

/**
 * A namespace of PHP is a directory as it is spelled or with a small first part (`App`, `app/`), or, where the file that uses it
 * is of a namespace with the same first part, below a directory that does not repeat that (`src/`).
 */
function originOfNamespace(namespace: string, own: string): string {
  const [first = "", ...rest] = namespace.split("\\").filter((part) => part !== "");
  const paths = [
    [first, ...rest],
    [first.toLowerCase(), ...rest],
  ];
  if (rest.length > 0 && own.split("\\")[0] === first) paths.push(rest);
  return anyOrigin(paths.map((parts) => parts.join("/")));
}

function normalizeRelative(directory: readonly string[], module: string): string[] {
  const parts = [...directory];
  for (const part of module.replace(SCRIPT_EXTENSION, "").split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "." && part !== "") parts.push(part);
  }
  if (INDEX_NAMES.has(parts.at(-1) ?? "")) parts.pop();
  return parts;
}

/** `origin` with the parts of `member` (`Class`, `sub.module`) behind it. */
export function extendOrigin(origin: string, member: readonly string[]): string {
  if (member.length === 0) return origin;
  const path = member.join("/");
  return anyOrigin(
    splitOrigins(origin).map((one) => {
      if (isPackage(one)) return `${one}${path}/`;
      return one === "" || one === "/" ? `${one}${path}` : `${one}/${path}`;
    }),
  );
}

/** Whether an origin is a directory; `/` alone is the module of the root. */
function isPackage(origin: string): boolean {
  return origin.length > 1 && origin.endsWith("/");
}

/** The parts of `origin`, and whether they are counted from the root. */
function parseOrigin(origin: string): { isExact: boolean; parts: string[] } {
  const isExact = origin.startsWith("/");
  const path = origin.slice(isExact ? 1 : 0, isPackage(origin) ? -1 : undefined);
  return { isExact, parts: path === "" ? [] : path.split("/") };
}

/** The class that `origin` names if it names one: its last part. */
export function scopeOfOrigin(origin: string): string {
  return parseOrigin(origin).parts.at(-1) ?? "";
}

function matchesParts(parts: readonly string[], wanted: readonly string[], isExact: boolean): boolean {
  if (wanted.length > parts.length || (isExact && wanted.length !== parts.length)) return false;
  if (wanted.length === 0) return isExact;
  const skipped = parts.length - wanted.length;
  return wanted.every((part, index) => part === parts[skipped + index]);
}

/**
 * How well a definition fits an origin: 2 when the origin is its file (or its class in its file), 1 when it is the directory
 * of its file (a package that consists of files, or that exports what they define), 0 when it does not fit.
 *
 * @param path the definition's file, relative to the root
 * @param scope its class, or empty at the top of the file
 */
export function rankInOrigin(path: string, scope: string, origin: string): 0 | 1 | 2 {
  const { isExact, parts } = parseOrigin(origin);
  const file = partsOfPath(path);
  const directory = path.split("/").slice(0, -1);
  if (scope === "") {
    if (!isPackage(origin) && matchesParts(file, parts, isExact)) return 2;
    return matchesParts(directory, parts, isExact) ? 1 : 0;
  }
  if (parts.at(-1) !== scope) return 0;
  const module = parts.slice(0, -1);
  // Java: the class `com.x.Foo` is the file `com/x/Foo.java`.
  if (matchesParts(file, module, isExact) || matchesParts(file, parts, isExact)) return 2;
  return matchesParts(directory, module, isExact) ? 1 : 0;
}

/**
 * True when the module of `origin` could be a part of this project as far as `path`, one of its files, shows, and could pass on
 * what that file defines.
 */
export function sharesPackage(path: string, origin: string): boolean {
  if (isPackage(origin)) return false;
  const { isExact, parts } = parseOrigin(origin);
  const first = parts[0];
  return isExact || (first !== undefined && (partsOfPath(path).includes(first) || path.split("/").includes(first)));
}

/** True when a definition in the file at `path` could fit `origin`, whatever its scope. */
export function couldBeInOrigin(path: string, origin: string): boolean {
  const last = scopeOfOrigin(origin);
  return rankInOrigin(path, "", origin) > 0 || (last !== "" && rankInOrigin(path, last, origin) > 0);
}

/** How many leading directories two files have in common. */
export function commonDirectories(path: string, other: string): number {
  const directories = path.split("/").slice(0, -1);
  const others = other.split("/").slice(0, -1);
  let count = 0;
  while (count < directories.length && directories[count] === others[count]) count++;
  return count;
}
