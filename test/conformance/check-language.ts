import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runCommand } from "./command.js";
import { folderOf, type Language } from "./languages.js";
import { CASE_COUNT, compareReport, SCENARIO_PATH } from "./scenario.js";
import { ServedDriver, TRANSPORTS, type Transport } from "./served-driver.js";

/** What became of one language. */
export interface LanguageCheck {
  readonly language: string;
  /** Why it was not built or run; not set when it was. */
  readonly skipped?: string;
  /** What generated the stubs, and the gRPC library, each with its version. */
  readonly generator?: string;
  readonly library?: string;
  /** Cases passed by transport, `32/32`. */
  readonly passed: Readonly<Partial<Record<Transport, string>>>;
  /** What went wrong; empty: nothing. */
  readonly problems: readonly string[];
}

/** What every example prints about the source folder of the scenario, once that has run; its progress comes before a \r. */
const EXAMPLE_OUTPUT = `4/4 files, 0 indexed, 4 unchanged, 0 failed
class Circle: 2 methods
class Counter: 1 methods
class Shape: 1 methods
committed a note
NOT_FOUND FILE_NOT_FOUND: no/such/file.py does not exist.
notes.txt:1 notes.txt
`;

/** Why the language cannot be built here, or undefined. */
export async function missingToolchain(language: Language): Promise<string | undefined> {
  for (const command of language.toolchain) {
    if (!(await runCommand(command, folderOf(language))).succeeded) return `\`${command.join(" ")}\` fails`;
  }
  return undefined;
}

/** Builds the language's programs. @returns what went wrong, or undefined */
export async function buildLanguage(language: Language): Promise<string | undefined> {
  for (const command of language.build) {
    const { succeeded, tail } = await runCommand(command, folderOf(language));
    if (!succeeded) return `\`${command.join(" ")}\` fails:\n${tail}`;
  }
  return undefined;
}

/** Builds the language's programs where its toolchain is there, and runs them on a driver of their own for each transport. */
export async function checkLanguage(
  language: Language,
  transports: readonly Transport[] = TRANSPORTS,
): Promise<LanguageCheck> {
  const missing = await missingToolchain(language);
  if (missing !== undefined) return { language: language.name, skipped: missing, passed: {}, problems: [] };
  const failure = await buildLanguage(language);
  if (failure !== undefined) return { language: language.name, passed: {}, problems: [failure] };

  const problems: string[] = [];
  const misused = await runCommand(language.example, folderOf(language));
  if (misused.succeeded || !misused.tail.includes("usage: ")) {
    problems.push(`The example did not say how it is used:\n${misused.tail}`);
  }
  const passed: Partial<Record<Transport, string>> = {};
  let versions: string[] = [];
  for (const transport of transports) {
    const driver = await ServedDriver.start(transport);
    try {
      const { environment } = driver;
      const reportPath = join(driver.source, "..", "report.json");
      const runner: typeof language.conformance = [...language.conformance, SCENARIO_PATH, driver.source, reportPath];
      const run = await runCommand(runner, folderOf(language), environment);
      const example = await runCommand([...language.example, driver.source], folderOf(language), environment);
      versions = run.stdout.trim().split("|");
      const report = run.stdout === "" ? undefined : compareReport(readFileSync(reportPath, "utf8"));
      passed[transport] = `${report?.passedCases ?? 0}/${CASE_COUNT}`;
      problems.push(...(report?.differences ?? [`The runner ended without a report:\n${run.tail}`]));
      if (!example.succeeded || example.stdout.replace(/^.*\r/gm, "") !== EXAMPLE_OUTPUT) {
        problems.push(`The example did not print what it should:\n${example.tail}`);
      }
    } finally {
      await driver.stop();
    }
  }
  const [, generator = "", library = ""] = versions;
  return { language: language.name, generator, library, passed, problems };
}
