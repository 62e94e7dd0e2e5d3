import assert from "node:assert/strict";
import type { FileChange } from "../../src/indexer/store.js";
import { dumpIndex, IndexedProject } from "../support/indexed-project.js";
import { Random } from "../support/random.js";

/** As many as fit in a run of all tests; CONVERGENCE_PROJECTS=500 for the whole claim. */
const PROJECTS = Number(process.env.CONVERGENCE_PROJECTS ?? 20);
const EDITS = Number(process.env.CONVERGENCE_EDITS ?? 20);
const SEED = Number(process.env.CONVERGENCE_SEED ?? Date.now() % 2 ** 31);

/** Few names, so that definitions meet, shadow one another and become unique or ambiguous all the time. */
const NAMES = ["load", "save", "run", "make_it", "close", "Store", "Cache", "Base", "main", "append"];
const CLASSES = ["Store", "Cache", "Base"];
const MODULES = ["one", "two", "three", "pkg", "pkg.one", "pkg.inner", "pkg.inner.deep", "requests"];
const PATHS = ["one.py", "two.py", "three.py", "pkg/__init__.py", "pkg/one.py", "pkg/inner/__init__.py"].concat([
  ...["pkg/inner/deep.py", "src/one.py", "src/pkg/one.py", "notes.txt", "web/index.ts", "web/view.ts", "broken.py"],
  ...["svc/main.go", "svc/store.go", "lib/store.rb", "lib/cache.rb", "tool"],
  ...["src/x/A.java", "src/x/B.java", "src/y/C.java", "native/a.cpp", "native/b.c"],
]);

function statement(random: Random): string {
  const name = random.pick(NAMES);
  const receiver = random.pick(["self", "cls", "one", "pkg.one", "other", "Store", "Base", "deep", "x.y"]);
  return random.pick([`${name}()`, `${receiver}.${name}()`, `return ${name}`, `x = ${name}(1)`, `super().${name}()`]);
}

function pythonImport(random: Random): string {
  const module = random.pick([...MODULES, ".", ".one", "..one", ".inner"]);
  const name = random.pick([...NAMES, "one", "deep", "*"]);
  if (random.chance(0.4)) {
    const plain = random.pick(MODULES);
    return random.chance(0.5) ? `import ${plain}` : `import ${plain} as ${random.pick(["other", "one", "deep"])}`;
  }
  return name !== "*" && random.chance(0.3)
    ? `from ${module} import ${name} as ${random.pick(NAMES)}`
    : `from ${module} import ${name}`;
}

function pythonDefinition(random: Random, indent = ""): string[] {
  const body = (): string[] => Array.from({ length: 1 + random.below(2) }, () => `${indent}    ${statement(random)}`);
  if (random.chance(0.35) && indent.length < 4) {
    const bases = random.chance(0.6) ? `(${random.pick([...CLASSES, "pkg.Base", "other.Store"])})` : "";
    const members = Array.from({ length: random.below(3) }, () => pythonDefinition(random, "    ")).flat();
    return [`class ${random.pick(CLASSES)}${bases}:`, `    """Class text ${random.below(3)}."""`, ...members];
  }
  const decorator = random.chance(0.1) ? [`${indent}@property`] : [];
  const inner = random.chance(0.15) && indent.length < 8 ? pythonDefinition(random, `${indent}    `) : [];
  const parameters = indent === "" ? "a, b" : "self";
  return [...decorator, `${indent}def ${random.pick(NAMES)}(${parameters}):`, ...body(), ...inner];
}

function scriptLines(random: Random): string[] {
  const name = random.pick(["load", "save", "run", "Store", "Cache"]);
  const from = random.pick(["./view", "./index.js", "..", "./missing", "../tool"]);
  const call = random.pick([`${name}()`, `new ${name}()`, `ns.${name}()`, `this.${name}()`]);
  return random.pick([
    [`import { ${name} } from "${from}";`],
    [`import * as ns from "${from}";`],
    [`import ${name} from "${from}";`],
    [`export function ${name}() { ${call.replace("this.", "")}; }`],
    [`export class ${random.pick(["Store", "Cache"])} extends ${name} {`, `  ${name}() { ${call}; }`, "}"],
    // Two of one name on one line: one row.
    [`function ${name}() {} function ${name}() { ${name}(); }`],
  ]);
}

