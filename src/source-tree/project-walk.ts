import { lstatSync, readdirSync, readFileSync, type Stats } from "node:fs";
import { join } from "node:path";
import ignore, { type Ignore } from "ignore";
import { codeOf, messageOf } from "../errors.js";

/** A regular file of a project. */
export interface WalkedFile {
  readonly kind: "file";
  readonly path: string;
  /** From the root directory, divided by `/`. */
  readonly relativePath: string;
}

/** A directory that is walked; comes before it is read. */
export interface WalkedDirectory {
  readonly kind: "directory";
  readonly path: string;
  /** As of a file; empty for the root directory. */
  readonly relativePath: string;
}

/** A directory, file or rule file that could not be read; the walk goes on without it. */
export interface UnreadablePath {
  readonly kind: "unreadable";
  readonly path: string;
  readonly relativePath: string;
  /** What the operating system said. */
  readonly message: string;
}

const RULE_FILE = ".gitignore";
/** Rules of the repository that are not in it. */
const GIT_EXCLUDE = ".git/info/exclude";

/** Never walked, whatever a rule file says: the stores of version control systems. */
const NEVER_WALKED: ReadonlySet<string> = new Set([".git", ".hg", ".svn"]);

/**
 * Left out unless a rule file takes them in again (`!node_modules/`): copies of other people's code and compiled output under
 * names that mean nothing else.
 */
const DEFAULT_RULES: readonly string[] = ["node_modules/", "__pycache__/", ".venv/"];

/** As git on a file system that tells `Foo` from `foo`; the package's own default is to take them for the same. */
const MATCHING = { ignorecase: false };

/** The rules of one directory; they see paths relative to it. */
interface Rules {
  /** Relative to the root, with a `/` at the end; empty for the root. */
  readonly base: string;
  readonly matcher: Ignore;
}

/**
 * Yields every regular file below `root` that no rule leaves out and the directories on the way, in a stable order: the entries of a directory by name (code
 * units), a directory's files where its name stands. Rules are those of `.gitignore` in each directory and of
 * `.git/info/exclude`; an inner one beats an outer one (https://git-scm.com/docs/gitignore). Links are not followed: a linked
 * file of the project is found where it really is, and one outside does not belong to it.
 *
 * @param root absolute, links resolved
 * @throws the error of the operating system when `root` itself cannot be read
 */
export function* walkProject(root: string): Generator<WalkedFile | WalkedDirectory | UnreadablePath> {
  readdirSync(root);
  const { rules, error } = readOuterRules(root);
  if (error !== null) yield unreadable(root, GIT_EXCLUDE, error);
  yield* walkDirectory(root, "", [rules]);
}

/**
 * Whether `walkProject(root)` would yield this file now.
 *
 * @param relativePath from `root`, divided by `/`
 * @throws the error of the operating system when `root` itself cannot be read, or it cannot be said whether the file is there
 */
export function isInProject(root: string, relativePath: string): boolean {
  readdirSync(root);
  const rules = [readOuterRules(root).rules];
  const names = relativePath.split("/");
  let base = "";
  for (const [index, name] of names.entries()) {
    const isDirectory = index < names.length - 1;
    const stat = lstatIfThere(join(root, base, name));
    if (isDirectory ? !stat?.isDirectory() || NEVER_WALKED.has(name) : !stat?.isFile()) return false;
    if (lstatIfThere(join(root, base, RULE_FILE))?.isFile()) rules.push(readRules(root, base));
    if (isIgnored(`${base}${name}${isDirectory ? "/" : ""}`, rules)) return false;
    base += `${name}/`;
  }
  return true;
}

function readOuterRules(root: string): { rules: Rules; error: unknown } {
  const matcher = ignore(MATCHING).add([...DEFAULT_RULES]);
  const rules = { base: "", matcher };
  try {
    matcher.add(readFileSync(join(root, GIT_EXCLUDE), "utf8"));
  } catch (error) {
    if (!isAbsent(error)) return { rules, error };
  }
  return { rules, error: null };
}

function readRules(root: string, base: string): Rules {
  return { base, matcher: ignore(MATCHING).add(readFileSync(join(root, base, RULE_FILE), "utf8")) };
}

/** True for a regular file, as the walk sees it: links are not followed. True also when that cannot be told. */
export function isFileThere(path: string): boolean {
  try {
    return lstatSync(path, { throwIfNoEntry: false })?.isFile() === true;
  } catch {
    return true;
  }
}

function* walkDirectory(
  root: string,
  base: string,
  outerRules: readonly Rules[],
): Generator<WalkedFile | WalkedDirectory | UnreadablePath> {
  yield { kind: "directory", path: join(root, base), relativePath: base.slice(0, -1) };
  let rules = outerRules;
  let names: { name: string; isDirectory: boolean }[];
  try {
    const entries = readdirSync(join(root, base), { withFileTypes: true });
    names = entries
      .filter((entry) => entry.isFile() || (entry.isDirectory() && !NEVER_WALKED.has(entry.name)))
      .map((entry) => ({ name: entry.name, isDirectory: entry.isDirectory() }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  } catch (error) {
    yield unreadable(root, base.slice(0, -1), error);
    return;
  }
  if (names.some(({ name, isDirectory }) => name === RULE_FILE && !isDirectory)) {
    try {
      rules = [...outerRules, readRules(root, base)];
    } catch (error) {
      yield unreadable(root, `${base}${RULE_FILE}`, error);
    }
  }
  for (const { name, isDirectory } of names) {
    const relativePath = `${base}${name}`;
    if (isIgnored(`${relativePath}${isDirectory ? "/" : ""}`, rules)) continue;
    if (isDirectory) yield* walkDirectory(root, `${relativePath}/`, rules);
    else yield { kind: "file", path: join(root, relativePath), relativePath };
  }
}

/** The innermost rule that says something about the path decides; directories have a `/` at the end. */
function isIgnored(path: string, rules: readonly Rules[]): boolean {
  for (let index = rules.length - 1; index >= 0; index--) {
    const rule = rules[index];
    if (rule === undefined) continue;
    const inner = path.slice(rule.base.length);
    const { ignored, unignored } = rule.matcher.test(inner);
    if (unignored) return false;
    if (!ignored) continue;
    // A matcher ignores all that is in an ignored directory; but this one is walked, so an inner rule took it in again.
    const parent = inner.slice(0, inner.lastIndexOf("/", inner.length - 2) + 1);
    if (parent === "" || !rule.matcher.test(parent).ignored) return true;
  }
  return false;
}

function lstatIfThere(path: string): Stats | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (isAbsent(error)) return undefined;
    throw error;
  }
}

function isAbsent(error: unknown): boolean {
  const code = codeOf(error);
  return code === "ENOENT" || code === "ENOTDIR";
}

function unreadable(root: string, relativePath: string, error: unknown): UnreadablePath {
  const message = messageOf(error);
  return { kind: "unreadable", path: join(root, relativePath), relativePath, message };
}
