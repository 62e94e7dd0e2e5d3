import assert from "node:assert/strict";
import type { PeerCertificate } from "node:tls";
import { authenticate, certificateNames, type Tokens } from "../../src/security/authentication.js";
import { createFixedVerifier } from "../../src/security/token.js";

const tokens: Tokens = { readWrite: createFixedVerifier("writer"), readOnly: createFixedVerifier("reader") };

function certificate(CN: string | string[], subjectaltname?: string): PeerCertificate {
  return { subject: { CN }, ...(subjectaltname !== undefined && { subjectaltname }) } as PeerCertificate;
}

describe("authenticate()", () => {
  const role = (rules: Parameters<typeof authenticate>[0], token?: string, shown?: PeerCertificate) =>
    authenticate(rules, { token, certificate: () => shown });

  it("gives everything where nothing is asked for", () => {
    assert.equal(role({}), "read-write");
    assert.equal(role({}, "anything", certificate("anybody")), "read-write");
  });

  it("gives what the token permits, and nothing without one", () => {
    assert.equal(role({ tokens }, "writer"), "read-write");
    assert.equal(role({ tokens }, "reader"), "read-only");
    for (const wrong of ["", "write", "writer ", "READER"]) {
      assert.throws(() => role({ tokens }, wrong), { reason: "UNAUTHENTICATED", message: "The token is wrong." });
    }
    assert.throws(() => role({ tokens }), { reason: "UNAUTHENTICATED", message: "The call has no token." });
  });

  it("gives the lesser of the two when both tokens are the same", () => {
    const same = createFixedVerifier("same");
    assert.equal(role({ tokens: { readWrite: same, readOnly: same } }, "same"), "read-only");
  });

  it("lets only those write whose certificate has one of the names", () => {
    const rules = { certificateWriters: ["indexer", "spiffe://here/indexer"] };
    assert.equal(role(rules, undefined, certificate("indexer")), "read-write");
    assert.equal(role(rules, undefined, certificate("x", "DNS:x, URI:spiffe://here/indexer")), "read-write");
    for (const shown of [undefined, certificate("Indexer"), certificate("indexer2", "DNS:indexer.example.org")]) {
      assert.equal(role(rules, undefined, shown), "read-only");
    }
  });

  it("asks both the token and the certificate", () => {
    const rules = { tokens, certificateWriters: ["indexer"] };
    assert.equal(role(rules, "writer", certificate("indexer")), "read-write");
    assert.equal(role(rules, "reader", certificate("indexer")), "read-only");
    assert.equal(role(rules, "writer", certificate("other")), "read-only");
    assert.throws(() => role(rules, undefined, certificate("indexer")), { reason: "UNAUTHENTICATED" });
  });
});

describe("certificateNames()", () => {
  it("gives common and alternative names", () => {
    assert.deepEqual(
      certificateNames(certificate(["a", "b"], "DNS:c.example.org, URI:spiffe://d/e, email:f@g, IP Address:1.2.3.4")),
      ["a", "b", "c.example.org", "spiffe://d/e", "f@g"],
    );
    assert.deepEqual(certificateNames(undefined), []);
    assert.deepEqual(certificateNames({ subject: {} } as PeerCertificate), []);
  });

  it("is not taken in by a name that looks like several", () => {
    for (const name of [
      'DNS:"x, DNS:indexer"',
      'DNS:"x, DNS:indexer, DNS:y"',
      'URI:"a\\", DNS:indexer, \\"b"',
      'DNS:"indexer"',
    ]) {
      assert.deepEqual(certificateNames(certificate("x", name)), ["x"], name);
    }
  });
});
