/** Runs the conformance scenario: `node build/conformance.js SCENARIO SOURCE_DIRECTORY REPORT`. */
import { readFileSync, writeFileSync } from "node:fs";
import { CALLS } from "./calls.js";
import { connect } from "./connect.js";
import { describeError } from "./describe.js";
import type { Case, Context, Step } from "./scenario.js";

async function run(step: Step, context: Context): Promise<string[]> {
  try {
    const call = CALLS[step.call];
    if (call === undefined) throw new Error(`The scenario has an unknown call ${step.call}.`);
    return await call(step, context, step.timeout_ms === undefined ? {} : { timeoutMs: step.timeout_ms });
  } catch (error) {
    return [describeError(error)];
  }
}

const [scenarioPath = "", source = "", reportPath = ""] = process.argv.slice(2);
const { cases }: { readonly cases: readonly Case[] } = JSON.parse(readFileSync(scenarioPath, "utf8"));
const driver = connect();
const entries: string[] = [];
let failed = 0;
for (const { name, steps, expect } of cases) {
  const context = { driver, source, transactions: new Map<string, string>() };
  const outcome: string[] = [];
  for (const step of steps) outcome.push(...(await run(step, context)));
  const hasPassed = outcome.join("\n") === expect.join("\n");
  if (!hasPassed) failed++;
  entries.push(`{"name":"${name}","passed":${hasPassed},"outcome":[${outcome.map((line) => `"${line}"`).join(",")}]}`);
}
driver.close();
writeFileSync(reportPath, `{"cases":[\n${entries.join(",\n")}\n]}\n`);
console.log("TypeScript|protoc-gen-es 2.13.0|grpc-js 1.14.7");
process.exitCode = failed === 0 ? 0 : 1;
