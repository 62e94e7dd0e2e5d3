import assert from "node:assert/strict";
import { formatListener, parseListener } from "../../src/rpc/listener.js";

describe("parseListener()", () => {
  for (const [address, expected] of [
    ["unix:/run/driver.sock", { kind: "unix", path: "/run/driver.sock" }],
    ["unix:///run/driver.sock", { kind: "unix", path: "/run/driver.sock" }],
    ["unix:data/a.db.sock", { kind: "unix", path: "data/a.db.sock" }],
    ["127.0.0.1:0", { kind: "tcp", host: "127.0.0.1", port: 0, isLoopback: true }],
    ["localhost:5000", { kind: "tcp", host: "localhost", port: 5000, isLoopback: true }],
    ["[::1]:5000", { kind: "tcp", host: "::1", port: 5000, isLoopback: true }],
    ["0.0.0.0:65535", { kind: "tcp", host: "0.0.0.0", port: 65_535, isLoopback: false }],
    ["[::]:1", { kind: "tcp", host: "::", port: 1, isLoopback: false }],
    ["127.example.com:1", { kind: "tcp", host: "127.example.com", port: 1, isLoopback: false }],
  ] as const) {
    it(`reads ${address}`, () => assert.deepEqual(parseListener(address), expected));
  }

  for (const address of [
    "",
    ":5000",
    "localhost",
    "localhost:",
    "localhost:http",
    "localhost:65536",
    "::1:5000",
    "http://localhost:5000",
    "unix:",
    `unix:/${"a".repeat(200)}`,
  ]) {
    it(`refuses "${address.slice(0, 30)}"`, () => {
      assert.throws(() => parseListener(address), { reason: "INVALID_REQUEST" });
    });
  }
});

describe("formatListener()", () => {
  it("writes what parseListener() reads", () => {
    for (const address of ["unix:/run/driver.sock", "127.0.0.1:80", "[::1]:80", "localhost:0"]) {
      assert.equal(formatListener(parseListener(address)), address);
    }
  });
});
