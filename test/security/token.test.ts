import assert from "node:assert/strict";
import { chmodSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { createFileVerifier, createFixedVerifier, createTokenFile, readTokenFile } from "../../src/security/token.js";
import { useTempFolder } from "../support/temp-folder.js";

describe("the token file", () => {
  const inFolder = useTempFolder();

  it("is created with 32 random bytes for its owner alone, and kept on the next start", () => {
    const path = inFolder("a.token");
    createTokenFile(path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const token = readTokenFile(path);
    assert.equal(Buffer.from(token, "base64url").length, 32);
    createTokenFile(path);
    assert.equal(readTokenFile(path), token);
    createTokenFile(inFolder("b.token"));
    assert.notEqual(readTokenFile(inFolder("b.token")), token);
  });

  it("is not written through a link that somebody else put there", () => {
    symlinkSync(inFolder("victim"), inFolder("a.token"));
    createTokenFile(inFolder("a.token"));
    assert.throws(() => readFileSync(inFolder("victim")), { code: "ENOENT" });
  });

  it("is refused when it is missing, empty or open to others", () => {
    const path = inFolder("a.token");
    assert.throws(() => readTokenFile(path), { reason: "INVALID_REQUEST", message: /cannot be read \(ENOENT/ });
    writeFileSync(path, "\n", { mode: 0o600 });
    assert.throws(() => readTokenFile(path), { message: /is empty/, hint: /Delete it/ });
    writeFileSync(path, "abc");
    chmodSync(path, 0o644);
    assert.throws(() => readTokenFile(path), { message: /every user of this machine/, hint: `Run chmod 600 ${path}.` });
    chmodSync(path, 0o640);
    assert.equal(readTokenFile(path), "abc");
    assert.throws(() => createTokenFile(inFolder("no/such/folder")), { message: /cannot be written/ });
  });
});

describe("a token verifier", () => {
  const inFolder = useTempFolder();

  it("accepts the token and nothing else", () => {
    for (const verifier of [createFixedVerifier("right"), fileVerifier("right").verifier]) {
      assert.equal(verifier.verify("right"), true);
      for (const wrong of ["", "righ", "right ", "Right", "rightright"]) assert.equal(verifier.verify(wrong), false);
    }
  });

  it("takes a new token at once and drops the old one a second later at most", () => {
    const { path, verifier, clock } = fileVerifier("old");
    writeFileSync(path, "new-token");
    assert.equal(verifier.verify("old"), true);
    clock.nowMs += 1_000;
    assert.equal(verifier.verify("old"), false);
    writeFileSync(inFolder("next"), "newer", { mode: 0o600 });
    renameSync(inFolder("next"), path);
    assert.equal(verifier.verify("newer"), true);
    assert.equal(verifier.verify("new-token"), false);
  });

  it("goes on with the token it has while the file is gone or empty", () => {
    const { path, verifier, clock } = fileVerifier("kept");
    rmSync(path);
    clock.nowMs += 5_000;
    assert.equal(verifier.verify("kept"), true);
    writeFileSync(path, "", { mode: 0o600 });
    clock.nowMs += 5_000;
    assert.equal(verifier.verify("kept"), true);
    assert.equal(verifier.verify(""), false);
  });

  function fileVerifier(token: string) {
    const path = inFolder("a.token");
    writeFileSync(path, token, { mode: 0o600 });
    const clock = { nowMs: 0 };
    return { path, clock, verifier: createFileVerifier(path, () => clock.nowMs) };
  }
});
