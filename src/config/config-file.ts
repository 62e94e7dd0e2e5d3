import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { DriverError } from "../errors.js";

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
    if (named === undefined && hasCode(error, "ENOENT")) return undefined;
    throw invalid(path, `cannot be read (${messageOf(error)})`, "Name another file with --config.", error);
  }

  let json: unknown;
  try {
    json = JSON.parse(content);
  } catch (error) {
    throw invalid(path, `is not JSON: ${describeSyntaxError(content, error)}`, "Correct the file.", error);
  }

  const ownPath = textAt(path, json, ["code_analysis", "db_path"]);
  const nestedPath = textAt(path, json, ["code_analysis", "database", "driver", "config", "path"]);
  const databasePath = ownPath ?? nestedPath;
  return {
    path,
    databasePath: databasePath === undefined ? undefined : resolve(dirname(path), databasePath),
    driverOptions: objectAt(path, json, ["code_analysis", "driver"]) ?? {},
  };
}

function textAt(path: string, json: unknown, keys: readonly string[]): string | undefined {
  const value = objectAt(path, json, keys.slice(0, -1))?.[keys.at(-1) ?? ""];
  if (value === undefined || (typeof value === "string" && value !== "")) return value;
  throw wrongAt(path, keys, "a string that is not empty");
}

/** The object that `keys` lead to; undefined where one of them is not there. */
function objectAt(path: string, json: unknown, keys: readonly string[]): Readonly<Record<string, unknown>> | undefined {
  const key = keys.at(-1);
  const value = key === undefined ? json : objectAt(path, json, keys.slice(0, -1))?.[key];
  if (value === undefined || isObject(value)) return value;
  throw wrongAt(path, keys, "an object");
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function wrongAt(path: string, keys: readonly string[], expected: string): DriverError {
  const where = keys.length === 0 ? "the document" : keys.join(".");
  return invalid(path, `is wrong at ${where}: it must be ${expected}`, "Correct the file.");
}

function invalid(path: string, what: string, hint: string, cause?: unknown): DriverError {
  return new DriverError("INVALID_REQUEST", `The config file ${path} ${what}.`, { hint, cause });
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/** Line and column in front of what the engine says, which only counts characters. */
function describeSyntaxError(content: string, error: unknown): string {
  const [, what = messageOf(error), position] = /^(.*?) in JSON at position (\d+)/.exec(messageOf(error)) ?? [];
  const before = content.slice(0, position === undefined ? content.length : Number(position)).split("\n");
  return `line ${before.length}, column ${(before.at(-1)?.length ?? 0) + 1}: ${what}`;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
