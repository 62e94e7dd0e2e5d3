import assert from "node:assert/strict";
import { copyFileSync, readFileSync, writeFileSync } from "node:fs";
import type { DriverError } from "../../src/errors.js";
import { loadTls, type TlsMaterial, watchTls } from "../../src/security/tls.js";
import { fixturePath } from "../support/fixtures.js";
import { useTempFolder } from "../support/temp-folder.js";

describe("loadTls()", () => {
  const inFolder = useTempFolder();
  const cert = fixturePath("tls", "driver.crt");
  const key = fixturePath("tls", "driver.key");
  const ca = fixturePath("tls", "client.crt");

  it("loads certificate and key, and the authority for mTLS", () => {
    assert.deepEqual(loadTls({ cert, key, ca: undefined })?.key, readFileSync(key));
    assert.deepEqual(loadTls({ cert, key, ca })?.ca, readFileSync(ca));
    assert.equal(loadTls({ cert: undefined, key: undefined, ca: undefined }), undefined);
  });

  const incomplete = [
    { files: { cert, key: undefined, ca: undefined }, message: "--tls-cert is set without --tls-key." },
    { files: { cert: undefined, key, ca: undefined }, message: "--tls-key is set without --tls-cert." },
    { files: { cert: undefined, key: undefined, ca }, message: "--tls-ca alone does not make a listener speak TLS." },
  ];
  for (const { files, message } of incomplete) {
    it(`says: ${message}`, () => assert.throws(() => loadTls(files), { reason: "INVALID_REQUEST", message }));
  }

  it("names the file that is missing, no PEM, or damaged", () => {
    const none = inFolder("none.pem");
    assert.throws(() => loadTls({ cert: none, key, ca: undefined }), {
      message: /The certificate .*none\.pem cannot be read \(ENOENT/,
    });
    const text = inFolder("text.pem");
    writeFileSync(text, "hello");
    assert.throws(() => loadTls({ cert, key: text, ca: undefined }), {
      message: /The private key .*text\.pem is not in PEM form/,
    });
    writeFileSync(text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    assert.throws(() => loadTls({ cert: text, key, ca: undefined }), { message: /cannot be used together/ });
  });

  it("refuses a key that belongs to another certificate", () => {
    const other = fixturePath("tls", "client.key");
    assert.throws(() => loadTls({ cert, key: other, ca: undefined }), {
      message: /cannot be used together \(.*key values mismatch/,
    });
  });
});

describe("watchTls()", () => {
  const inFolder = useTempFolder();
  let stop = () => {};
  afterEach(() => stop());

  it("gives what the files have become, and says once of each state that it cannot be used", async () => {
    const files = { cert: inFolder("a.crt"), key: inFolder("a.key"), ca: undefined };
    const install = (name: string, kind: "cert" | "key") =>
      copyFileSync(fixturePath("tls", `${name}.${kind === "cert" ? "crt" : "key"}`), files[kind]);
    install("driver", "cert");
    install("driver", "key");
    const loaded = loadTls(files);
    assert.ok(loaded !== undefined);
    const problems: DriverError[] = [];
    let change: (material: TlsMaterial) => void = () => assert.fail("there was no change");
    let problem = () => {};
    const nextProblem = () =>
      new Promise<void>((resolve) => {
        problem = resolve;
      });
    stop = watchTls(
      files,
      loaded,
      (material) => change(material),
      (error) => {
        problems.push(error);
        problem();
      },
    );

    let told = nextProblem();
    // The new certificate is there, its key is not yet.
    install("client", "cert");
    await told;
    told = nextProblem();
    writeFileSync(files.cert, "broken");
    await told;
    assert.match(problems.map(({ message }) => message).join(), /cannot be used together.*,.*is not in PEM form/);
    const changed = new Promise<TlsMaterial>((resolve) => {
      change = resolve;
    });
    install("client", "cert");
    install("client", "key");
    assert.deepEqual((await changed).key, readFileSync(fixturePath("tls", "client.key")));
  });
});
