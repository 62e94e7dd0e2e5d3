import assert from "node:assert/strict";
import { readFileSync, realpathSync, writeFileSync } from "node:fs";
import { TestEngine } from "../support/engine.js";
import { workerPids } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";

const ROUNDS = 3;
/** Between the first round and the last; ten rounds stay within some 60 MB of each other. */
const MAX_GROWTH_BYTES = 120_000_000;
const MAX_PARSE_MS = 700;
/** The watchdog's patience with a parser that does not look at the clock, and time for a busy machine. */
const GRACE_MS = 10_000;
const DEFINITION = "def f(a, b): return g(a) + h.i(b) if a and b else C(a)\n";
const TYPES = new Set(["syntax_error", "decode_error", "too_large", "binary", "timeout"]);

/** No answer but in time, and no other file that suffers. */
const HOSTILE: Readonly<Record<string, string | Buffer>> = {
  "dense.py": DEFINITION.repeat(Math.floor(5_000_000 / DEFINITION.length)),
  "line.py": `x = [${"f(1), ".repeat(830_000)}]`,
  "random.py": randomBytes(1_000_000),
  "random.ts": Buffer.from(randomBytes(1_000_000).map((byte) => byte || 1)),
  "nested.py": "(".repeat(50_000) + ")".repeat(50_000),
  "open.c": "(".repeat(50_000),
  // Parsed in time, three times, so that there are large trees to be freed.
  "tree1.py": `x = [${"(1), ".repeat(100_000)}]`,
  "tree2.py": `x = [${"(2), ".repeat(100_000)}]`,
  "tree3.py": `x = [${"(3), ".repeat(100_000)}]`,
  "nul.py": "x = 1\0\n",
  "surrogates.py": Buffer.concat([
    Buffer.from("y = '"),
    Buffer.from([0xed, 0xa0, 0x80, 0xed, 0xb0, 0x80]),
    Buffer.from("'\n"),
  ]),
  "large.py": Buffer.alloc(5_000_001, "#"),
};

describe("files that nobody should have to index", function () {
  this.timeout(180_000);
  const inFolder = useTempFolder();
  let test: TestEngine | undefined;

  afterEach(() => test?.stop());

  it("get their error or their rows in time, cost no other file, and leave no memory behind", async () => {
    const engine = await TestEngine.start({ parsers: 1, maxParseMs: MAX_PARSE_MS });
    test = engine;
    const root = realpathSync(inFolder());
    for (const [name, content] of Object.entries(HOSTILE)) writeFileSync(inFolder(name), content);
    writeFileSync(inFolder("good.py"), "def good(): pass\n");
    const { project } = await engine.call("registerProject", { rootPath: root });
    const projectId = project?.id ?? "";

    const residentBytes: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      for (const filePath of Object.keys(HOSTILE)) {
        const startedMs = performance.now();
        await engine.call("indexFile", { projectId, filePath, force: true }).catch(() => undefined);
        assert.ok(performance.now() - startedMs < MAX_PARSE_MS + GRACE_MS, filePath);
      }
      const [pid] = workerPids(engine.databasePath, "parser");
      const [, kilobytes] = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
      residentBytes.push(Number(kilobytes) * 1_024);
    }

    const { errors } = await engine.call("listIndexingErrors", { projectId });
    const types = Object.fromEntries(
      errors.map(({ filePath, errorType }) => [filePath.slice(root.length + 1), errorType]),
    );
    assert.ok(
      Object.values(types).every((type) => TYPES.has(type)),
      JSON.stringify(types),
    );
    assert.deepEqual([types["nul.py"], types["large.py"]], ["binary", "too_large"]);
    // What the garbage collector leaves differs from round to round; see MAX_GROWTH_BYTES.
    const grownBytes = (residentBytes.at(-1) ?? 0) - (residentBytes[0] ?? 0);
    assert.ok(grownBytes < MAX_GROWTH_BYTES, `resident after each round: ${residentBytes.join(", ")} bytes`);

    // On a busy machine even this one may need another try.
    for (;;) {
      const answer = await engine.call("indexFile", { projectId, filePath: "good.py", force: true }).catch(() => null);
      if (answer !== null) break;
    }
    const { errors: left } = await engine.call("listIndexingErrors", { projectId });
    assert.ok(!left.some(({ filePath }) => filePath.endsWith("good.py")));
  });
});

function randomBytes(size: number): Buffer {
  let state = 20_260_101;
  return Buffer.from(
    Array.from({ length: size }, () => {
      state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7fffffff;
      return (state >> 16) & 255;
    }),
  );
}
