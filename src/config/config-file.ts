import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { codeOf, DriverError, messageOf } from "../errors.js";

/** What both programs read from one JSON file. Anything beside `code_analysis` belongs to other programs. */
export interface ConfigFile {
  /** Absolute path of the file. */
  readonly path: string;
  /** `code_analysis.db_path`, else `code_analysis.database.driver.config.path`, as an absolute path. */
  readonly databasePath: string | undefined;
  /** The entries of `code_analysis.driver`, not checked yet. */
  readonly driverOptions: Readonly<Record<string, unknown>>;
}

/** The name that is looked up in the working directory when no file is named. */
const DEFAULT_CONFIG_FILE = "config.json";

const PATH = v.optional(v.pipe(v.string(), v.nonEmpty()));

const DOCUMENT = v.object({
  code_analysis: v.optional(
    v.object({
      db_path: PATH,
      database: v.optional(
        v.object({ driver: v.optional(v.object({ config: v.optional(v.object({ path: PATH })) })) }),
      ),
      driver: v.optional(v.record(v.string(), v.unknown())),
    }),
  ),
});

/**
 * Reads a config file. Relative paths in it are relative to its folder, so that it means the same from everywhere.
 *
 * @param named - The file that the user named; without one, `config.json` in the working directory if it exists.
 * @returns undefined when no file was named and there is none.
 * @throws DriverError `INVALID_REQUEST` when it is missing, unreadable, no JSON, or of another shape.
 */
export function readConfigFile(named?: string): ConfigFile | undefined {
  const path = resolve(named ?? DEFAULT_CONFIG_FILE);
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    if (named === undefined && codeOf(error) === "ENOENT") return undefined;
    throw invalid(path, `cannot be read (${messageOf(error)})`, "Name another file with --config.", error);
  }

  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw invalid(path, `is not JSON: ${describeSyntaxError(content, error)}`, "Correct the file.", error);
  }

  const parsed = v.safeParse(DOCUMENT, json);
  if (!parsed.success) {
    const [issue] = parsed.issues;
    throw invalid(
      path,
      `is wrong at ${v.getDotPath(issue) ?? "the document"}: ${issue.message}`,
      "Correct the file.",
      issue,
    );
  }
  const section = parsed.output.code_analysis;
  const databasePath = section?.db_path ?? section?.database?.driver?.config?.path;
  return {
    path,
    databasePath: databasePath === undefined ? undefined : resolve(dirname(path), databasePath),
    driverOptions: section?.driver ?? {},
  };
}

function invalid(path: string, what: string, hint: string, cause: unknown): DriverError {
  return new DriverError("INVALID_REQUEST", `The config file ${path} ${what}.`, { hint, cause });
}

/** Line and column in front of what the engine says, which only counts characters. */
function describeSyntaxError(content: string, error: unknown): string {
  const [, what = messageOf(error), position] = /^(.*?) in JSON at position (\d+)/.exec(messageOf(error)) ?? [];
  const before = content.slice(0, position === undefined ? content.length : Number(position)).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: ${what}`;
}
