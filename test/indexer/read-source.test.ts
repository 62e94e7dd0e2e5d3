import assert from "node:assert/strict";
import { IndexingError } from "../../src/indexer/indexing-error.js";
import { decodeSource } from "../../src/indexer/read-source.js";

const PYTHON = { hasEncodingCookie: true };

function bytes(...parts: (string | number[])[]): Uint8Array {
  return Buffer.concat(parts.map((part) => Buffer.from(part)));
}

describe("decodeSource()", () => {
  it("reads UTF-8 and leaves line ends alone", () => {
    assert.deepEqual(decodeSource(bytes("é\r\n🎈\r"), "a.py"), { text: "é\r\n🎈\r", problems: [] });
  });

  it("takes the byte order mark off, once", () => {
    assert.equal(decodeSource(bytes([0xef, 0xbb, 0xbf], "a"), "a.py").text, "a");
    assert.equal(decodeSource(bytes("\uFEFF\uFEFFa"), "a.py").text, "\uFEFFa");
  });

  it("keeps U+FFFD that is really in the file", () => {
    assert.deepEqual(decodeSource(bytes("\uFFFD"), "a.py"), { text: "\uFFFD", problems: [] });
  });

  it("honours a PEP 263 cookie in either of the first two lines", () => {
    const cookies = [
      "# -*- coding: latin-1 -*-\n",
      "#!/usr/bin/python\n# vim: set fileencoding=iso_8859_1 :\n",
      "\n#coding:l1\n",
    ];
    for (const cookie of cookies) {
      // 0x85 is a control character in Latin-1, and an ellipsis in windows-1252.
      assert.deepEqual(decodeSource(bytes(cookie, [0xe9, 0x85]), "a.py", PYTHON), {
        text: `${cookie}é\u0085`,
        problems: [],
      });
    }
    const koi8 = "# coding: koi8-r\n";
    assert.equal(decodeSource(bytes(koi8, [0xc1]), "a.py", PYTHON).text, `${koi8}а`);
    const cyrillic = "# coding: cp1251\n";
    assert.equal(decodeSource(bytes(cyrillic, [0xe0]), "a.py", PYTHON).text, `${cyrillic}а`);
  });

  it("does not take for a cookie what stands in line three, after code, or in another language", () => {
    for (const [head, options] of [
      ["\n\n# coding: latin-1\n", PYTHON],
      ["x = 1\n# coding: latin-1\n", PYTHON],
      ["# coding: latin-1\n", {}],
    ] as const) {
      const { problems } = decodeSource(bytes(head, [0xe9]), "a.py", options);
      assert.deepEqual(
        problems.map(({ type }) => type),
        ["decode_error"],
      );
    }
  });

  it("replaces bytes that are not UTF-8 and names the first line that has some", () => {
    const { text, problems } = decodeSource(bytes("é\nb\n", [0xff], "\n", [0xfe]), "a.py");
    assert.equal(text, "é\nb\n\uFFFD\n\uFFFD");
    const message = "bytes that are not UTF-8 were replaced, first in line 3";
    assert.deepEqual(problems, [{ type: "decode_error", message, line: 3 }]);
  });

  it("falls back to UTF-8 when the cookie names nothing, or the wrong encoding", () => {
    const unknown = decodeSource(bytes("# coding: nonsense\né"), "a.py", PYTHON);
    assert.equal(unknown.text, "# coding: nonsense\né");
    assert.deepEqual(
      unknown.problems.map(({ type, line }) => [type, line]),
      [["decode_error", 1]],
    );
    const ascii = decodeSource(bytes("# coding: ascii\né"), "a.py", PYTHON);
    assert.deepEqual([ascii.text, ascii.problems.length], ["# coding: ascii\né", 1]);
    assert.deepEqual(decodeSource(bytes("# coding: ascii\ne"), "a.py", PYTHON).problems, []);
  });

  it("refuses a NUL in the first 8 KB and only there", () => {
    const isBinary = (error: unknown): boolean => error instanceof IndexingError && error.type === "binary";
    assert.throws(() => decodeSource(bytes("a".repeat(8191), [0]), "a.py"), isBinary);
    assert.equal(decodeSource(bytes("a".repeat(8192), [0]), "a.py").text.length, 8193);
  });
});
