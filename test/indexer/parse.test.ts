import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import type { ParsedFile } from "../../src/indexer/entities.js";
import { IndexingError } from "../../src/indexer/indexing-error.js";
import { parseSource } from "../../src/indexer/parse.js";

const LIMITS = { maxBytes: 5_000_000, timeoutMs: 60_000 };

const SAMPLE = `"""What it is for."""
import os.path as p
from . import (a,  # first
               b as c)


@decorate(1)
class Thing(Base, metaclass=Meta):
    """A thing."""

    async def run(self, first, /, second: int = 1, *rest, third=2, **named):
        """Runs."""
        self.stop()
        if first and second or third:
            return Other(p.join("é", '''two
lines'''))
        # nothing more

    def stop(self): pass

    @abc.abstractmethod
    def later(self):
        raise NotImplementedError("later")


def top(x=lambda y: y):
    def inner():
        return 1 if x else 2
    return inner()  # last
# after
`;

/** 1-based. */
const EMPTY_LINES = new Set(SAMPLE.split("\n").flatMap((line, index) => (line === "" ? [index + 1] : [])));

function parse(text: string | Uint8Array, path = "sample.py", limits = LIMITS): Promise<ParsedFile> {
  return parseSource(typeof text === "string" ? Buffer.from(text) : text, path, limits);
}

/** Everything but the text and the places in it, with all lines moved. */
function entitiesOf(file: ParsedFile, lines = 0): unknown {
  const { docstring, definitions, imports, usages, problems } = file;
  return {
    docstring,
    definitions: definitions.map(({ start, end, ...definition }) => ({
      ...definition,
      line: definition.line + lines,
      endLine: definition.endLine + lines,
    })),
    imports: imports.map((it) => ({ ...it, line: it.line + lines })),
    usages: usages.map((it) => ({ ...it, line: it.line + lines })),
    problems,
  };
}

