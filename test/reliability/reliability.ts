/** `npm run reliability -- [NAME…]`: the long forms of the experiments, all or those that are named. */
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The compiled tests of each experiment, from `dist/test`. */
const EXPERIMENTS: Readonly<Record<string, readonly string[]>> = {
  "kill-ledger": ["reliability/kill-ledger.test.js"],
  "kill-points": ["recovery/kill.test.js", "schema/kill.test.js", "cli/config-cli/kill.test.js"],
  "power-loss": ["reliability/power-loss.test.js"],
  "io-errors": ["reliability/io-errors.test.js", "reliability/full-disk.test.js", "recovery/io-faults.test.js"],
  "poisoned-batches": ["reliability/poisoned-batches.test.js"],
  fuzz: ["reliability/fuzz.test.js"],
  abuse: ["reliability/abuse.test.js"],
  pause: ["reliability/pause.test.js", "reliability/clock.test.js"],
  "damaged-files": ["reliability/damaged-files.test.js"],
  differential: ["reliability/differential.test.js"],
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(EXPERIMENTS);
const unknown = names.filter((name) => EXPERIMENTS[name] === undefined);
if (unknown.length > 0) {
  process.stderr.write(
    `there is no experiment ${unknown.join(", ")}; those are ${Object.keys(EXPERIMENTS).join(", ")}\n`,
  );
  process.exit(2);
}

const tests = dirname(dirname(fileURLToPath(import.meta.url)));
const mocha = join(dirname(createRequire(import.meta.url).resolve("mocha/package.json")), "bin/mocha.js");
const environment = { ...process.env, RELIABILITY: "long" };
const failed = names.filter((name) => {
  process.stdout.write(`\n${name}\n`);
  const specs = (EXPERIMENTS[name] ?? []).map((spec) => join(tests, spec));
  // Without the package's configuration, whose list of tests would be added to this one.
  const args = [mocha, "--no-package", "--timeout", "600000", ...specs];
  const start = performance.now();
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit", env: environment });
  process.stdout.write(
    `${name}: ${status === 0 ? "passed" : "FAILED"} in ${Math.round((performance.now() - start) / 1_000)} s\n`,
  );
  return status !== 0;
});
process.exit(failed.length === 0 ? 0 : 1);
