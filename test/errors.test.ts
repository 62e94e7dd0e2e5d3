import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { shellWord } from "../src/errors.js";

describe("shellWord()", () => {
  it("is one word to a shell, and the same text, whatever is in it", () => {
    for (const text of [
      "data/a.db",
      "",
      "my index.db",
      "it's",
      "$HOME",
      "`id`",
      'a"b\\c',
      "a\nb",
      "*",
      "~",
      "ü.db",
      "!x",
      "#",
    ]) {
      assert.equal(execFileSync("sh", ["-c", `printf '<%s>' ${shellWord(text)}`]).toString(), `<${text}>`);
    }
  });

  it("leaves plain words as they are", () => {
    for (const text of ["data/a.db", "unix:/run/driver.sock", "127.0.0.1:50051", "drop-column:files.foo"])
      assert.equal(shellWord(text), text);
  });
});