describe("parseSource()", () => {
  it("fills every field of a Python file", async () => {
    const file = await parse(SAMPLE);
    assert.equal(file.language, "python");
    assert.equal(file.lineCount, 30);
    assert.equal(file.docstring, "What it is for.");
    assert.deepEqual(
      file.definitions.map((it) => [it.kind, it.name, it.line, it.endLine, it.docstring, it.classIndex, it.complexity]),
      [
        ["class", "Thing", 8, 23, "A thing.", null, 0],
        ["method", "run", 11, 16, "Runs.", 0, 4],
        ["method", "stop", 19, 19, null, 0, 1],
        ["method", "later", 22, 23, null, 0, 1],
        ["function", "top", 26, 29, null, null, 2],
        ["function", "inner", 27, 28, null, null, 2],
      ],
    );
    const [thing, run, stop, later, top] = file.definitions;
    assert.deepEqual(thing?.bases, ["Base"]);
    assert.deepEqual(run?.parameters, ["first", "second", "rest", "third", "named"]);
    assert.deepEqual(top?.parameters, ["x"]);
    assert.deepEqual([stop?.hasPass, later?.hasPass], [true, false]);
    assert.deepEqual([later?.isAbstract, stop?.isAbstract], [true, false]);
    assert.deepEqual([later?.hasNotImplemented, run?.hasNotImplemented], [true, false]);
    assert.ok(file.text.slice(thing?.start).startsWith("@decorate(1)\nclass Thing"));
    assert.ok(file.text.slice(0, later?.end).endsWith('raise NotImplementedError("later")'));
    assert.deepEqual(file.imports, [
      { type: "import", name: "os.path", alias: "p", module: "os.path", line: 2 },
      { type: "import_from", name: "a", alias: null, module: ".", line: 3 },
      { type: "import_from", name: "b", alias: "c", module: ".", line: 3 },
    ]);
    assert.deepEqual(
      file.usages.map((it) => [
        it.line,
        it.type,
        it.targetType,
        it.targetName,
        it.targetClass,
        it.receiver,
        it.context,
      ]),
      [
        [7, "call", "function", "decorate", null, null, ""],
        [13, "call", "method", "stop", "Thing", "self", "Thing.run"],
        [15, "instantiation", "class", "Other", null, null, "Thing.run"],
        [15, "call", "function", "join", null, "p", "Thing.run"],
        [23, "instantiation", "class", "NotImplementedError", null, null, "Thing.later"],
        [29, "call", "function", "inner", null, null, "top"],
      ],
    );
    assert.deepEqual(
      file.usages.map((it) => it.callerIndex),
      [null, 1, 1, 1, 3, 4],
    );
    assert.deepEqual(file.problems, []);
  });

  it("stores a file of an unknown kind as text", async () => {
    const file = await parse("one\r\ntwo", "notes.txt");
    assert.deepEqual([file.language, file.lineCount, file.text, file.definitions], [null, 2, "one\r\ntwo", []]);
  });

  it("knows a script by its #! line", async () => {
    assert.equal((await parse("#!/usr/bin/env python3\ndef f(): pass\n", "bin/tool")).language, "python");
    assert.equal((await parse("#!/usr/bin/node --flag\nf()\n", "bin/tool")).language, "javascript");
    assert.equal((await parse("#!/usr/bin/perl\n", "bin/tool")).language, null);
  });

  describe("finds the same", () => {
    it("with CRLF, with lone CR, and with a byte order mark; places are those of the file", async () => {
      const plain = await parse(SAMPLE);
      const crlf = await parse(SAMPLE.replaceAll("\n", "\r\n"));
      const cr = await parse(SAMPLE.replaceAll("\n", "\r"));
      const marked = await parse(`\uFEFF${SAMPLE}`);
      for (const other of [crlf, cr, marked]) {
        assert.deepEqual(entitiesOf(other), entitiesOf(plain));
        assert.equal(other.lineCount, plain.lineCount);
      }
      assert.equal(crlf.text, SAMPLE.replaceAll("\n", "\r\n"));
      assert.equal(marked.text, SAMPLE);
      for (const [index, { start, end }] of plain.definitions.entries()) {
        const there = crlf.definitions[index];
        assert.equal(crlf.text.slice(there?.start, there?.end), SAMPLE.slice(start, end).replaceAll("\n", "\r\n"));
      }
    });

    it("with mixed line ends", async () => {
      const ends = fc.array(fc.constantFrom("\n", "\r\n", "\r"), { minLength: 30, maxLength: 30 });
      const plain = entitiesOf(await parse(SAMPLE));
      await fc.assert(
        fc.asyncProperty(ends, async (chosen) => {
          let line = 0;
          const mixed = SAMPLE.replaceAll("\n", () => chosen[line++] ?? "\n");
          // A lone CR before the LF of an empty line would be one line end.
          fc.pre(
            !chosen.some((end, index) => end === "\r" && chosen[index + 1] === "\n" && EMPTY_LINES.has(index + 2)),
          );
          assert.deepEqual(entitiesOf(await parse(mixed)), plain);
        }),
        { numRuns: 50 },
      );
    });

    it("with comments after it", async () => {
      assert.deepEqual(entitiesOf(await parse(`${SAMPLE}# one\n\n    # two\n`)), entitiesOf(await parse(SAMPLE)));
    });

    it("inside `if True:`, a line further down, without the file's docstring", async () => {
      const text = SAMPLE.replace("'''two\nlines'''", "'one line'");
      const wrapped = `if True:\n${text.replaceAll(/^(?=.)/gm, "    ")}`;
      const plain = await parse(text);
      assert.deepEqual(entitiesOf(await parse(wrapped)), entitiesOf({ ...plain, docstring: null }, 1));
    });

    it("in a file longer than what is queried at a time", async () => {
      // More than twice the window of 256 K code units; beyond ASCII, so that units, bytes and characters differ.
      const count = 20_000;
      const text = Array.from({ length: count }, (_, index) => `def f${index}(a): return "é🎈" + g(a)\n`).join("");
      const file = await parse(text);
      assert.equal(file.definitions.length, count);
      assert.equal(file.usages.length, count);
      assert.deepEqual(
        file.definitions.map(({ name, line }) => `${name} ${line}`),
        Array.from({ length: count }, (_, index) => `f${index} ${index + 1}`),
      );
      assert.ok(file.usages.every(({ callerIndex, line }) => callerIndex === line - 1));
    });
  });

  describe("on broken input", () => {
    it("parses a file that is cut at any byte", async () => {
      const bytes = Buffer.from(SAMPLE);
      for (let size = 0; size <= bytes.length; size++) {
        const file = await parse(bytes.subarray(0, size));
        assert.ok(
          file.definitions.every(
            ({ name, start, end, line, endLine }) => name !== "" && start < end && line <= endLine,
          ),
        );
        for (const { classIndex, kind } of file.definitions) {
          assert.equal(kind === "method", classIndex !== null);
          assert.equal(file.definitions[classIndex ?? 0]?.kind === "class" || classIndex === null, true);
        }
        for (const { callerIndex } of file.usages)
          assert.ok(callerIndex === null || callerIndex < file.definitions.length);
      }
    });

    it("indexes what it can and reports the line of the syntax error", async () => {
      const file = await parse("def good():\n    pass\n\ndef bad(:\n    pass\n\ndef fine():\n    pass\n");
      assert.deepEqual(
        file.problems.map(({ type, line }) => [type, line]),
        [["syntax_error", 4]],
      );
      const names = file.definitions.map(({ name }) => name);
      assert.ok(names.includes("good") && names.includes("fine"));
    });

    it("refuses a binary file and a file beyond the size limit", async () => {
      await rejects(parse("a = 1\0\n"), "binary");
      await rejects(parse("x".repeat(11), "a.py", { ...LIMITS, maxBytes: 10 }), "too_large", /11 bytes.*limit of 10/);
      assert.equal((await parse("x".repeat(10), "a.py", { ...LIMITS, maxBytes: 10 })).lineCount, 1);
    });

    it("reads a NUL beyond the first 8 KB", async () => {
      const file = await parse(`def f(): pass\n${"#\n".repeat(5000)}x = "\0"\n`);
      assert.equal(file.definitions.length, 1);
    });

    it("keeps a lone surrogate, which UTF-8 does not allow, as a replaced character with a problem", async () => {
      const file = await parse(
        Buffer.concat([Buffer.from("x = 1\ny = '"), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from("'\n")]),
      );
      assert.deepEqual(
        file.problems.map(({ type, line }) => [type, line]),
        [["decode_error", 2]],
      );
      assert.ok(file.text.includes("\uFFFD"));
    });
  });

  describe("on hostile input", () => {
    const definitions = "def f(a, b): return g(a) + h.i(b) if a and b else C(a)\n";
    const cases: Readonly<Record<string, [string, string | Uint8Array]>> = {
      "5 MB of dense definitions": ["a.py", definitions.repeat(5_000_000 / definitions.length)],
      "5 MB on one line": ["a.py", `x = [${"f(1), ".repeat(830_000)}]`],
      "5 MB of one string": ["a.py", `x = "${"a".repeat(4_999_990)}"`],
      "5 MB of JavaScript on one line": ["a.js", "function a(b){return c(b)};".repeat(185_000)],
      "1 MB of random bytes": ["a.py", randomBytes(1_000_000)],
      "1 MB of random bytes as TypeScript": ["a.ts", randomBytes(1_000_000)],
      "50,000 nested parentheses": ["a.py", "(".repeat(50_000) + ")".repeat(50_000)],
      "50,000 open parentheses": ["a.py", "(".repeat(50_000)],
      "20,000 nested functions": ["a.js", "function a(){b();".repeat(20_000) + "}".repeat(20_000)],
      "100,000 nested arrow functions": ["a.js", `${"x=a=>".repeat(100_000)}1`],
      "a call chain of 500,000 links": ["a.js", `a${".b(1)".repeat(500_000)}`],
      "a function of 300,000 parameters": [
        "a.py",
        `def f(${Array.from({ length: 300_000 }, (_, i) => `a${i}`).join()}): pass`,
      ],
    };
    const timeoutMs = 2_000;

    for (const [title, [path, text]] of Object.entries(cases)) {
      it(`answers within the time budget: ${title}`, async () => {
        const started = performance.now();
        try {
          await parse(text, path, { ...LIMITS, timeoutMs });
        } catch (error) {
          assert.ok(error instanceof IndexingError && error.type === "timeout", String(error));
        }
        // Beyond the budget there is only the freeing of what was built.
        assert.ok(performance.now() - started < timeoutMs + 3_000);
      });
    }

    it("parses the next file as if nothing had happened", async () => {
      const before = entitiesOf(await parse(SAMPLE));
      await rejects(
        parse(`x = [${"f(1), ".repeat(800_000)}]`, "a.py", { ...LIMITS, timeoutMs: 50 }),
        "timeout",
        /50 ms/,
      );
      assert.deepEqual(entitiesOf(await parse(SAMPLE)), before);
    });

    it("gives its memory back", () => {
      const program = fileURLToPath(new URL("../support/parse-memory-program.js", import.meta.url));
      const { stdout, stderr } = spawnSync(process.execPath, [program], {
        input: definitions.repeat(4_000),
        encoding: "utf8",
      });
      const grownBytes = Number.parseInt(stdout, 10);
      assert.ok(Number.isInteger(grownBytes), stderr);
      // A tree that is not freed costs some 20 MB here.
      assert.ok(grownBytes < 60_000_000, `${grownBytes} bytes more after 15 files of 220 KB`);
    });
  });
});

async function rejects(promise: Promise<unknown>, type: string, message = /./): Promise<void> {
  await assert.rejects(promise, (error: unknown) => {
    assert.ok(error instanceof IndexingError);
    assert.equal(error.reason, "FILE_NOT_INDEXABLE");
    assert.equal(error.type, type);
    assert.match(error.message, message);
    return true;
  });
}

/** No NUL, so that the bytes are not refused as binary. */
function randomBytes(size: number): Uint8Array {
  let state = 20_260_101;
  return Uint8Array.from({ length: size }, () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
    return 1 + ((state >> 16) % 255);
  });
}
