import { parseArgs } from "node:util";
import { formatTable } from "../../src/cli/table.js";
import { checkLanguage, type LanguageCheck } from "./check-language.js";
import { LANGUAGES, type Language } from "./languages.js";
import { runLoad } from "./load.js";
import { TRANSPORTS } from "./served-driver.js";

const USAGE = `npm run conformance [-- LANGUAGE…] [--load [--seconds N]]
  runs the scenario in every language whose toolchain is there, or in those named: ${LANGUAGES.map(({ name }) => name).join(", ")}
  --load      three languages index and write at once, 16 calls in flight each, for --seconds (default 60)
`;

/** @returns the exit code */
async function main(): Promise<number> {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: { load: { type: "boolean", default: false }, seconds: { type: "string", default: "60" } },
  });
  const unknown = positionals.filter((name) => !LANGUAGES.some((language) => language.name === name));
  if (unknown.length > 0) {
    process.stderr.write(USAGE);
    return 2;
  }
  const languages = LANGUAGES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  return values.load ? await load(languages, Number(values.seconds)) : await conformance(languages);
}

async function conformance(languages: readonly Language[]): Promise<number> {
  const checks: LanguageCheck[] = [];
  for (const language of languages) {
    process.stderr.write(`${language.name} …\n`);
    const check = await checkLanguage(language);
    checks.push(check);
    for (const problem of check.problems) process.stderr.write(`${problem}\n`);
  }
  const names = ["language", "generator", "library", "unix socket", "TCP, token", "TCP, token, TLS", "example"];
  const head = names.map((name) => ({ name, align: "left" as const }));
  process.stdout.write(`${formatTable(head, checks.map(toCells), false)}\n`);
  for (const { language, skipped } of checks) {
    if (skipped !== undefined) process.stdout.write(`skipped ${language}: its toolchain is not here, ${skipped}\n`);
  }
  const failed = checks.filter(({ problems }) => problems.length > 0).length;
  const skipped = checks.filter((check) => check.skipped !== undefined).length;
  process.stdout.write(`${checks.length - failed - skipped} passed, ${failed} failed, ${skipped} skipped\n`);
  return failed === 0 ? 0 : 1;
}

function toCells({ language, generator = "", library = "", passed, problems, skipped }: LanguageCheck): string[] {
  if (skipped !== undefined) return [language, "skipped", "", "", "", "", ""];
  return [
    language,
    generator,
    library,
    ...TRANSPORTS.map((transport) => passed[transport] ?? ""),
    problems.length === 0 ? "as it should" : "see above",
  ];
}

async function load(languages: readonly Language[], seconds: number): Promise<number> {
  const { lines, problems } = await runLoad(languages, seconds);
  process.stdout.write(
    [...lines, ...problems, problems.length === 0 ? "rows right, no failed call" : "failed", ""].join("\n"),
  );
  return problems.length === 0 ? 0 : 1;
}

process.exitCode = await main();
