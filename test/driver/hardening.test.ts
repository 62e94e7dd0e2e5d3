import assert from "node:assert/strict";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { createClient } from "../../src/client/client.js";
import { fixturePath } from "../support/fixtures.js";
import { until } from "../support/processes.js";
import { runScript, startProgram } from "../support/program.js";
import { useTempFolder } from "../support/temp-folder.js";
import { DATABASE, DriverProcess, killDrivers, PROGRAM } from "./driver-process.js";
import { failsWith } from "./failure.js";

type ClientTls = Parameters<typeof createClient>[0]["tls"];

const TCP = ["--listen", "127.0.0.1:0"];

describe("a driver on a machine that others use, too", () => {
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  async function call(address: string, how: { token?: string; tls?: ClientTls }, sql = "SELECT 1") {
    const client = createClient({ address, ...how });
    try {
      return await client.execute({ sql });
    } finally {
      client.close();
    }
  }

  it("creates nothing that others may read, whatever the umask", async () => {
    const umask = process.umask(0);
    let driver: DriverProcess;
    try {
      const args = [...TCP, "--listen", "unix:made/a.sock", "--db", "made/a.db", "--read-token-file", "made/reader"];
      driver = await DriverProcess.start(inFolder(), { args });
    } finally {
      process.umask(umask);
    }
    await driver.program.waitFor("stdout", /^listening unix:/m);
    await call(`unix:${inFolder("made", "a.sock")}`, {}, "CREATE TABLE t (x)");
    assert.equal(statSync(inFolder("made")).mode & 0o777, 0o700);
    const modes = Object.fromEntries(
      readdirSync(inFolder("made")).map((name) => [name, (lstatSync(inFolder("made", name)).mode & 0o777).toString(8)]),
    );
    for (const name of ["a.db", "a.db-wal", "a.db-shm", "a.db.token", "reader", "a.sock"]) {
      assert.equal(modes[name], "600", `${name} of ${JSON.stringify(modes)}`);
    }
    assert.deepEqual(
      Object.entries(modes).filter(([, mode]) => mode !== "600"),
      [],
    );
  });

  it("warns of a database that was open to others before", async () => {
    writeFileSync(inFolder(DATABASE), "");
    chmodSync(inFolder(DATABASE), 0o644);
    const driver = await DriverProcess.start(inFolder());
    await driver.logged("every user of this machine may open the database");
    assert.equal(statSync(inFolder(DATABASE)).mode & 0o777, 0o644);
  });

  it("takes a renewed token, and the old one no longer, without a restart; readers keep theirs", async () => {
    const readTokenFile = inFolder("reader");
    const driver = await DriverProcess.start(inFolder(), { args: [...TCP, "--read-token-file", readTokenFile] });
    const tokenFile = `${driver.databasePath}.token`;
    const [old = "", reader = ""] = [tokenFile, readTokenFile].map((path) => readFileSync(path, "utf8").trim());
    await call(driver.address, { token: old }, "CREATE TABLE t (x)");
    writeFileSync(inFolder("next"), "renewed-token\n", { mode: 0o600 });
    renameSync(inFolder("next"), tokenFile);
    await failsWith("UNAUTHENTICATED", call(driver.address, { token: old }));
    await call(driver.address, { token: "renewed-token" }, "INSERT INTO t VALUES (1)");
    await call(driver.address, { token: reader });
    await failsWith("ROLE_NOT_ALLOWED", call(driver.address, { token: reader }, "INSERT INTO t VALUES (1)"));
    // Too open: it is not taken, and the log says so.
    writeFileSync(inFolder("open"), "token-that-others-read");
    chmodSync(inFolder("open"), 0o644);
    renameSync(inFolder("open"), tokenFile);
    await failsWith("UNAUTHENTICATED", call(driver.address, { token: "token-that-others-read" }));
    await call(driver.address, { token: "renewed-token" });
    await driver.logged("the last good token is still in use", "may be read or written by other users");
  });

  it("shows its token in no command line", async () => {
    const program = startProgram(PROGRAM, ["serve", "--db", DATABASE, ...TCP], {
      cwd: inFolder(),
      environment: { CODE_ANALYSIS_DRIVER_TOKEN: "token-of-the-environment" },
    });
    try {
      const [, address = ""] = await program.waitFor("stdout", /^listening (\S+)\n/m);
      await call(address, { token: "token-of-the-environment" }, "CREATE TABLE t (x)");
      const commandLines = readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .map((pid) => {
          try {
            return readFileSync(join("/proc", pid, "cmdline"), "latin1");
          } catch {
            return ""; // It has ended.
          }
        });
      assert.ok(
        commandLines.some((line) => line.includes(inFolder(DATABASE))),
        "the workers were not seen",
      );
      assert.deepEqual(
        commandLines.filter((line) => line.includes("token-of-the-environment")),
        [],
      );
      assert.ok(!existsSync(inFolder(`${DATABASE}.token`)));
    } finally {
      program.child.kill("SIGKILL");
      await program.ended;
    }
  });

  describe("with TLS", () => {
    const pem = (name: string) => readFileSync(fixturePath("mtls", name));
    const own = { ca: pem("ca.pem"), cert: pem("client.pem"), key: pem("client.key") };
    const install = (folder: string, name: string) => {
      for (const kind of ["crt", "key"])
        copyFileSync(fixturePath("tls", `${name}.${kind}`), inFolder(`driver.${kind}`));
      return folder;
    };

    it("lets only the certificates write that are named", async () => {
      for (const [writers, mayWrite] of [
        [["indexer"], false],
        [["indexer", "localhost"], true],
      ] as const) {
        const folder = inFolder(String(writers.length));
        mkdirSync(folder);
        const files = ["--tls-cert", fixturePath("mtls", "server.pem"), "--tls-key", fixturePath("mtls", "server.key")];
        const driver = await DriverProcess.start(folder, {
          args: [
            ...["--listen", "localhost:0", ...files, "--tls-ca", fixturePath("mtls", "ca.pem")],
            ...writers.flatMap((name) => ["--tls-writers", name]),
          ],
        });
        const token = readFileSync(`${driver.databasePath}.token`, "utf8").trim();
        await call(driver.address, { token, tls: own });
        const write = call(driver.address, { token, tls: own }, "CREATE TABLE t (x)");
        if (mayWrite) await write;
        else await failsWith("ROLE_NOT_ALLOWED", write);
        await failsWith("UNAUTHENTICATED", call(driver.address, { tls: own }));
        await failsWith("DRIVER_UNREACHABLE", call(driver.address, { token, tls: { ca: own.ca } }));
      }
    });

    it("warns of a private key that others may read", async () => {
      install(inFolder(), "driver");
      chmodSync(inFolder("driver.key"), 0o644);
      const args = ["--listen", "localhost:0", "--tls-cert", "driver.crt", "--tls-key", "driver.key"];
      const warning = "every user of this machine may use the private key";
      const driver = await DriverProcess.start(inFolder(), { args });
      await driver.logged(warning, "driver.key");
      await driver.stop();
      chmodSync(inFolder("driver.key"), 0o600);
      const next = await DriverProcess.start(inFolder(), { args });
      assert.ok(!(await next.stop()).stderr.includes(warning), "the control");
    });

    it("renews its certificate without a restart; a broken one is not taken", async () => {
      install(inFolder(), "driver");
      const args = ["--listen", "localhost:0", "--tls-cert", "driver.crt", "--tls-key", "driver.key"];
      const driver = await DriverProcess.start(inFolder(), { args });
      const token = readFileSync(`${driver.databasePath}.token`, "utf8").trim();
      const trusting = (name: string) => ({ token, tls: { ca: readFileSync(fixturePath("tls", `${name}.crt`)) } });
      const open = createClient({ address: driver.address, ...trusting("driver") });
      await open.execute({ sql: "SELECT 1" });

      writeFileSync(inFolder("driver.crt"), "broken");
      await driver.logged("the last good TLS files are still in use", "is not in PEM form");
      await call(driver.address, trusting("driver"));
      install(inFolder(), "client");
      await driver.logged("new connections get the new certificate");
      await call(driver.address, trusting("client"));
      await failsWith("DRIVER_UNREACHABLE", call(driver.address, trusting("driver")));
      await open.execute({ sql: "SELECT 1" });
      open.close();
    });
  });

  describe("does not listen", () => {
    const refused: Readonly<Record<string, { args: readonly string[]; says: RegExp }>> = {
      "on all addresses without TLS": { args: ["--listen", "0.0.0.0:0"], says: /which is not loopback, without TLS/ },
      "on all IPv6 addresses without TLS": { args: ["--listen", "[::]:0"], says: /which is not loopback, without TLS/ },
      "on a host name without TLS": { args: ["--listen", "example.org:0"], says: /which is not loopback, without TLS/ },
      "on a number that means all addresses": { args: ["--listen", "0:0"], says: /which is not loopback, without TLS/ },
      "without a token beyond loopback": {
        args: ["--listen", "0.0.0.0:0", "--insecure-no-auth"],
        says: /will not serve 0\.0\.0\.0:0 without a token/,
      },
      "for writers by certificate where no certificate is asked for": {
        args: ["--listen", "127.0.0.1:0", "--tls-writers", "indexer"],
        says: /--tls-writers is set without --tls-ca/,
      },
    };
    for (const [what, { args, says }] of Object.entries(refused)) {
      it(what, async () => {
        const { exitCode, stderr } = await runScript(PROGRAM, ["serve", "--db", DATABASE, ...args], {
          cwd: inFolder(),
        });
        assert.match(stderr, says);
        assert.equal(exitCode, 1);
        assert.ok(!existsSync(inFolder(DATABASE)), "it has made a database");
      });
    }

    it("where a link or another file stands in the place of its socket, which stays", async () => {
      const elsewhere = inFolder("elsewhere.sock");
      for (const put of [
        () => symlinkSync(elsewhere, inFolder("x.sock")),
        () => writeFileSync(inFolder("x.sock"), ""),
      ]) {
        put();
        const { exitCode, stderr } = await runScript(PROGRAM, ["serve", "--db", DATABASE, "--listen", "unix:x.sock"], {
          cwd: inFolder(),
        });
        assert.match(stderr, /a file that is no socket is there/);
        assert.equal(exitCode, 1);
        assert.ok(!existsSync(elsewhere));
        renameSync(inFolder("x.sock"), inFolder("moved"));
      }
    });
  });

  it("takes the place of a socket that nobody answers on", async () => {
    const path = inFolder(`${DATABASE}.sock`);
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(path, resolve));
    // As a process leaves it that was killed: closing would remove it under its own name only.
    renameSync(path, inFolder("stale"));
    await new Promise((resolve) => server.close(resolve));
    renameSync(inFolder("stale"), path);
    const driver = await DriverProcess.start(inFolder());
    await until("an answer", async () => (await driver.execute("SELECT 1")).rows.length === 1);
  });
});
