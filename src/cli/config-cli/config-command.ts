import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { resolveConfig } from "../../config/config.js";
import { readConfigFile } from "../../config/config-file.js";
import { formatConfigTemplate } from "../../config/config-template.js";
import { DriverError, messageOf } from "../../errors.js";
import type { Terminal } from "../terminal.js";
import { ExitCode } from "./exit-code.js";

/**
 * Writes a config file with every option to `out`, or to stdout.
 *
 * @throws DriverError when the file exists or cannot be written.
 */
export function runGenerate({ out }: { readonly out?: string }, { stdout }: Terminal): number {
  const template = formatConfigTemplate();
  if (out === undefined) {
    stdout.write(template);
    return ExitCode.OK;
  }
  const path = resolve(out);
  try {
    // Somebody's settings are not to be overwritten.
    writeFileSync(path, template, { flag: "wx" });
  } catch (error) {
    const why = messageOf(error);
    throw new DriverError("INVALID_REQUEST", `The config file ${path} cannot be created: ${why}.`, {
      hint: "Name another file with --out, or remove this one.",
      cause: error,
    });
  }
  stdout.write(`${path}\n`);
  return ExitCode.OK;
}

/**
 * Checks a config file as both programs read it.
 *
 * @throws DriverError `INVALID_REQUEST` saying what is wrong where.
 */
export function runValidate({ config }: { readonly config?: string }, { stdout }: Terminal): number {
  const file = readConfigFile(config);
  if (file === undefined) {
    throw new DriverError("FILE_NOT_FOUND", `There is no ${resolve("config.json")}.`, {
      hint: "Name a file with --config, or make one: config_cli generate --out config.json.",
    });
  }
  const { db } = resolveConfig({ flags: { config: file.path }, environment: {} });
  stdout.write(`OK ${file.path}\ndatabase ${db}\n`);
  return ExitCode.OK;
}
