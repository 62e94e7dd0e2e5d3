import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/** Path of the scenario, which every language's runner reads. */
export const SCENARIO_PATH = fileURLToPath(new URL("../../../test/conformance/scenario.json", import.meta.url));

interface Scenario {
  readonly cases: readonly { readonly name: string; readonly expect: readonly string[] }[];
}

const { cases }: Scenario = JSON.parse(readFileSync(SCENARIO_PATH, "utf8"));

/** The report of a runner that found everything as expected, byte for byte; its form is in the README of this folder. */
export const EXPECTED_REPORT = `{"cases":[\n${cases
  .map(
    ({ name, expect }) => `{"name":"${name}","passed":true,"outcome":[${expect.map((line) => `"${line}"`).join(",")}]}`,
  )
  .join(",\n")}\n]}\n`;

/** How many cases there are. */
export const CASE_COUNT = cases.length;

/** Lines of a report that are not as expected, and how many cases are. */
export function compareReport(report: string): {
  readonly passedCases: number;
  readonly differences: readonly string[];
} {
  const [found, expected] = [report, EXPECTED_REPORT].map((text) =>
    text.split("\n").map((line) => line.replace(/,$/, "")),
  );
  const differences = (expected ?? []).flatMap((line, index) =>
    line === found?.[index] ? [] : [`expected ${line}`, `found    ${found?.[index] ?? "nothing"}`],
  );
  const passedCases = CASE_COUNT - differences.length / 2;
  if (differences.length === 0 && report !== EXPECTED_REPORT)
    return { passedCases, differences: ["The layout differs."] };
  return { passedCases, differences };
}
