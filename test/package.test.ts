import assert from "node:assert/strict";
import { type ExecFileOptions, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { useTempFolder } from "./support/temp-folder.js";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));

/** A program of somebody who installed the package. */
const APP = `
import { createClient, DriverError } from "code-analysis-driver";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
const driver = createClient({ address: process.argv[2] });
await driver.transaction((tx) => tx.execute({ sql: "CREATE TABLE t (a)" }));
const refused = await driver.execute({ sql: "CREATE TABLE t (a)" }).catch((error) => error instanceof DriverError);
const baseline = fileURLToPath(import.meta.resolve("code-analysis-driver/proto/baseline.binpb"));
console.log((await driver.listTables({})).tables.some(({ name }) => name === "t"), refused, existsSync(baseline));
driver.close();
`;

const run = async (program: string, args: readonly string[], options: ExecFileOptions) =>
  (await promisify(execFile)(program, args, { ...options, encoding: "utf8" })).stdout;

describe("the package", () => {
  const inFolder = useTempFolder();

  it("holds what a user needs and no more, and its programs and client run where it is installed", async function () {
    this.timeout(300_000);
    const packed = await run("npm", ["pack", "--json", "--ignore-scripts", "--pack-destination", inFolder()], {
      cwd: PROJECT,
    });
    const [{ filename, files }] = JSON.parse(packed) as [{ filename: string; files: { path: string }[] }];
    const parts = new Set(
      files.map(({ path }) =>
        path
          .split("/")
          .slice(0, 2)
          .join("/")
          .replace(/^(?!dist).*\/.*/, "proto/…"),
      ),
    );
    assert.deepEqual(
      [...parts].sort(),
      ["CHANGELOG.md", "LICENSE", "README.md", "dist/gen", "dist/src", "package.json", "proto/…"].sort(),
    );

    writeFileSync(inFolder("package.json"), '{ "private": true, "type": "module" }');
    writeFileSync(inFolder("app.js"), APP);
    const quietly = ["--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline"];
    await run("npm", ["install", ...quietly, inFolder(filename)], { cwd: inFolder() });
    // Compiling it once more takes minutes; this is the binary that compiling made.
    const binary = join("node_modules", "better-sqlite3", "build");
    cpSync(join(PROJECT, binary), inFolder(binary), { recursive: true });

    const programs = inFolder("node_modules", ".bin");
    const driver = spawn(join(programs, "code-analysis-driver"), ["serve", "--db", "a.db"], {
      cwd: inFolder(),
      stdio: ["ignore", "pipe", "ignore"],
    });
    const ended = once(driver, "close");
    try {
      const [line] = await Promise.race([once(driver.stdout, "data"), ended]);
      const [, address = ""] = /^listening (\S+)\n/.exec(String(line)) ?? [];
      assert.equal(await run(process.execPath, ["app.js", address], { cwd: inFolder() }), "true true true\n");
    } finally {
      driver.kill();
      await ended;
    }
    assert.match(await run(join(programs, "config_cli"), ["doctor", "--db", "a.db"], { cwd: inFolder() }), /healthy/);
  });
});
