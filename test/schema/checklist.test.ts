import assert from "node:assert/strict";
import { type Case, findCases, ROW_IDS } from "../support/checklist.js";

describe("the checklist of migrations", () => {
  it(`has a test for each of its ${ROW_IDS.length} rows`, () => {
    const cases = findCases();
    const missing = ROW_IDS.filter((id) => !cases.has(id));
    assert.deepEqual(missing, []);
    const tests = [...cases.values()].reduce((sum: number, rows: readonly Case[]) => sum + rows.length, 0);
    process.stdout.write(`      ${cases.size} rows, ${tests} tests\n`);
  });

  it("knows no row that the checklist does not have", () => {
    assert.deepEqual(
      [...findCases().keys()].filter((id) => !ROW_IDS.includes(id)),
      [],
    );
  });
});
