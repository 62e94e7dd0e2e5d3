import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Definition, ParsedFile } from "../../../src/indexer/entities.js";
import { parseSource } from "../../../src/indexer/parse.js";
import { report, sample, seed } from "./sample.js";

/** Valid files that may differ from CPython's own parser, with the cause. */
const EXPLAINED: Readonly<Record<string, string>> = {};

const LIMITS = { maxBytes: 5_000_000, timeoutMs: 60_000 };
const NOT_LIBRARY = /(^|\/)(test|tests|idle_test|site-packages|__pycache__)\//;

type OracleDefinition = Pick<
  Definition,
  "kind" | "name" | "line" | "endLine" | "docstring" | "parameters" | "complexity" | "hasPass"
> & { readonly bases: number };

interface OracleFile {
  readonly path: string;
  readonly error?: string;
  readonly docstring: string | null;
  readonly definitions: readonly OracleDefinition[];
  readonly imports: readonly (readonly [string, string, string, string | null, number])[];
  readonly calls: readonly (readonly [number, string])[];
}

describe("parseSource() on Python, against CPython's ast", () => {
  it("finds the same definitions, imports and calls in the standard library, field by field", async function () {
    this.timeout(300_000);
    const root = execFileSync("python3", ["-c", "import sysconfig; print(sysconfig.get_paths()['stdlib'])"], {
      encoding: "utf8",
    }).trim();
    const files = readdirSync(root, { recursive: true, encoding: "utf8" })
      .filter((file) => file.endsWith(".py") && !NOT_LIBRARY.test(file))
      .sort();
    const chosen = sample(files, 400);
    const oracle = new URL("../../../../test/indexer/oracle/python_ast.py", import.meta.url).pathname;
    const answers = execFileSync("python3", [oracle], {
      input: chosen.map((file) => join(root, file)).join("\n"),
      encoding: "utf8",
      maxBuffer: 1 << 30,
    });

    const differing: string[] = [];
    const invalid: string[] = [];
    let definitionCount = 0;
    for (const [index, line] of answers.trim().split("\n").entries()) {
      const expected: OracleFile = JSON.parse(line);
      const file = chosen[index] ?? "";
      if (expected.error !== undefined) {
        invalid.push(`${file}: ${expected.error}`);
        continue;
      }
      const found = await parseSource(readFileSync(expected.path), file, LIMITS);
      definitionCount += found.definitions.length;
      const differences = compare(found, expected);
      if (differences.length > 0 && EXPLAINED[file] === undefined) differing.push(`${file}: ${differences[0]}`);
    }
    report(
      `${chosen.length} of ${files.length} files (seed ${seed}), ${definitionCount} definitions, ` +
        `${differing.length} files differ, ${invalid.length} are not valid Python${invalid.map((it) => `\n        ${it}`).join("")}`,
    );
    assert.deepEqual(differing, []);
    assert.ok(definitionCount > 5_000, "the library was read");
    assert.ok(Object.keys(EXPLAINED).length <= 0.005 * files.length, "few enough files are excused");
  });
});

function compare(found: ParsedFile, expected: OracleFile): string[] {
  const differences: string[] = [];
  const check = (what: string, mine: unknown, theirs: unknown): void => {
    const [a, b] = [JSON.stringify(mine), JSON.stringify(theirs)];
    if (a !== b) differences.push(`${what}: ${a?.slice(0, 500)} instead of ${b?.slice(0, 500)}`);
  };
  check("problems", found.problems, []);
  check("docstring", found.docstring, expected.docstring);
  const mine = found.definitions.map(oracleForm).sort(byPlace);
  check("definitions", mine.map(placeOf), [...expected.definitions].sort(byPlace).map(placeOf));
  const byKey = new Map(expected.definitions.map((definition) => [placeOf(definition), definition]));
  for (const definition of mine) {
    const other = byKey.get(placeOf(definition));
    for (const field of FIELDS) if (other !== undefined) check(placeOf(definition), definition[field], other[field]);
  }
  const imports = found.imports.map(({ type, module, name, alias, line }) => [type, module, name, alias, line]);
  check("imports", imports, expected.imports);
  const calls = found.usages.map(({ line, targetName }) => `${line} ${targetName}`).sort();
  check("calls", calls, expected.calls.map((call) => call.join(" ")).sort());
  return differences;
}

const FIELDS = ["endLine", "docstring", "parameters", "complexity", "hasPass", "bases"] as const;

function oracleForm(definition: Definition): OracleDefinition {
  return { ...definition, bases: definition.bases.length };
}

function placeOf({ kind, name, line }: OracleDefinition): string {
  return `${kind} ${name} in line ${line}`;
}

function byPlace(a: OracleDefinition, b: OracleDefinition): number {
  return a.line - b.line || (a.name < b.name ? -1 : 1);
}
