import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import type { Definition, ParsedFile } from "../../src/indexer/entities.js";
import { MACRO_GAPS } from "../../src/indexer/languages/c/macro-gaps.js";
import { LANGUAGES, languageOf } from "../../src/indexer/languages/registry.js";
import { parseSource } from "../../src/indexer/parse.js";

const FIXTURES = new URL("../../../test/fixtures/languages/", import.meta.url);

function read(fixture: string): string {
  return readFileSync(new URL(fixture, FIXTURES), "utf8");
}

function definitionLine(definition: Definition, definitions: readonly Definition[]): string {
  const { kind, name, line, endLine, classIndex, bases, parameters, complexity } = definition;
  const owner = classIndex === null ? "" : `${definitions[classIndex]?.name}.`;
  const marks = [
    definition.isAbstract && "abstract",
    definition.hasPass && "pass",
    definition.hasNotImplemented && "not-implemented",
  ].filter(Boolean);
  const parts = [
    `${kind} ${owner}${name} ${line}-${endLine}`,
    bases.length > 0 ? `: ${bases.join(", ")}` : "",
    kind === "class" ? "" : `(${parameters.join(", ")}) ${complexity}`,
    marks.join(" "),
    definition.docstring === null ? "" : JSON.stringify(definition.docstring),
  ];
  return parts.filter((part) => part !== "").join(" ");
}

/** The file as its expectation is written: definitions, imports, usages, one a line. */
function describeFile({ definitions, imports, usages }: ParsedFile): string {
  return [
    ...definitions.map((definition) => definitionLine(definition, definitions)),
    ...imports.map(({ line, type, module, name, alias }) =>
      [`${line} ${type} ${name}`, module === name ? "" : `from ${module}`, alias === null ? "" : `as ${alias}`]
        .filter((part) => part !== "")
        .join(" "),
    ),
    ...usages.map(({ line, type, targetType, targetName, targetClass, receiver, context }) =>
      [
        `${line} ${type === "call" ? `call ${targetType}` : "new"} ${targetName}`,
        receiver === null ? "" : `on ${receiver}`,
        targetClass === null ? "" : `of ${targetClass}`,
        context === "" ? "" : `in ${context}`,
      ]
        .filter((part) => part !== "")
        .join(" "),
    ),
  ].join("\n");
}

const LIMITS = { maxBytes: 1_000_000, timeoutMs: 10_000 };

