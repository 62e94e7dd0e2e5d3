import assert from "node:assert/strict";
import { edgesIn, edgesOf } from "../support/edges.js";
import { IndexedProject } from "../support/indexed-project.js";

const CALLER = (call: string, imports = ""): string => `${imports}\ndef main(x):\n    ${call}\n`;

describe("edges within a file", () => {
  it("connect bare names to what is visible, inner definitions first", async () => {
    const edges = await edgesOf({
      "a.py": `def f(): pass
def g():
    def f(): pass
    f()
def h():
    f()
class C:
    def f(self): pass
    def m(self):
        f()
`,
    });
    assert.deepEqual(edges, ["a.py:C.m -call-> a.py:f", "a.py:g -call-> a.py:f", "a.py:h -call-> a.py:f"]);
    const inner = await edgesOf({ "a.py": "def g():\n    def f(): pass\n    f()\ndef h():\n    f()\n" });
    assert.deepEqual(inner, ["a.py:g -call-> a.py:f"]);
  });

  it("connect self and cls to the class around and its bases in the file", async () => {
    const edges = await edgesOf({
      "a.py": `class Base:
    def shared(self): pass
class Other:
    def shared(self): pass
class C(Base):
    def own(self): pass
    def m(self):
        self.own()
        self.shared()
    @classmethod
    def k(cls):
        cls.own()
`,
    });
    assert.deepEqual(edges, [
      "a.py:C -inherit-> a.py:Base",
      "a.py:C.k -call-> a.py:C.own",
      "a.py:C.m -call-> a.py:Base.shared",
      "a.py:C.m -call-> a.py:C.own",
    ]);
  });

  it("end where classes inherit from what each other contains, and where they inherit in a circle", async () => {
    const edges = await edgesOf({
      "a.py": `class A(B.x):
    def m(self): self.y()
class B(A.y): pass
class D(E):
    def m(self): self.n()
class E(D):
    def n(self): pass
`,
    });
    assert.deepEqual(edges, ["a.py:D -inherit-> a.py:E", "a.py:D.m -call-> a.py:E.n", "a.py:E -inherit-> a.py:D"]);
  });

  it("find what the first of a very long line of classes defines", async () => {
    const depth = 20_000;
    const line = Array.from({ length: depth }, (_, i) => `class C${i + 1}(C${i}): pass\n`).join("");
    const last = `class Last(C${depth}):\n    def m(self): self.first()\n`;
    const project = new IndexedProject();
    await project.index([["a.py", `class C0:\n    def first(self): pass\n${line}${last}`]]);
    const find = `SELECT caller.name || ' ' || callee.name FROM entity_cross_ref e
      JOIN methods caller ON caller.id = e.caller_method_id JOIN methods callee ON callee.id = e.callee_method_id`;
    const found = project.connection.prepare(find).pluck().all();
    project.close();
    assert.deepEqual(found, ["m first"]);
  });

  it("connect instantiations, class receivers and a method that one class alone has", async () => {
    const edges = await edgesOf({
      "a.py": `class C:
    def start(self): pass
    def close(self):
        self.socket.close()
def main(x):
    C()
    C.start(x)
    x.start()
`,
    });
    assert.deepEqual(edges, [
      "a.py:main -call-> a.py:C.start",
      "a.py:main -call-> a.py:C.start",
      "a.py:main -instantiation-> a.py:C",
    ]);
  });
});

