import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { ChannelCredentials, status } from "@grpc/grpc-js";
import type { TlsOptions } from "../../src/rpc/listener.js";
import { execute, failure, parseListener, TestBench, unaryEngine } from "./support.js";

const EMPTY = new Uint8Array();
const pem = (name: string) => readFileSync(new URL(`../../../test/fixtures/mtls/${name}`, import.meta.url));
const ca = pem("ca.pem");
const server: TlsOptions = { certificate: pem("server.pem"), privateKey: pem("server.key") };
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
