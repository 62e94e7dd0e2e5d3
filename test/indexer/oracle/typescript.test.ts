import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseSource } from "../../../src/indexer/parse.js";
import { report, sample, seed } from "./sample.js";
import { typeScriptDefinitions } from "./typescript-definitions.js";

const LIMITS = { maxBytes: 5_000_000, timeoutMs: 60_000 };
const MODULES = new URL("../../../../node_modules/", import.meta.url).pathname;
const SOURCE = /\.(?:[cm]?ts|tsx|[cm]?js|jsx)$/;

/** Packages that `npm ci` installs; together TypeScript, declaration files, ES modules, CommonJS and bundles. */
const PACKAGES = [
  "@bufbuild/protobuf",
  "@grpc/grpc-js",
  "mocha",
  "typescript/lib",
  "fast-check",
  "valibot",
  "chokidar",
];

describe("parseSource() on TypeScript and JavaScript, against the TypeScript compiler", () => {
  it("finds the same definitions with the same lines and parameters", async function () {
    this.timeout(300_000);
    const files = PACKAGES.flatMap((name) =>
      readdirSync(join(MODULES, name), { recursive: true, encoding: "utf8" }).map((file) => join(MODULES, name, file)),
    )
      // The compiler's own bundle alone would take longer than all others together.
      .filter((file) => SOURCE.test(file) && statSync(file).isFile() && statSync(file).size < 1_000_000)
      .sort();
    const chosen = sample(files, 900);

    const differing: string[] = [];
    let definitionCount = 0;
    for (const file of chosen) {
      const { text, definitions } = await parseSource(readFileSync(file), file, LIMITS);
      const expected = typeScriptDefinitions(file, text);
      definitionCount += expected.length;
      const found = definitions
        .map(
          ({ kind, name, line, endLine, parameters }) =>
            `${kind} ${name} ${line}-${endLine} (${parameters.join(", ")})`,
        )
        .sort();
      const differences = differencesOf(found, expected);
      if (differences.length > 0) differing.push(`${file.slice(MODULES.length)}: ${differences.join("; ")}`);
    }
    report(
      `${chosen.length} of ${files.length} files (seed ${seed}), ${definitionCount} definitions, ` +
        `${differing.length} files differ`,
    );
    assert.deepEqual(differing, []);
    assert.ok(definitionCount > 5_000, "the packages were read");
  });
});

function differencesOf(found: readonly string[], expected: readonly string[]): string[] {
  const balance = new Map<string, number>();
  for (const item of found) balance.set(item, (balance.get(item) ?? 0) + 1);
  for (const item of expected) balance.set(item, (balance.get(item) ?? 0) - 1);
  return [...balance]
    .filter(([, count]) => count !== 0)
    .map(([item, count]) => `${count > 0 ? "extra" : "missing"} ${item}`);
}
