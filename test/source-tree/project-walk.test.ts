import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { isInProject, type UnreadablePath, type WalkedFile, walkProject } from "../../src/source-tree/project-walk.js";
import { TempDirectory } from "../support/temp-directory.js";

function walk(root: string): (WalkedFile | UnreadablePath)[] {
  return [...walkProject(root)].filter((entry) => entry.kind !== "directory");
}

/** What the walk yields; for every other path that is there, `isInProject` must say no. */
function paths(root: string): string[] {
  const found = walk(root)
    .filter(({ kind }) => kind === "file")
    .map(({ relativePath }) => relativePath);
  for (const path of entriesBelow(root)) assert.equal(isInProject(root, path), found.includes(path), path);
  return found;
}

/** Everything below a directory, links as what they are. */
function entriesBelow(root: string, base = ""): string[] {
  return readdirSync(join(root, base), { withFileTypes: true }).flatMap((entry) => {
    const path = join(base, entry.name);
    return entry.isDirectory() ? [path, ...entriesBelow(root, path)] : [path];
  });
}

describe("walkProject()", () => {
  let directory: TempDirectory;
  beforeEach(() => {
    directory = new TempDirectory();
  });
  afterEach(() => directory.remove());

  it("yields files, entries of a directory by name", () => {
    directory.write({ "b.py": "12345", "a/z.py": "", "a/b/c.py": "", "a.py": "", "B.py": "" });
    assert.deepEqual(paths(directory.path), ["B.py", "a/b/c.py", "a/z.py", "a.py", "b.py"]);
    const file = walk(directory.path).at(-1);
    assert.ok(file?.kind === "file");
    assert.equal(file.path, directory.at("b.py"));
  });

  it("leaves out what git leaves out", () => {
    directory.write({
      ".gitignore": "*.log\n/build/\ndocs/*.tmp\n!keep.log\nvendor/\n# comment\n\\#odd\n*.[oa]\nfoo/**/bar\nlib/\n",
      "a.log": "",
      "keep.log": "",
      "build/x.py": "",
      "sub/build/x.py": "",
      "docs/a.tmp": "",
      "docs/deep/a.tmp": "",
      "vendor/x.py": "",
      "sub/vendor/x.py": "",
      "sub/.gitignore": "!*.log\nlocal.py\n!vendor/\n",
      "sub/b.log": "",
      "sub/local.py": "",
      "sub/deep/local.py": "",
      "local.py": "",
      "#odd": "",
      "lib.a": "",
      "lib/x.py": "",
      "Lib/x.py": "",
      "foo/x/y/bar": "",
      "foo/x/y/baz": "",
      ".git/info/exclude": "secret.py\n",
      "secret.py": "",
    });
    execFileSync("git", ["init", "-q", directory.path]);
    directory.write({ ".git/info/exclude": "secret.py\n" });
    const listed = execFileSync("git", ["ls-files", "--others", "--exclude-standard"], {
      cwd: directory.path,
      encoding: "utf8",
      env: {
        ...process.env,
        GIT_CONFIG_GLOBAL: "/dev/null",
        GIT_CONFIG_SYSTEM: "/dev/null",
        XDG_CONFIG_HOME: "/dev/null",
      },
    });
    assert.deepEqual(paths(directory.path).sort(), listed.trim().split("\n").sort());
  });

  it("never walks .git, and node_modules and its like only when a rule takes them in", () => {
    const files = {
      ".git/config": "",
      "node_modules/x/i.js": "",
      "a/__pycache__/x.py": "",
      ".venv/x.py": "",
      "a/b.py": "",
    };
    directory.write(files);
    assert.deepEqual(paths(directory.path), ["a/b.py"]);
    directory.write({ ".gitignore": "!node_modules/\n!.git/\n" });
    assert.deepEqual(paths(directory.path), [".gitignore", "a/b.py", "node_modules/x/i.js"]);
  });

  it("does not follow links, not even in a circle", () => {
    directory.write({ "real/a.py": "" });
    mkdirSync(directory.at("inner"));
    symlinkSync("/etc", directory.at("inner/etc"));
    symlinkSync(directory.at("real/a.py"), directory.at("inner/a.py"));
    symlinkSync(directory.path, directory.at("inner/again"));
    assert.deepEqual(paths(directory.path), ["real/a.py"]);
  });

  it("reports what it cannot read and goes on", async function () {
    // Root may read everything.
    if (process.getuid?.() === 0) this.skip();
    directory.write({ "a/x.py": "", "b/y.py": "", "c/.gitignore": "z.py\n", "c/z.py": "" });
    chmodSync(directory.at("a"), 0);
    chmodSync(directory.at("c/.gitignore"), 0);
    const found = walk(directory.path);
    chmodSync(directory.at("a"), 0o755);
    const unreadable = found.filter(({ kind }) => kind === "unreadable").map(({ relativePath }) => relativePath);
    assert.deepEqual(unreadable, ["a", "c/.gitignore"]);
    assert.ok(found.some(({ relativePath }) => relativePath === "b/y.py"));
  });

  it("reports a rule file that is a directory as no rule file", () => {
    directory.write({ ".gitignore/x.py": "", "a.py": "" });
    assert.deepEqual(paths(directory.path), [".gitignore/x.py", "a.py"]);
  });

  it("fails when the root cannot be read", () => {
    assert.throws(() => walk(directory.at("missing")), { code: "ENOENT" });
  });
});
