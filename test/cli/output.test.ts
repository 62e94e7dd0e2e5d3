import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { startProgress } from "../../src/cli/progress.js";
import { formatTable } from "../../src/cli/table.js";
import { createStyler, toPrintable } from "../../src/cli/terminal.js";

/** A stream that says it is a terminal. */
function terminal(columns: number) {
  const stream = Object.assign(new PassThrough(), { isTTY: true, columns, hasColors: () => true });
  return { stream, text: () => String(stream.read() ?? "") };
}

describe("startProgress()", () => {
  it("shows how far the work is, and what is being done as far as there is room", () => {
    const { stream, text } = terminal(100);
    const bar = startProgress("Indexing", stream);
    bar.update(50, 200, `${"long/".repeat(20)}end.py`);
    bar.stop();
    const shown = text();
    assert.match(shown, /Indexing .*25%.*50\/200/);
    assert.match(shown, /…[long/]*end\.py/);
  });

  it("shows nothing where there is no terminal", () => {
    const stream = new PassThrough();
    const bar = startProgress("Indexing", stream);
    bar.update(1, 2, "x");
    bar.stop();
    assert.equal(stream.read(), null);
  });
});

describe("formatTable()", () => {
  const columns = [
    { name: "n", align: "right" },
    { name: "text", align: "left" },
  ] as const;

  it("aligns numbers and keeps every character where it is not cut", () => {
    const long = "x".repeat(300);
    const lines = formatTable(
      columns,
      [
        ["1", "a"],
        ["1000", long],
      ],
      false,
    ).split("\n");
    assert.match(lines[3] ?? "", /^│ {4}1 │ a +│$/);
    assert.ok(lines[4]?.includes(long));
  });

  it("cuts long texts and further lines where it is cut, and says so", () => {
    const table = formatTable(
      columns,
      [
        ["1", "first\nsecond"],
        ["2", "x".repeat(300)],
      ],
      true,
    );
    assert.match(table, /first…/);
    assert.doesNotMatch(table, /second|x{101}/);
    assert.match(table, /x{100}…/);
  });
});

describe("toPrintable()", () => {
  it("makes control characters visible and leaves all others", () => {
    assert.equal(toPrintable("a\u001b[31m\r\0\u007f\u009b"), "a␛[31m␍␀␡␡");
    assert.equal(toPrintable("tab\tline\nünï\u{1F600}"), "tab\tline\nünï\u{1F600}");
  });
});

describe("createStyler()", () => {
  it("styles for terminals with colours only", () => {
    assert.equal(createStyler(terminal(80).stream)("red", "x"), "\u001b[31mx\u001b[39m");
    assert.equal(createStyler(new PassThrough())("red", "x"), "x");
    assert.equal(
      createStyler(Object.assign(new PassThrough(), { isTTY: true, hasColors: () => false }))("red", "x"),
      "x",
    );
  });
});