describe("parseSource() in every language", () => {
  const cases = [
    "typescript/store.ts",
    "tsx/panel.tsx",
    "javascript/store.js",
    "go/server.go",
    "rust/shapes.rs",
    "java/Store.java",
    "c/list.c",
    "cpp/queue.cpp",
    "csharp/Store.cs",
    "ruby/store.rb",
    "php/Store.php",
    "bash/deploy.sh",
  ];
  for (const fixture of cases) {
    it(`finds what stands in ${fixture}`, async () => {
      const file = await parseSource(Buffer.from(read(fixture)), fixture, LIMITS);
      assert.deepEqual(file.problems, []);
      assert.equal(describeFile(file), read(`${fixture}.expected`).trimEnd());
    });
  }

  for (const fixture of cases) {
    it(`finds the same in ${fixture} with CRLF, with lone CR, with a byte order mark, and with comments after it`, async () => {
      const text = read(fixture);
      const parse = (source: string) => parseSource(Buffer.from(source), fixture, LIMITS);
      const plain = await parse(text);
      const comment = /\.(?:rb|sh)$/.test(fixture) ? "# after" : "// after";
      const crlf = await parse(text.replaceAll("\n", "\r\n"));
      for (const [index, { start, end }] of plain.definitions.entries()) {
        const there = crlf.definitions[index];
        assert.equal(crlf.text.slice(there?.start, there?.end), text.slice(start, end).replaceAll("\n", "\r\n"));
      }
      const others = [text.replaceAll("\n", "\r"), `\uFEFF${text}`, `${text}\n${comment}\n  ${comment}\n`];
      for (const file of [crlf, ...(await Promise.all(others.map(parse)))])
        assert.equal(describeFile(file), describeFile(plain));
    });

    it(`keeps its promises when ${fixture} is cut anywhere`, async () => {
      const text = read(fixture);
      // Every byte takes a while; the beginning changes from run to run.
      const step = process.env.ORACLE === "full" ? 1 : 5;
      for (let size = Date.now() % step; size <= text.length; size += step) {
        const file = await parseSource(Buffer.from(text.slice(0, size)), fixture, LIMITS);
        for (const [index, { kind, name, line, endLine, start, end, classIndex }] of file.definitions.entries()) {
          assert.ok(name !== "" && line <= endLine && start < end && endLine <= file.lineCount);
          assert.equal(kind === "method", classIndex !== null);
          assert.ok(classIndex === null || (classIndex < index && file.definitions[classIndex]?.kind === "class"));
        }
        for (const { callerIndex, targetName } of file.usages) {
          assert.ok(targetName !== "" && (callerIndex === null || callerIndex < file.definitions.length));
        }
      }
    }).timeout(120_000);
  }

  it("puts a type before its methods, wherever they stand", async () => {
    const text =
      "package p\nfunc (t *T) first() { t.second() }\nfunc free() {}\ntype T struct{}\nfunc (t T) second() {}\n";
    const file = await parseSource(Buffer.from(text), "a.go", LIMITS);
    assert.deepEqual(
      file.definitions.map(({ kind, name, classIndex }) => [kind, name, classIndex]),
      [
        ["class", "T", null],
        ["method", "first", 0],
        ["function", "free", null],
        ["method", "second", 0],
      ],
    );
    assert.deepEqual(
      file.usages.map(({ targetName, callerIndex, context }) => [targetName, callerIndex, context]),
      [["second", 1, "T.first"]],
    );
  });

  it("names a function of C++ by its name although a macro stands before its type", async () => {
    const text = [
      "EXPORT_API Size total(int n) { return n; }",
      "EXPORT_API std::string label(int a) { return plain(a); }",
      "EXPORT_API Size Queue :: size(int b) { return b; }",
      "EXPORT_API Size Queue::operator==(const Queue& other) { return true; }",
      "",
    ].join("\n");
    const file = await parseSource(Buffer.from(text), "a.cpp", LIMITS);
    assert.deepEqual(
      file.definitions.map(({ name }) => name),
      ["total", "label", "Queue.size", "Queue.operator=="],
    );
  });

  it("takes no name of C++ for a macro where the grammar has a place for it", async () => {
    const text = [
      "struct POINT origin{1, 2};",
      "class Last final : Base {};",
      'const char *text = "class EXPORT Widget {"; // class EXPORT Widget {',
      "BOOL isOpen(void) { return FALSE; }",
      "BENCH(one)",
      "TEST(a, b) { call(); }",
      "SIZE",
      "count(int n) { return n; }",
      "",
    ].join("\n");
    const file = await parseSource(Buffer.from(text), "a.cpp", LIMITS);
    assert.equal(file.text, text);
    assert.deepEqual(
      file.definitions.map(({ kind, name, start, end }) => [kind, name, text.slice(start, end)]),
      [
        ["class", "Last", "class Last final : Base {}"],
        ["function", "isOpen", "BOOL isOpen(void) { return FALSE; }"],
        ["function", "TEST", "TEST(a, b) { call(); }"],
        ["function", "count", "SIZE\ncount(int n) { return n; }"],
      ],
    );
  });

  it("looks for macros in time that grows with the text, whatever the text", () => {
    for (const piece of ["class A B<", "A /* ", "A // ", "A // A\n", ") A(", "A((", "class A\n", " ", "A"]) {
      const text = `) class A ${piece.repeat(400_000 / piece.length)}`;
      // It takes minutes where each place looks at all that follows.
      const start = process.cpuUsage();
      for (const { pattern } of MACRO_GAPS) text.replace(pattern, "");
      const { user } = process.cpuUsage(start);
      assert.ok(user < 10_000_000, piece);
    }
  });

  it("reads a name of Python that stands on the line after its dot, less indented than its block", async () => {
    const text = [
      "class A:",
      "    def f(self):",
      "            (bar.",
      "        baz)",
      "            (bar.",
      "        call(",
      "        ))",
      "            g()",
      "def after(): pass",
      "",
    ].join("\n");
    const file = await parseSource(Buffer.from(text), "a.py", LIMITS);
    assert.deepEqual(file.problems, []);
    assert.equal(file.text, text);
    assert.deepEqual(
      file.definitions.map(({ name, line, endLine }) => [name, line, endLine]),
      [
        ["A", 1, 8],
        ["f", 2, 8],
        ["after", 9, 9],
      ],
    );
    assert.deepEqual(
      file.usages.map(({ targetName, receiver, line }) => [targetName, receiver, line]),
      [
        ["call", "bar", 6],
        ["g", null, 8],
      ],
    );
  });

  it("reads a default function of TypeScript that has neither name nor body, and leaves the text as it is", async () => {
    const text = [
      "/** Says `export default function (a): b`. */",
      "export default function <T>(one: T): string;",
      "export default function (two: number): string",
      "export interface Next {}",
      'const quoted = "export default function (a)";',
      "",
    ].join("\r\n");
    for (const path of ["a.d.ts", "a.tsx"]) {
      const file = await parseSource(Buffer.from(text), path, LIMITS);
      assert.deepEqual(file.problems, []);
      assert.equal(file.text, text);
      assert.deepEqual(
        file.definitions.map(({ kind, name, line, parameters, docstring, start, end }) => [
          ...[kind, name, line, parameters, docstring, text.slice(start, end)],
        ]),
        [
          [
            ...["function", "default", 2, ["one"], "Says `export default function (a): b`."],
            "export default function <T>(one: T): string;",
          ],
          ["function", "default", 3, ["two"], null, "export default function (two: number): string"],
          ["class", "Next", 4, [], null, "export interface Next {}"],
        ],
      );
    }
  });

  it("has a fixture for each language; Python's is in parse.test.ts", () => {
    const covered = new Set(cases.map((fixture) => fixture.slice(0, fixture.indexOf("/"))));
    assert.deepEqual(
      LANGUAGES.map(({ name }) => name).filter((name) => !covered.has(name)),
      ["python"],
    );
  });
});

