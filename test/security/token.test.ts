import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { chmodSync, readFileSync, renameSync, rmSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import type { DriverError } from "../../src/errors.js";
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

  it("is refused when it is no file, without waiting for one who writes into it", () => {
    execFileSync("mkfifo", ["-m", "600", inFolder("pipe")]);
    assert.throws(() => readTokenFile(inFolder("pipe")), { message: /is not a regular file/ });
    assert.throws(() => readTokenFile(inFolder()), { message: /is not a regular file/ });
  });

  it("is refused when it belongs to another user", function () {
    // Only root can give a file away, and sees no difference; the owner must differ from root, too.
    if (process.getuid?.() !== 0) this.skip();
    writeFileSync(inFolder("a.token"), "abc", { mode: 0o600 });
    execFileSync("chown", ["65534", inFolder("a.token")]);
    assert.throws(() => readTokenFile(inFolder("a.token")), { message: /belongs to another user/ });
  });

  it("is refused when it is missing, empty or open to others", () => {
    const path = inFolder("a.token");
    assert.throws(() => readTokenFile(path), { reason: "INVALID_REQUEST", message: /cannot be read \(ENOENT/ });
    writeFileSync(path, "\n", { mode: 0o600 });
    assert.throws(() => readTokenFile(path), { message: /is empty/, hint: /Delete it/ });
    writeFileSync(path, "abc");
    chmodSync(path, 0o644);
    for (const mode of [0o644, 0o602, 0o660, 0o601]) {
      chmodSync(path, mode);
      assert.throws(() => readTokenFile(path), { message: /may be read or written by other users/, hint: /chmod 600/ });
      assert.equal(statSync(path).mode & 0o777, mode, "repaired in silence");
    }
    for (const mode of [0o600, 0o400, 0o640]) {
      chmodSync(path, mode);
      assert.equal(readTokenFile(path), "abc");
    }
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

  it("takes a new token and drops the old one in the same moment", () => {
    const { path, verifier } = fileVerifier("old");
    assert.equal(verifier.verify("old"), true);
    // As long as the old one, and with its time: what tells them apart is the change of the inode.
    const { atime, mtime } = statSync(path);
    writeFileSync(path, "new");
    utimesSync(path, atime, mtime);
    assert.equal(verifier.verify("old"), false);
    assert.equal(verifier.verify("new"), true);
    writeFileSync(inFolder("next"), "newer", { mode: 0o600 });
    renameSync(inFolder("next"), path);
    assert.equal(verifier.verify("new"), false);
    assert.equal(verifier.verify("newer"), true);
  });

  it("follows a link that is turned to another file, as Kubernetes does", () => {
    for (const name of ["first", "second"]) writeFileSync(inFolder(name), name, { mode: 0o600 });
    symlinkSync("first", inFolder("a.token"));
    const verifier = createFileVerifier(inFolder("a.token"), () => {});
    symlinkSync("second", inFolder("turned"));
    renameSync(inFolder("turned"), inFolder("a.token"));
    assert.deepEqual(["first", "second"].map(verifier.verify), [false, true]);
  });

  it("goes on with the token it has while the file is gone, empty or open to others, and says so once", () => {
    const { path, problems, verifier } = fileVerifier("kept");
    const spoil: readonly (readonly [says: RegExp, spoil: () => void])[] = [
      [/cannot be read \(ENOENT/, () => rmSync(path)],
      [/is empty/, () => writeFileSync(path, "", { mode: 0o600 })],
      [/other users/, () => chmodSync(path, 0o666)],
    ];
    for (const [says, turn] of spoil) {
      turn();
      for (let n = 0; n < 3; n++) assert.equal(verifier.verify("kept"), true);
      assert.equal(verifier.verify(""), false);
      assert.match(
        problems
          .splice(0)
          .map(({ message }) => message)
          .join(),
        says,
      );
    }
    rmSync(path);
    writeFileSync(path, "replaced", { mode: 0o600 });
    assert.deepEqual(["kept", "replaced"].map(verifier.verify), [false, true]);
    assert.deepEqual(problems, []);
  });

  function fileVerifier(token: string) {
    const path = inFolder("a.token");
    writeFileSync(path, token, { mode: 0o600 });
    const problems: DriverError[] = [];
    return { path, problems, verifier: createFileVerifier(path, (problem) => problems.push(problem)) };
  }
});
