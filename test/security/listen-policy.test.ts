import assert from "node:assert/strict";
import { DriverError } from "../../src/errors.js";
import { decideListeners, formatAddress, isLoopback, parseAddress } from "../../src/security/listen-policy.js";

const PLAIN = { insecureNoAuth: false, hasTls: false };

describe("parseAddress()", () => {
  const cases = [
    { text: "unix:/run/a.sock", address: { kind: "unix", path: "/run/a.sock" } },
    { text: "127.0.0.1:0", address: { kind: "tcp", host: "127.0.0.1", port: 0 } },
    { text: "[::1]:50051", address: { kind: "tcp", host: "::1", port: 50_051 } },
    { text: "db.example.org:443", address: { kind: "tcp", host: "db.example.org", port: 443 } },
  ] as const;
  for (const { text, address } of cases) {
    it(`reads ${text}, and formatAddress() writes it back`, () => {
      assert.deepEqual(parseAddress(text), address);
      assert.equal(formatAddress(address), text);
    });
  }

  it("takes no host for loopback and three slashes for an absolute path", () => {
    assert.deepEqual(parseAddress(":7000"), { kind: "tcp", host: "127.0.0.1", port: 7_000 });
    assert.deepEqual(parseAddress("unix:///run/a.sock"), { kind: "unix", path: "/run/a.sock" });
  });

  for (const text of [
    "",
    "localhost",
    "unix:",
    "unix:\0abstract",
    "::1:50051",
    "[nonsense]:1",
    "host:65536",
    "host:-1",
    "http://host:1",
  ]) {
    it(`refuses ${JSON.stringify(text)}`, () => {
      assert.throws(() => parseAddress(text), { reason: "INVALID_REQUEST", message: /is no address/ });
    });
  }

  it("refuses a socket path that the system would cut off", () => {
    assert.equal(parseAddress(`unix:/${"a".repeat(106)}`).kind, "unix");
    assert.throws(() => parseAddress(`unix:/${"a".repeat(107)}`), { message: /longer than 107 bytes/ });
    assert.throws(() => parseAddress(`unix:/${"é".repeat(54)}`), { message: /longer than 107 bytes/ });
  });
});

describe("isLoopback()", () => {
  for (const text of ["unix:/a", "127.0.0.1:1", "127.8.9.10:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"]) {
    it(`is true for ${text}`, () => assert.equal(isLoopback(parseAddress(text)), true));
  }
  for (const text of [
    "0.0.0.0:1",
    "[::]:1",
    "10.0.0.1:1",
    "[fe80::1]:1",
    "localhost.example.org:1",
    "128.0.0.1:1",
    "127.1:1",
    "0:1",
    "localhost.:1",
  ]) {
    it(`is false for ${text}`, () => assert.equal(isLoopback(parseAddress(text)), false));
  }
});

describe("decideListeners()", () => {
  it("needs nothing on a unix socket, whatever is set", () => {
    for (const settings of [PLAIN, { insecureNoAuth: true, hasTls: true }]) {
      assert.deepEqual(decideListeners(["unix:/a"], settings), [
        { address: { kind: "unix", path: "/a" }, needsToken: false, usesTls: false },
      ]);
    }
  });

  it("needs a token on TCP, unless the operator gives it up for a loopback address", () => {
    const needsToken = (settings: typeof PLAIN) =>
      decideListeners(["127.0.0.1:0"], settings).map((rule) => rule.needsToken);
    assert.deepEqual(needsToken(PLAIN), [true]);
    assert.deepEqual(needsToken({ insecureNoAuth: true, hasTls: false }), [false]);
  });

  it("serves other machines with TLS and a token only", () => {
    const [rule] = decideListeners(["0.0.0.0:1"], { insecureNoAuth: false, hasTls: true });
    assert.equal(rule?.needsToken, true);
    assert.equal(rule?.usesTls, true);
    assert.throws(
      () => decideListeners(["127.0.0.1:0", "0.0.0.0:1"], PLAIN),
      (error) => {
        assert.ok(error instanceof DriverError);
        assert.match(error.sentence, /0\.0\.0\.0:1, which is not loopback, without TLS\. Set --tls-cert and --tls-key/);
        return true;
      },
    );
    assert.throws(() => decideListeners(["[::]:1"], { insecureNoAuth: true, hasTls: true }), {
      message: /will not serve \[::\]:1 without a token/,
      hint: /--insecure-no-auth is for loopback/,
    });
  });
});
