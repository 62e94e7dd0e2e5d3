import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ChannelCredentials, status } from "@grpc/grpc-js";
import type { TlsOptions } from "../../src/rpc/listener.js";
import { serveMetrics } from "../../src/rpc/metrics-server.js";
import { certificateNames } from "../../src/security/authentication.js";
import { fixturePath } from "../support/fixtures.js";
import { execute, failure, parseListener, TestBench, unaryEngine } from "./support.js";

const EMPTY = new Uint8Array();
const pem = (name: string) => readFileSync(new URL(`../../../test/fixtures/mtls/${name}`, import.meta.url));
const ca = pem("ca.pem");
const server: TlsOptions = { certificate: pem("server.pem"), privateKey: pem("server.key") };
/** Signed by itself. */
const other: TlsOptions = {
  certificate: readFileSync(fixturePath("tls", "driver.crt")),
  privateKey: readFileSync(fixturePath("tls", "driver.key")),
};
const anonymous = ChannelCredentials.createSsl(ca);
const known = ChannelCredentials.createSsl(ca, pem("client.key"), pem("client.pem"));

describe("a TLS listener", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  const listen = (tls: TlsOptions) =>
    bench.server(unaryEngine(async () => EMPTY)).listen(parseListener("localhost:0", tls));

  it("serves clients that trust its certificate, and none in plain text", async () => {
    const address = await listen(server);
    await execute(bench.connect(address, anonymous), EMPTY);
    assert.equal((await failure(execute(bench.connect(address), EMPTY))).code, status.UNAVAILABLE);
  });

  it("refuses clients without a certificate of the client authority, when it has one", async () => {
    const address = await listen({ ...server, clientCa: ca });
    await execute(bench.connect(address, known), EMPTY);
    assert.equal((await failure(execute(bench.connect(address, anonymous), EMPTY))).code, status.UNAVAILABLE);
  });

  it("goes on with open connections and gives new ones the new certificate", async () => {
    const rpc = bench.server(unaryEngine(async () => EMPTY));
    const address = await rpc.listen(parseListener("localhost:0", server));
    const open = bench.connect(address, anonymous);
    await execute(open, EMPTY);
    rpc.setTls(other);
    await execute(open, EMPTY);
    // A channel of its own; grpc-js would share the connection otherwise.
    const trusting = (authority: Buffer) => bench.connect(address, ChannelCredentials.createSsl(authority));
    await execute(trusting(other.certificate), EMPTY);
    assert.equal((await failure(execute(trusting(Buffer.from(ca)), EMPTY))).code, status.UNAVAILABLE);
    await execute(open, EMPTY);
  });

  it("takes the certificates of the new client authority, and those of the old one no longer", async () => {
    const rpc = bench.server(unaryEngine(async () => EMPTY));
    const address = await rpc.listen(parseListener("localhost:0", { ...server, clientCa: ca }));
    await execute(bench.connect(address, known), EMPTY);
    const authority = readFileSync(fixturePath("tls", "client.crt"));
    rpc.setTls({ ...server, clientCa: authority });
    const again = ChannelCredentials.createSsl(ca, pem("client.key"), pem("client.pem"));
    assert.equal((await failure(execute(bench.connect(address, again), EMPTY))).code, status.UNAVAILABLE);
    const own = ChannelCredentials.createSsl(ca, readFileSync(fixturePath("tls", "client.key")), authority);
    await execute(bench.connect(address, own), EMPTY);
  });

  it("tells who the client is by its certificate", async () => {
    const names: string[][] = [];
    const rpc = bench.server(
      unaryEngine(async () => EMPTY),
      {
        authenticate: (_authorization, _listener, certificate) => {
          names.push(certificateNames(certificate()));
          return "read-write";
        },
      },
    );
    await execute(
      bench.connect(await rpc.listen(parseListener("localhost:0", { ...server, clientCa: ca })), known),
      EMPTY,
    );
    await execute(bench.connect(await rpc.listen(parseListener("localhost:0", server)), known), EMPTY);
    await execute(bench.connect(await rpc.listen(parseListener("127.0.0.1:0"))), EMPTY);
    assert.deepEqual(names, [["localhost", "localhost"], [], []]);
  });

  it("may be reached from other machines", async () => {
    const address = await bench.server(unaryEngine(async () => EMPTY)).listen(parseListener("0.0.0.0:0", server));
    assert.match(address, /^0\.0\.0\.0:[1-9]/);
  });

  it("is refused when its certificate is none", async () => {
    await assert.rejects(listen({ certificate: Buffer.from("no PEM"), privateKey: server.privateKey }), {
      reason: "INVALID_REQUEST",
    });
  });
});

describe("a listener that was taken for loopback", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  it("is refused when its name leads elsewhere", async () => {
    // As if the system said of localhost that it is every address of the machine.
    const listener = { kind: "tcp", host: "0.0.0.0", port: 0, isLoopback: true } as const;
    const refused = {
      reason: "INVALID_REQUEST",
      message: /is 0\.0\.0\.0 here, which can be reached from other machines/,
    };
    await assert.rejects(bench.server(unaryEngine(async () => EMPTY)).listen(listener), refused);
    const source = { contentType: "text/plain", text: async () => "" };
    await assert.rejects(
      serveMetrics(listener, () => "read-write", source),
      refused,
    );
  });
});
