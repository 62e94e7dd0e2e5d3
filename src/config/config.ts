import { dirname, resolve } from "node:path";
import * as v from "valibot";
import { DriverError } from "../errors.js";
import { type ConfigFile, readConfigFile } from "./config-file.js";
import {
  DEFAULT_DATABASE,
  isSetIn,
  OPTION_NAMES,
  OPTIONS,
  type Option,
  type OptionName,
  type OptionSource,
  spellings,
} from "./options.js";

/** The database when nothing names one, as an absolute path. */
export const DEFAULT_DATABASE_PATH = resolve(DEFAULT_DATABASE);

/** The value of every option; frozen. Paths are absolute. */
export type Config = {
  readonly [Name in OptionName]: (typeof OPTIONS)[Name] extends Option<infer T> ? T : never;
};

/** Flags as they were written, by option name; a list for one that was repeated, true for a switch. */
export type Flags = Readonly<Partial<Record<OptionName, string | readonly string[] | true>>>;

/** Where `resolveConfig` looks. */
export interface ConfigSources {
  readonly flags: Flags;
  /** `process.env`. Variables of no option are ignored: Kubernetes invents some with our prefix. */
  readonly environment: Readonly<Record<string, string | undefined>>;
}

/**
 * The options of one run: flags, then `CODE_ANALYSIS_DRIVER_…` variables, then the config file, then defaults.
 *
 * @throws DriverError `INVALID_REQUEST`: one sentence that names the option, its source, what it is and what is allowed;
 *   `field` is the flag, the variable or the key of the file.
 */
export function resolveConfig({ flags, environment }: ConfigSources): Config {
  const named = parseFirst("config", [fromFlags(flags, "config"), fromEnvironment(environment, "config")]);
  const file = readConfigFile(typeof named === "string" ? named : undefined);
  assertKnownKeys(file);

  const values: Partial<Record<OptionName, unknown>> = {};
  for (const name of OPTION_NAMES) {
    values[name] = parseFirst(name, [
      fromFlags(flags, name),
      fromEnvironment(environment, name),
      ...(file === undefined ? [] : [fromFile(file, name)]),
    ]);
  }
  values.config ??= file?.path;
  const databasePath = typeof values.db === "string" ? values.db : (file?.databasePath ?? DEFAULT_DATABASE_PATH);
  values.db = databasePath;
  for (const name of OPTION_NAMES) {
    const initial: unknown = OPTIONS[name].default;
    values[name] ??= typeof initial === "function" ? initial(databasePath) : initial;
  }

  const config = Object.freeze(values) as Config; // Each value has passed the schema of its option or is its default.
  if (config.transactionTtlMs > config.transactionTtlMaxMs) {
    throw new DriverError("INVALID_REQUEST", "The option transaction-ttl is longer than transaction-ttl-max.", {
      hint: "Shorten the one or lengthen the other.",
    });
  }
  return config;
}

/** A value as some source gives it. */
interface Written {
  readonly source: OptionSource;
  /** Where the user finds it: `--db`, `CODE_ANALYSIS_DRIVER_DB`, `code_analysis.driver.db in config.json`. */
  readonly place: string;
  readonly value: unknown;
  /** What relative paths in it are relative to. */
  readonly folder: string;
}

function fromFlags(flags: Flags, name: OptionName): Written {
  return { source: "flag", place: spellings(OPTIONS[name]).flag, value: flags[name], folder: "." };
}

function fromEnvironment(environment: ConfigSources["environment"], name: OptionName): Written {
  const variable = spellings(OPTIONS[name]).environment;
  // Empty means not set, as in `CODE_ANALYSIS_DRIVER_TOKEN= code-analysis-driver serve`.
  return { source: "environment", place: variable, value: environment[variable] || undefined, folder: "." };
}

function fromFile(file: ConfigFile, name: OptionName): Written {
  const key = spellings(OPTIONS[name]).file;
  return {
    source: "file",
    place: `code_analysis.driver.${key} in ${file.path}`,
    value: file.driverOptions[key],
    folder: dirname(file.path),
  };
}

/** The value of the first source that gives one, checked; undefined when none does. */
function parseFirst(name: OptionName, candidates: readonly Written[]): unknown {
  const option: Option<unknown> = OPTIONS[name];
  const written = candidates.find(({ source, value }) => value !== undefined && isSetIn(option, source));
  if (written === undefined) return undefined;
  const parsed = v.safeParse(option.type.schema, written.value);
  if (!parsed.success) {
    throw new DriverError(
      "INVALID_REQUEST",
      `${written.place} is ${JSON.stringify(written.value)}; it must be ${option.type.expects}.`,
      { field: written.place },
    );
  }
  return option.type.isPath ? resolve(written.folder, String(parsed.output)) : parsed.output;
}

function assertKnownKeys(file: ConfigFile | undefined): void {
  if (file === undefined) return;
  const known = OPTION_NAMES.map((name) => OPTIONS[name])
    .filter((option) => isSetIn(option, "file"))
    .map((option) => spellings(option).file);
  for (const key of Object.keys(file.driverOptions)) {
    if (known.includes(key)) continue;
    const place = `code_analysis.driver.${key} in ${file.path}`;
    throw new DriverError("INVALID_REQUEST", `${place} is no option; those are ${known.join(", ")}.`, { field: place });
  }
}
