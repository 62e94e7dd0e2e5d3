import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { type Case, findCases, ROW_IDS } from "../support/checklist.js";

describe("the checklist of migrations", () => {
  it(`has a test for each of its ${ROW_IDS.length} rows`, () => {
    const cases = findCases();
    const missing = ROW_IDS.filter((id) => !cases.has(id));
    assert.deepEqual(missing, []);
    const tests = [...cases.values()].reduce((sum: number, rows: readonly Case[]) => sum + rows.length, 0);
    process.stdout.write(`      ${cases.size} rows, ${tests} tests\n`);
  });

  it("stands in the README as it is", () => {
    const readme = readFileSync(new URL("../../../README.md", import.meta.url), "utf8");
    const cases = findCases();
    const count = [...cases.values()].flat().length;
    assert.ok(
      readme.includes(`The checklist: ${cases.size} cases, ${count} tests`),
      `${cases.size} cases, ${count} tests`,
    );
    for (const [id, tests] of cases) {
      const row = `| ${id} | ${tests.map(({ title }) => title).join("; ")} |`;
      assert.ok(readme.includes(row), `the README lacks: ${row}`);
    }
  });

  it("knows no row that the checklist does not have", () => {
    assert.deepEqual(
      [...findCases().keys()].filter((id) => !ROW_IDS.includes(id)),
      [],
    );
  });
});