describe("edges between files", () => {
  const cases: Record<
    string,
    { caller: string; path?: string; others: Record<string, string>; callee: string | null }
  > = {
    "from module import name": {
      caller: CALLER("f()", "from lib.b import f"),
      others: { "lib/b.py": "def f(): pass", "lib/c.py": "def f(): pass" },
      callee: "call-> lib/b.py:f",
    },
    "an alias": {
      caller: CALLER("g()", "from b import f as g"),
      others: { "b.py": "def f(): pass", "c.py": "def g(): pass" },
      callee: "call-> b.py:f",
    },
    "import module, then module.name": {
      caller: CALLER("lib.b.f()", "import lib.b"),
      others: { "lib/b.py": "def f(): pass", "lib/c.py": "def f(): pass" },
      callee: "call-> lib/b.py:f",
    },
    "import module as alias": {
      caller: CALLER("n.f()", "import lib.b as n"),
      others: { "lib/b.py": "def f(): pass", "lib/c.py": "def f(): pass" },
      callee: "call-> lib/b.py:f",
    },
    "from package import module": {
      caller: CALLER("b.f()", "from lib import b"),
      others: { "lib/b.py": "def f(): pass", "lib/c.py": "def f(): pass" },
      callee: "call-> lib/b.py:f",
    },
    "a method of an imported class": {
      caller: CALLER("Tool.make()", "from b import Tool"),
      others: { "b.py": "class Tool:\n    def make(): pass\nclass Other:\n    def make(): pass\n" },
      callee: "call-> b.py:Tool.make",
    },
    "relative imports": {
      path: "pkg/deep/a.py",
      caller: CALLER("f()", "from ..b import f"),
      others: { "pkg/b.py": "def f(): pass", "b.py": "def f(): pass", "pkg/deep/b.py": "def f(): pass" },
      callee: "call-> pkg/b.py:f",
    },
    "a package that exports what one of its files defines": {
      caller: CALLER("f()", "from pkg import f"),
      others: { "pkg/__init__.py": "from .impl import f", "pkg/impl.py": "def f(): pass", "c.py": "def f(): pass" },
      callee: "call-> pkg/impl.py:f",
    },
    "the nearest of several files that fit": {
      path: "tests/a.py",
      caller: CALLER("f()", "from b import f"),
      others: { "src/b.py": "def f(): pass", "tests/b.py": "def f(): pass" },
      callee: "call-> tests/b.py:f",
    },
    "the only definition in the project": {
      caller: CALLER("x.refresh()"),
      others: { "b.py": "class B:\n    def refresh(self): pass" },
      callee: "call-> b.py:B.refresh",
    },
    "not one of two definitions": {
      caller: CALLER("x.refresh()"),
      others: {
        "b.py": "class B:\n    def refresh(self): pass",
        "c.py": "class C:\n    def refresh(self): pass",
      },
      callee: null,
    },
    "not the only definition when an import points elsewhere": {
      caller: CALLER("numpy.refresh()\n    plot()", "import numpy\nfrom matplotlib import plot"),
      others: { "b.py": "def refresh(): pass\ndef plot(): pass" },
      callee: null,
    },
    "not a name of the language's own": {
      caller: CALLER("', '.join(x)\n    x.append(1)\n    print(x)"),
      others: { "b.py": "def print(): pass\nclass L:\n    def append(self): pass\n    def join(self): pass" },
      callee: null,
    },
    "not a function inside another one": {
      caller: CALLER("hidden()"),
      others: { "b.py": "def f():\n    def hidden(): pass" },
      callee: null,
    },
    "not a definition of another project": {
      caller: CALLER("x.refresh()"),
      others: { "!q": "class B:\n    def refresh(self): pass" },
      callee: null,
    },
    "the first of several definitions in one file": {
      caller: CALLER("f()", "from b import f"),
      others: { "b.py": "if a:\n    def f(): pass\nelse:\n    def f(): pass\n" },
      callee: "call-> b.py:f",
    },
  };

  for (const [name, { caller, path = "a.py", others, callee }] of Object.entries(cases)) {
    it(`resolve to ${name}`, async () => {
      const project = new IndexedProject(":memory:", ["p", "q"]);
      await project.index([[path, caller]]);
      for (const [file, text] of Object.entries(others)) {
        await project.index([[file.replace("!q", "q.py"), text]], file === "!q" ? "q" : "p");
      }
      assert.deepEqual(edgesIn(project), callee === null ? [] : [`${path}:main -${callee}`]);
      project.close();
    });
  }

  it("resolve base classes", async () => {
    const edges = await edgesOf({
      "a.py":
        "import lib.base\nfrom lib import base\nfrom other import *\nclass A(lib.base.Base[int], base.Mixin, Only): pass\n",
      "lib/base.py": "class Base: pass\nclass Mixin: pass\n",
      "other.py": "class Base: pass\nclass Mixin: pass\nclass Only: pass\n",
    });
    assert.deepEqual(edges, [
      "a.py:A -inherit-> lib/base.py:Base",
      "a.py:A -inherit-> lib/base.py:Mixin",
      "a.py:A -inherit-> other.py:Only",
    ]);
  });

  it("resolve the imports of JavaScript and TypeScript", async () => {
    const edges = await edgesOf({
      "src/a.ts": `import { load } from "./lib/load.js"; import * as all from "./lib"; import Store from "../store";
        function main() { load(); all.save(); new Store(); }`,
      "src/lib/load.ts": "export function load() {}",
      "src/lib/index.ts": "export function save() {}",
      "store.ts": "export default class Store {}",
      "other.ts": "function load() {} function save() {} class Store {}",
    });
    assert.deepEqual(edges, [
      "src/a.ts:main -call-> src/lib/index.ts:save",
      "src/a.ts:main -call-> src/lib/load.ts:load",
      "src/a.ts:main -instantiation-> store.ts:Store",
    ]);
  });

  it("stay within languages that can use each other's names", async () => {
    const files = {
      "a.c": "void only_cpp(void); void caller(void) { only_cpp(); only_py(); }",
      "b.cpp": 'extern "C" void only_cpp() {}',
      "c.py": "def only_py(): pass\ndef main(x):\n    x.only_ruby(); x.only_java()\n",
      "d.rb": "class R\n  def only_ruby(a)\n    only_bash(a)\n    Thing.new\n  end\nend\n",
      "e.sh": "only_bash() { only_php; }",
      "f.php": "<?php function only_php() { only_bash(); new Thing(); }",
      "g.tsx": "const view = () => { Only.script(); };",
      "h.js": "class Only { static script() {} }",
      "i.ts": "class Thing {}",
      "j.java": "class J { void only_java() { x.method_cs(); } }",
      "k.cs": "class K { void method_cs() {} }",
      "l.go": "package l\nfunc f(x T) { x.only_java() }",
      "m.rs": "fn only_rust() { x.only_java(); }",
    };
    assert.deepEqual(await edgesOf(files), [
      "a.c:caller -call-> b.cpp:only_cpp",
      "g.tsx:view -call-> h.js:Only.script",
    ]);
  });

  it("follow a file that becomes one of another language", async () => {
    const project = new IndexedProject();
    const tool = (program: string): [string, string] => [
      "tool",
      `#!/usr/bin/env ${program}\nfunction helper() { x; }\n`,
    ];
    await project.index([["a.js", "import { helper } from './tool'; function main() { helper(); }"], tool("node")]);
    const edges = edgesIn(project);
    assert.deepEqual(edges, ["a.js:main -call-> tool:helper"]);
    await project.index([tool("bash")]);
    assert.deepEqual(edgesIn(project), []);
    await project.index([tool("node")]);
    assert.deepEqual(edgesIn(project), edges);
    project.close();
  });

  it("come back when the callee's file is indexed again", async () => {
    const project = new IndexedProject();
    await project.index([["a.py", CALLER("f()", "from b import f")]]);
    await project.index([["b.py", "def f(): pass\n"]]);
    const before = edgesIn(project);
    assert.equal(before.length, 1);
    for (const text of ["# moved\ndef f(): pass\n", "def g(): pass\n", "def f(): return 1\n"]) {
      await project.index([["b.py", text]]);
    }
    assert.deepEqual(edgesIn(project), before);
    project.close();
  });

  it("are right when several files of many change before edges are resolved once", async () => {
    const project = new IndexedProject();
    const others = Array.from({ length: 12 }, (_, n): [string, string] => [`other${n}.py`, `def o${n}(): pass\n`]);
    const definer = (name: string): [string, string] => [`${name}.py`, `class ${name}:\n    def common(self): pass\n`];
    await project.index([...others, ["use.py", CALLER("x.common()")], definer("A")]);
    const unique = edgesIn(project);
    assert.deepEqual(unique, ["use.py:main -call-> A.py:A.common"]);
    // Each of the two new definitions sees two others; before there was one.
    project.resolve([await project.write(...definer("B")), await project.write(...definer("C"))]);
    assert.deepEqual(edgesIn(project), []);
    project.resolve([project.remove("B.py"), project.remove("C.py")].filter((change) => change !== null));
    assert.deepEqual(edgesIn(project), unique);
    project.close();
  });

  it("look at no more than the uses that a change concerns", async () => {
    const project = new IndexedProject();
    const users = Array.from({ length: 40 }, (_, n): [string, string] => [`use${n}.py`, CALLER("x.common()")]);
    const definer = (name: string): [string, string] => [`${name}.py`, `class ${name}:\n    def common(self): pass\n`];
    await project.index([...users, definer("A"), definer("B")]);
    assert.deepEqual(edgesIn(project), []);
    // Edges that nothing concerns must not even be read: a wrong one stays.
    project.connection.exec(`INSERT INTO entity_cross_ref (id, caller_function_id, callee_method_id, ref_type, file_id, line)
        SELECT 1000, caller_id, 1, 'call', file_id, line FROM external_uses WHERE file_id = 7;
        UPDATE external_uses SET edge_id = 1000 WHERE file_id = 7;`);
    await project.index([definer("C")]);
    assert.deepEqual(edgesIn(project), ["use6.py:main -call-> A.py:A.common"]);
    project.close();
  });
});