/** Types and their methods in different files of a package, and calls between them. */
function goLines(random: Random): string[] {
  const type = random.pick(["Store", "Cache"]);
  const name = random.pick(["load", "save", "run", "main"]);
  const call = random.pick([`${name}()`, `other.${name}()`, `s.${name}()`, `${type}{}`]);
  return random.pick([
    ["package svc"],
    [`import other "example.com/svc"`],
    [`type ${type} struct { Base }`],
    [`type ${type} interface { ${name}() }`],
    [`func (s *${type}) ${name}() { ${call} }`],
    [`func ${name}() { ${call} }`],
  ]);
}

/** Classes of two packages that inherit, import and call each other's members by their bare name. */
function javaLines(random: Random): string[] {
  const [type, base] = [random.pick(["Store", "Cache", "Base"]), random.pick(["Store", "Base"])];
  const [name, called] = [random.pick(["load", "save", "run"]), random.pick(["load", "save", "run"])];
  const body = random.pick([`${called}();`, `new ${base}();`, `${base}.${called}();`, `this.${called}();`]);
  return random.pick([
    [`package ${random.pick(["x", "y"])};`],
    [`import ${random.pick(["x.Store", "y.*", "static y.Base.load", "static x.Store.*"])};`],
    [`class ${type} { void ${name}() { ${body} } }`],
    [`class ${type} extends ${base} { void ${name}(int ${called}) { ${body} } }`],
  ]);
}

function nativeLines(random: Random): string[] {
  const name = random.pick(["load", "save", "run"]);
  const call = random.pick([`${name}();`, "int (*load)(void) = save; load();"]);
  return random.pick([
    [`void ${random.pick(["load", "save", "run"])}(int (*run)(void)) { ${call} }`],
    ['#include "a.h"'],
  ]);
}

function rubyLines(random: Random): string[] {
  const type = random.pick(["Store", "Cache", "Base"]);
  const name = random.pick(["load", "save", "run"]);
  const call = random.pick([`${name}()`, `${type}.new`, `self.${name}`, `other.${name}(1)`]);
  return random.pick([
    [`require_relative "${random.pick(["store", "cache", "missing"])}"`],
    [`class ${type} < ${random.pick(["Base", "Store"])}`, `  def ${name}(a)`, `    ${call}`, "  end", "end"],
    [`module ${type}`, `  def self.${name}; ${call}; end`, "end"],
    [`def ${name}(*a)`, `  ${call}`, "end"],
  ]);
}

/** A script without an extension, whose language is that of the first of its blocks. */
function toolLines(random: Random): string[] {
  const name = random.pick(["load", "save", "run"]);
  return [`#!/usr/bin/env ${random.pick(["node", "bash"])}`, `function ${name}() { ${random.pick(NAMES)}; }`];
}

/** A file as blocks, so that edits can move, drop and add whole definitions. */
function newBlock(random: Random, path: string): string[] {
  if (path.endsWith(".txt")) return [`words ${random.pick(NAMES)}`];
  if (path.endsWith(".ts")) return scriptLines(random);
  if (path.endsWith(".go")) return goLines(random);
  if (path.endsWith(".java")) return javaLines(random);
  if (path.endsWith(".cpp") || path.endsWith(".c")) return nativeLines(random);
  if (path.endsWith(".rb")) return rubyLines(random);
  if (path === "tool") return toolLines(random);
  if (path === "broken.py" && random.chance(0.3)) return ["def (:"];
  return random.chance(0.35) ? [pythonImport(random)] : pythonDefinition(random);
}

type Files = Map<string, string[][]>;

