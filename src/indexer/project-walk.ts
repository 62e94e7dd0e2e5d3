import { type Dirent, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ignore, { type Ignore } from "ignore";

/** What a walk found. Paths are relative to the root, divided by `/`. */
export interface ProjectFiles {
  /** Regular files that are not ignored, in the order of their paths. */
  readonly files: readonly string[];
  /** Directories that could not be read; their files are neither there nor gone. */
  readonly unreadable: readonly { readonly path: string; readonly message: string }[];
}

/** The rules of one `.gitignore`, for paths below its directory (https://git-scm.com/docs/gitignore). */
interface Rules {
  readonly directory: string;
  readonly matcher: Ignore;
}

const GITIGNORE = ".gitignore";
/** Never part of a project's sources, and never named in its own `.gitignore`. */
const ALWAYS_IGNORED = new Set([".git", ".hg", ".svn"]);

/**
 * All files below `root` that its `.gitignore` files do not exclude. Links are not followed: what they point to is either found
 * at its own place or does not belong to the project.
 */
export function walkProject(root: string): ProjectFiles {
  const files: string[] = [];
  const unreadable: { path: string; message: string }[] = [];

  const walk = (directory: string, outerRules: readonly Rules[]): void => {
    let entries: Dirent[];
    let rules = outerRules;
    try {
      entries = readdirSync(join(root, directory), { withFileTypes: true });
      if (entries.some((entry) => entry.name === GITIGNORE && entry.isFile())) {
        const matcher = ignore().add(readFileSync(join(root, directory, GITIGNORE), "utf8"));
        rules = [...outerRules, { directory, matcher }];
      }
    } catch (error) {
      unreadable.push({ path: directory, message: error instanceof Error ? error.message : String(error) });
      return;
    }
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const path = directory === "" ? entry.name : `${directory}/${entry.name}`;
      if (entry.isDirectory()) {
        if (!ALWAYS_IGNORED.has(entry.name) && !isIgnored(`${path}/`, rules)) walk(path, rules);
      } else if (entry.isFile() && !isIgnored(path, rules)) {
        files.push(path);
      }
    }
  };
  walk("", []);
  return { files, unreadable };
}

/** The innermost `.gitignore` that says something about a path decides. */
function isIgnored(path: string, rules: readonly Rules[]): boolean {
  for (let i = rules.length - 1; i >= 0; i--) {
    const rule = rules[i];
    if (rule === undefined) continue;
    const inner = rule.directory === "" ? path : path.slice(rule.directory.length + 1);
    const { ignored, unignored } = rule.matcher.test(inner);
    if (ignored) return true;
    if (unignored) return false;
  }
  return false;
}