describe("the grammars", () => {
  it("are the files that README.md names", () => {
    const folder = new URL("../../../src/indexer/languages/", import.meta.url);
    const table = readFileSync(new URL("README.md", folder), "utf8");
    for (const { name, grammar } of LANGUAGES) {
      const digest = createHash("sha256")
        .update(readFileSync(new URL(grammar, folder)))
        .digest("hex");
      const row = table.split("\n").find((line) => line.startsWith(`| ${name} `));
      assert.ok(row?.includes(digest), `${name}: ${digest}`);
    }
  });
});

describe("languageOf()", () => {
  const name = (path: string, head = ""): string | null => languageOf(path, () => head)?.name ?? null;

  it("goes by the ending of the name, whatever its case", () => {
    assert.deepEqual(
      ["a.py", "A.PYI", "x/b.mts", "c.tsx", "d.cjs", "e.hpp", "f.rs"].map((path) => name(path)),
      ["python", "python", "typescript", "tsx", "javascript", "cpp", "rust"],
    );
  });

  it("goes by whole names, and by nothing else of a hidden file", () => {
    assert.equal(name("a/Rakefile"), "ruby");
    assert.equal(name("/home/.bashrc"), "bash");
    assert.equal(name("/home/.py"), null);
    assert.equal(name("README.md"), null);
  });

  it("goes by the #! line of a file whose name says nothing", () => {
    assert.equal(name("tool", "#!/usr/bin/env python3.11\n"), "python");
    assert.equal(name("tool", "#!/bin/sh -eu\n"), "bash");
    assert.equal(name("tool", "#!/usr/bin/env -S node --test\n"), "javascript");
    assert.equal(name("tool", "echo\n"), null);
  });

  it("tells a C++ header from a C header", () => {
    assert.equal(name("a.h", "#ifndef A_H\nstruct a { int b; };\nint f(int class_size);\n"), "c");
    assert.equal(name("a.h", "#pragma once\nnamespace a {\n}\n"), "cpp");
    assert.equal(name("a.h", "template <typename T>\nstruct A;\n"), "cpp");
    assert.equal(name("a.h", "class A : public B {\n"), "cpp");
  });
});
