import assert from "node:assert/strict";
import { edgesOf } from "../support/edges.js";

/** Files, and what their uses mean by the rules of their language. */
interface Case {
  readonly files: Readonly<Record<string, string>>;
  readonly edges: readonly string[];
}

/** A class with the same members as others have, so that no name is the only one of its kind. */
const DECOY = (members: string): string => `class Decoy { ${members} }`;

const CASES: Readonly<Record<string, Case>> = {
  "Python: a parameter, a variable, a loop variable or one of a comprehension hides a function": {
    files: {
      "a.py": `from b import callback, handler
def run(): pass
def step(): pass
def one(callback, run, *step): callback(); run(); step()
def two():
    run = make
    for handler in (): handler()
    with open(run()) as step: step()
    return [callback() for callback in ()]
def three(): (lambda run: run())(1)
`,
      "b.py": "def callback(): pass\ndef handler(): pass\n",
    },
    edges: [],
  },
  "Python: a function around hides it too, and only there": {
    files: {
      "a.py": `def run(): pass
def one(run):
    def inner(): run()
    return inner
def two(): run()
`,
    },
    edges: ["a.py:two -call-> a.py:run"],
  },
  "Python: an import in a function that falls back to a value is the import": {
    files: {
      "a.py":
        "def f():\n    try:\n        from b import fast\n    except ImportError:\n        fast = None\n    fast()\n",
      "b.py": "def fast(): pass\n",
    },
    edges: ["a.py:f -call-> b.py:fast"],
  },
  "Python: a parameter hides the module of its name": {
    files: {
      "a.py": "import store\ndef f(store): store.save()\ndef g(): store.save()\n",
      "store.py": "def save(): pass\n",
    },
    edges: ["a.py:g -call-> store.py:save"],
  },
  "Python: a name that is not imported is no other file's": {
    files: {
      "a.py": "def f():\n    helper()\n    raise TimeoutError()\nclass A(Base): pass\n",
      "b.py": "def helper(): pass\nclass TimeoutError: pass\nclass Base: pass\n",
    },
    edges: [],
  },
  "Python: a star import brings what its module has, directly or from others, and no more": {
    files: {
      "a.py": "from lib import *\nfrom gone import *\ndef f():\n    direct(); passed_on(); elsewhere()\n",
      "lib/__init__.py": "from .impl import *\ndef direct(): pass\n",
      "lib/impl.py": "def passed_on(): pass\n",
      "other.py": "def direct(): pass\ndef elsewhere(): pass\n",
    },
    edges: ["a.py:f -call-> lib/__init__.py:direct", "a.py:f -call-> lib/impl.py:passed_on"],
  },
  "Python: the body of a class is no scope of its methods": {
    files: { "a.py": "class Outer:\n    class Inner: pass\n    kept = Inner()\n    def f(self): Inner()\n" },
    edges: ["a.py:Outer -instantiation-> a.py:Outer.Inner"],
  },
  "JavaScript: parameters and variables hide functions, those of callbacks too": {
    files: {
      "a.js": `function load() {} function save() {} function run() {}
        function one(load, { save }) { load(); save(); }
        function two() { const load = make(); let [save] = x; load(); save(); items.map((run) => run()); }
        function three() { load(); const run = () => run(); }`,
    },
    edges: ["a.js:run -call-> a.js:run", "a.js:three -call-> a.js:load"],
  },
  "JavaScript: a script uses what other scripts define, a module what it imports": {
    files: {
      "script.js": "function one() { helper(); new Thing(); }",
      "esm.js": "export function two() { helper(); new Thing(); }",
      "user.ts": 'import "./other.js"; function three() { helper(); } class Mine extends Thing {}',
      "common.js": "module.exports = function four() { helper(); }",
      "other.js": "function helper() {} class Thing {}",
    },
    edges: ["script.js:one -call-> other.js:helper", "script.js:one -instantiation-> other.js:Thing"],
  },
  "JavaScript: what is called on a global object is none of the project's": {
    files: {
      "a.js":
        "import x from 'x'; function f() { Array.make(); JSON.make(); x.make(); } function g(Array) { Array.make(); }",
      "b.js": "class Only { static make() {} }",
    },
    edges: ["a.js:g -call-> b.js:Only.make"],
  },
  "JavaScript: @/ and ~/ are a directory of the project, whichever it is": {
    files: {
      "web/src/a.tsx": `import { load } from "@/lib/load"; import Button from "~/components/Button.vue"; import { pick } from "#lib";
        import { load as other } from "@scope/lib/load";
        export function f() { load(); Button(); pick(); other(); }`,
      "web/src/lib/load.ts": "export function load() {}",
      "web/src/lib/index.ts": "export function pick() {}",
      "web/src/components/Button.tsx": "export default function Button() {}",
      "web/src/other.ts": "export function load() {} export function pick() {} export function Button() {}",
    },
    edges: [
      "web/src/a.tsx:f -call-> web/src/components/Button.tsx:Button",
      "web/src/a.tsx:f -call-> web/src/lib/index.ts:pick",
      "web/src/a.tsx:f -call-> web/src/lib/load.ts:load",
    ],
  },
  "PHP: a namespace is a directory, without regard to the case of its first part, which the project's own need not have":
    {
      files: {
        "app/Http/Page.php": `<?php
namespace App\\Http;
use App\\Models\\User;
use Lib\\Models\\Post;
class Page extends User { function f() { new User(); new Post(); User::make(); } }`,
        "app/Models/User.php": "<?php namespace App\\Models; class User { static function make() {} }",
        "app/Models/Post.php": "<?php namespace App\\Models; class Post {}",
        "tests/User.php": "<?php namespace Tests; class User { static function make() {} }",
        "src/Own/Page.php": "<?php\nnamespace Acme\\Own;\nuse Acme\\Kept\\Note;\nfunction g() { new Note(); }",
        "src/Kept/Note.php": "<?php namespace Acme\\Kept; class Note {}",
        "src/Note.php": "<?php class Note {}",
      },
      edges: [
        "app/Http/Page.php:Page -inherit-> app/Models/User.php:User",
        "app/Http/Page.php:Page.f -call-> app/Models/User.php:User.make",
        "app/Http/Page.php:Page.f -instantiation-> app/Models/User.php:User",
        "src/Own/Page.php:g -instantiation-> src/Kept/Note.php:Note",
      ],
    },
  "Go: a bare name is one of the package, whose files are those of the directory": {
    files: {
      "svc/a.go": "package svc\nfunc f() { helper(); elsewhere(); _ = Store{} }",
      "svc/b.go": "package svc\nfunc helper() {}\ntype Store struct { Base }",
      "svc/c.go": "package svc\ntype Base struct {}",
      "svc.go": "package main\nfunc helper() {}\ntype Store struct {}",
      "other/d.go": "package other\nfunc helper() {}\nfunc elsewhere() {}\ntype Store struct {}\ntype Base struct {}",
    },
    edges: [
      "svc/a.go:f -call-> svc/b.go:helper",
      "svc/a.go:f -instantiation-> svc/b.go:Store",
      "svc/b.go:Store -inherit-> svc/c.go:Base",
    ],
  },
  "Go: an import is a directory, called by its last part": {
    files: {
      "main.go": 'package main\nimport "example.com/app/store/v2"\nfunc f() { store.Open(); fmt.Println() }',
      "store/a.go": "package store\nfunc Open() {}",
      "other/store.go": "package other\nfunc Open() {}\nfunc Println() {}",
    },
    edges: ["main.go:f -call-> store/a.go:Open"],
  },
  "Go: parameters and variables hide functions": {
    files: {
      "a.go": `package a
func f() {}
func g() {}
func One(f func()) { f() }
func Two() { g := make(); g(); var f = g; f() }
func Three() { f(); func(g func()) { g() }(f) }`,
    },
    edges: ["a.go:Three -call-> a.go:f"],
  },
  "Rust: a bare name is of the file or brought by use, a path says where it leads": {
    files: {
      "src/a.rs": `use crate::b::load; use crate::c::*;
        fn f() { load(); glob(); elsewhere(); crate::b::save(); std::mem::swap(); }`,
      "src/b.rs": "pub fn load() {} pub fn save() {}",
      "src/c.rs": "pub fn glob() {} pub fn save() {}",
      "src/d.rs": "pub fn elsewhere() {} pub fn swap() {} pub fn glob() {}",
    },
    edges: ["src/a.rs:f -call-> src/b.rs:load", "src/a.rs:f -call-> src/b.rs:save", "src/a.rs:f -call-> src/c.rs:glob"],
  },
  "Rust: a path from the crate finds what the crate passes on, any other only what it names": {
    files: {
      "src/a.rs": `use crate::Store; use gone::Other;
        use crate::deep::store;
        fn f() { Store::open(); crate::Store::close(); crate::helper(); Other::seal(); gone::elsewhere(); Vec::create(); }
        fn g(store: u8) { store::helper(); }`,
      "src/vec.rs": "pub struct Only; impl Only { pub fn create() {} }",
      "src/deep/store.rs": "pub struct Store; impl Store { pub fn open() {} pub fn close() {} } pub fn helper() {}",
      "src/other.rs": "pub struct Other; impl Other { pub fn seal() {} } pub fn elsewhere() {}",
    },
    edges: [
      "src/a.rs:f -call-> src/deep/store.rs:Store.close",
      "src/a.rs:f -call-> src/deep/store.rs:Store.open",
      "src/a.rs:f -call-> src/deep/store.rs:helper",
      "src/a.rs:g -call-> src/deep/store.rs:helper",
    ],
  },
  "Rust: Self is the type around; closures and variables hide functions": {
    files: {
      "a.rs": `struct A; struct B;
        impl A { fn init() -> Self { Self {} } fn make() { Self::init(); } }
        impl B { fn init() -> Self { B {} } }
        fn run() {} fn step() {}
        fn f(run: fn()) { run(); let step = || 1; step(); }`,
    },
    edges: [
      "a.rs:A.init -instantiation-> a.rs:A",
      "a.rs:A.make -call-> a.rs:A.init",
      "a.rs:B.init -instantiation-> a.rs:B",
    ],
  },
  "Java: a bare call is of the class around, inherited, of an outer class, or of itself": {
    files: {
      "A.java": `class Base { int shared() { return 1; } }
        class Square extends Base {
          int area() { return side() + shared(); }
          int side() { return 1; }
          int fact(int n) { return fact(n - 1); }
          class Inner { int go() { return side(); } }
          Runnable task() { return new Runnable() { public void run() { side(); } }; }
        }
        ${DECOY("int side() { return 1; } int shared() { return 1; } int fact(int n) { return 1; }")}`,
    },
    edges: [
      "A.java:Inner.go -call-> A.java:Square.side",
      "A.java:Square -inherit-> A.java:Base",
      "A.java:Square.area -call-> A.java:Base.shared",
      "A.java:Square.area -call-> A.java:Square.side",
      "A.java:Square.fact -call-> A.java:Square.fact",
      "A.java:run -call-> A.java:Square.side",
    ],
  },
  "Java: a class is one of the package or imported": {
    files: {
      "src/main/java/com/x/A.java":
        "package com.x; import com.y.Far; import com.z.*;\nclass A { void f() { new Near(); new Far(); new Star(); new Other(); } }",
      "src/test/java/com/x/Near.java": "package com.x; class Near {}",
      "src/main/java/com/y/Far.java": "package com.y; class Far {}",
      "src/main/java/com/z/Star.java": "package com.z; class Star {}",
      "src/main/java/com/w/Other.java": "package com.w; class Other {} class Near {} class Far {} class Star {}",
    },
    edges: [
      "src/main/java/com/x/A.java:A.f -instantiation-> src/main/java/com/y/Far.java:Far",
      "src/main/java/com/x/A.java:A.f -instantiation-> src/main/java/com/z/Star.java:Star",
      "src/main/java/com/x/A.java:A.f -instantiation-> src/test/java/com/x/Near.java:Near",
    ],
  },
  "Java: a bare call is another file's method only where the class inherits from there or imports it": {
    files: {
      "p/A.java": "package p; class A { void f() { inherited(); } }",
      "p/B.java": "package p; class B extends Root { void f() { inherited(); } }",
      "p/C.java": "package p; import static p.Root.inherited; class C { void f() { inherited(); } }",
      "p/D.java": "package p; import static p.Root.*; class D { void f() { inherited(); } }",
      "p/Root.java": "package p; class Root { static void inherited() {} }",
    },
    edges: [
      "p/B.java:B -inherit-> p/Root.java:Root",
      "p/B.java:B.f -call-> p/Root.java:Root.inherited",
      "p/C.java:C.f -call-> p/Root.java:Root.inherited",
      "p/D.java:D.f -call-> p/Root.java:Root.inherited",
    ],
  },
  "C#: as in Java, and a local function or a variable hides a method": {
    files: {
      "A.cs": `class Base { int Shared() => 1; }
        class Square : Base {
          int Area() { return Side() + Shared(); }
          int Side() { return 1; }
          int Fact(int n) { return Fact(n - 1); }
          void Local() { int Side() { return 2; } Side(); }
          void Hidden(Func<int> Side) { var Shared = Side; Shared(); Side(); }
        }
        ${DECOY("int Side() => 1; int Shared() => 1; int Fact(int n) => 1;")}`,
    },
    edges: [
      "A.cs:Square -inherit-> A.cs:Base",
      "A.cs:Square.Area -call-> A.cs:Base.Shared",
      "A.cs:Square.Area -call-> A.cs:Square.Side",
      "A.cs:Square.Fact -call-> A.cs:Square.Fact",
      "A.cs:Square.Local -call-> A.cs:Side",
    ],
  },
  "C++: a bare call is of the class around or a function of any file": {
    files: {
      "a.cpp": `void helpx(); struct Base { int shared() { return 1; } };
        struct Square : Base {
          int area() { return side() + shared() + outside(); }
          int side() { return 1; }
        };
        int Widget::show() { return helpx() + area(); }
        int Widget::helpx() { return 1; }
        int side() { return 2; }
        int free(int (*outside)(int)) { auto area = [](int side) { return side(1); }; return outside(1) + area(); }
        struct Decoy { int side() { return 1; } int shared() { return 1; } int helpx() { return 1; } };`,
      "b.cpp": "int outside() { return 1; } int area() { return 1; }",
    },
    edges: [
      "a.cpp:Square -inherit-> a.cpp:Base",
      "a.cpp:Square.area -call-> a.cpp:Base.shared",
      "a.cpp:Square.area -call-> a.cpp:Square.side",
      "a.cpp:Square.area -call-> b.cpp:outside",
      "a.cpp:Widget.show -call-> a.cpp:Widget.helpx",
      "a.cpp:Widget.show -call-> b.cpp:area",
    ],
  },
  "C++: what is in std is none of the project's, what is in another namespace is any file's": {
    files: { "a.cpp": "void f() { std::move(1); ns::pick(1); }", "b.cpp": "void move(int a) {} void pick(int a) {}" },
    edges: ["a.cpp:f -call-> b.cpp:pick"],
  },
  "C: a parameter or variable hides a function, another name is any file's": {
    files: {
      "a.c": "int f(int (*open)(int)) { handler close = 0; return open(1) + close() + other(); }",
      "b.c": "int open(int a) { return a; } int close(void) { return 1; } int other(void) { return 1; }",
    },
    edges: ["a.c:f -call-> b.c:other"],
  },
  "Ruby: a bare call is of the class around, inherited, or a function of any file": {
    files: {
      "a.rb": `class Base
  def shared(a) end
end
class Square < Base
  def area(a) side(a); shared(a); outside(a) end
  def side(outside) outside(1) end
end
class Decoy
  def side(a) end
  def shared(a) end
end
`,
      "b.rb": "def outside(a) end\n",
    },
    edges: [
      "a.rb:Square -inherit-> a.rb:Base",
      "a.rb:Square.area -call-> a.rb:Base.shared",
      "a.rb:Square.area -call-> a.rb:Square.side",
      "a.rb:Square.area -call-> b.rb:outside",
      "a.rb:Square.side -call-> b.rb:outside",
    ],
  },
  "Ruby: a file that is required brings no name": {
    files: {
      "a.rb": 'require "store"\ndef f(store) store.save(1) end\n',
      "store.rb": "class Store\n  def save(a) end\nend\n",
    },
    edges: ["a.rb:f -call-> store.rb:Store.save"],
  },
  "PHP: self and static are the class around; a function is any file's": {
    files: {
      "a.php": `<?php
class A {
  static function make() { static::init(); self::init(); new static(); new self(); helper(); }
  static function init() {}
}
class B { static function init() {} static function helper() {} }`,
      "b.php": "<?php function helper() {}",
    },
    edges: [
      "a.php:A.make -call-> a.php:A.init",
      "a.php:A.make -call-> a.php:A.init",
      "a.php:A.make -call-> b.php:helper",
      "a.php:A.make -instantiation-> a.php:A",
      "a.php:A.make -instantiation-> a.php:A",
    ],
  },
  "Bash: a command is a function of any file": {
    files: { "a.sh": "main() { helper; }", "b.sh": "helper() { :; }" },
    edges: ["a.sh:main -call-> b.sh:helper"],
  },
};

describe("names by the rules of their language", () => {
  for (const [title, { files, edges }] of Object.entries(CASES)) {
    it(title, async () => assert.deepEqual(await edgesOf(files), edges));
  }
});