/** Changes `files` at random and answers the paths whose content is another one now. */
function edit(random: Random, files: Files): string[] {
  const path = random.pick(PATHS);
  const blocks = files.get(path);
  const at = random.below(blocks?.length ?? 1);
  if (blocks === undefined || blocks.length === 0) {
    files.set(
      path,
      Array.from({ length: 1 + random.below(4) }, () => newBlock(random, path)),
    );
    return [path];
  }
  const changes: (() => string[])[] = [
    () => [blocks.splice(at, 0, newBlock(random, path)), path].slice(1) as string[],
    () => [blocks.splice(at, 1), path].slice(1) as string[],
    () => [blocks.reverse(), path].slice(1) as string[],
    () => [blocks.unshift([/\.(?:ts|go|java|c|cpp)$/.test(path) ? "// moved" : "# moved"]), path].slice(1) as string[],
    () => {
      const [from, to] = [random.pick(NAMES), random.pick(NAMES)];
      const renamed = blocks.map((block) => block.map((line) => line.replaceAll(new RegExp(`\\b${from}\\b`, "g"), to)));
      files.set(path, renamed);
      return [path];
    },
    () => {
      files.delete(path);
      return [path];
    },
    () => {
      const target = random.pick(
        PATHS.filter((other) => other.endsWith(path === "tool" ? path : path.slice(path.lastIndexOf(".")))),
      );
      files.delete(path);
      files.set(target, blocks);
      return [...new Set([path, target])];
    },
    () => [path],
  ];
  return random.pick(changes)();
}

function textOf(blocks: readonly (readonly string[])[]): string {
  return blocks.map((block) => `${block.join("\n")}\n`).join("\n");
}

async function cleanIndex(files: Files, random: Random): Promise<Record<string, string[]>> {
  const clean = new IndexedProject();
  const changes: FileChange[] = [];
  const entries = [...files].sort(() => random.next() - 0.5);
  for (const [path, blocks] of entries) changes.push(await clean.write(path, textOf(blocks)));
  inAll(clean, changes);
  const dump = dumpIndex(clean.connection);
  clean.close();
  return dump;
}

function inAll(project: IndexedProject, changes: readonly FileChange[]): void {
  if (changes.length > 0) project.resolve(changes);
}

async function followEdits(seed: number): Promise<number> {
  const random = new Random(seed);
  const files: Files = new Map();
  const project = new IndexedProject();
  let edges = 0;
  try {
    for (let step = 0; step < EDITS; step++) {
      const paths = new Set<string>();
      // First a project of many files, so that later changes are of a small part of it, then one, two or several edits.
      for (let n = step === 0 ? 16 : random.pick([1, 1, 1, 2, 2, 5]); n > 0; n--)
        for (const path of edit(random, files)) paths.add(path);
      // Either each file with its edges, as IndexFile does, or all files first and the edges at the end, as IndexProject does.
      const isTogether = random.chance(0.4);
      const changes: FileChange[] = [];
      for (const path of paths) {
        const blocks = files.get(path);
        const change = blocks === undefined ? project.remove(path) : await project.write(path, textOf(blocks));
        if (change === null) continue;
        if (isTogether) changes.push(change);
        else project.resolve([change]);
      }
      inAll(project, changes);
      const actual = dumpIndex(project.connection);
      assert.deepEqual(actual, await cleanIndex(files, random), `after edit ${step} of seed ${seed}`);
      edges += actual.entity_cross_ref?.filter((edge) => edge.includes('"is_foreign":1')).length ?? 0;
    }
    project.assertFullTextIsWhole();
    assert.deepEqual(project.connection.pragma("foreign_key_check"), []);
  } finally {
    project.close();
  }
  return edges;
}

describe("storeFile() and resolve()", () => {
  it(`give the rows of a clean index after any edits (seed ${SEED}, ${PROJECTS} projects, ${EDITS} edits each)`, async function () {
    this.timeout(0);
    let edges = 0;
    for (let index = 0; index < PROJECTS; index++) edges += await followEdits(SEED + index);
    // The property would hold trivially for an index without edges.
    assert.ok(edges > PROJECTS * EDITS, `only ${edges} edges between files were compared`);
  });

  it("differ from a clean index when edges are not resolved again: the control", async () => {
    const before: [string, string][] = [
      ["a.py", "from b import helper\ndef main():\n    helper()\n"],
      ["b.py", "def helper():\n    pass\n"],
    ];
    const project = new IndexedProject();
    await project.index(before);
    await project.write("b.py", "def other():\n    pass\n");
    await project.write("b.py", "def helper():\n    pass\n");
    const clean = new IndexedProject();
    await clean.index(before);
    assert.notDeepEqual(dumpIndex(project.connection).entity_cross_ref, dumpIndex(clean.connection).entity_cross_ref);
    project.close();
    clean.close();
  });
});
