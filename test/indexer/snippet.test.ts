import assert from "node:assert/strict";
import { cutSnippet, lineOf } from "../../src/indexer/snippet.js";

describe("cutSnippet()", () => {
  it("counts and shows the lines of a text whatever ends them", () => {
    for (const lineEnd of ["\n", "\r\n", "\r"]) {
      const text = ["one", "two", "three", "four", "five"].join(lineEnd);
      const start = text.indexOf("three");
      const match = { start, end: start + "three".length };
      assert.deepEqual(cutSnippet(text, 10, [match]), {
        text: "two\nthree\nfour",
        line: 11,
        matchLine: 12,
        matches: [{ start: 4, end: 9 }],
      });
      assert.equal(lineOf(text, 10, start), 12);
    }
  });
});
