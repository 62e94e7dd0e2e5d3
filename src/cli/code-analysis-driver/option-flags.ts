import { type Command, Option as CommandOption } from "commander";
import type { Flags } from "../../config/config.js";
import {
  isSetIn,
  OPTION_NAMES,
  OPTIONS,
  type Option,
  type OptionAudience,
  type OptionName,
  spellings,
} from "../../config/options.js";

/** Gives `command` a flag for every option of `audience`, and a help that explains all of them. */
export function addOptions(command: Command, audience: OptionAudience): Command {
  const names = OPTION_NAMES.filter((name) => OPTIONS[name].audience.includes(audience));
  for (const name of names) {
    if (isSetIn(OPTIONS[name], "flag")) command.addOption(toCommandOption(name));
  }
  return command.addHelpText("after", ["", ...explainSources(names)].join("\n"));
}

/** The flags that `command` was given, by option name. */
export function readFlags(command: Command): Flags {
  const values: Record<string, unknown> = command.opts();
  const flags: Partial<Record<OptionName, string | readonly string[] | true>> = {};
  for (const name of OPTION_NAMES) {
    const value = values[toCommandOption(name).attributeName()];
    if (typeof value === "string" || Array.isArray(value) || value === true) flags[name] = value;
  }
  return flags;
}

/** Turns repetitions of a flag into a list. */
function collect(value: string, earlier: readonly string[] = []): string[] {
  return [...earlier, value];
}

function toCommandOption(name: OptionName): CommandOption {
  const option: Option<unknown> = OPTIONS[name];
  const { flag } = spellings(option);
  const { placeholder, isList } = option.type;
  const result = new CommandOption(
    placeholder === null ? flag : `${flag} <${placeholder}>`,
    [option.description, describeDefault(option)].filter((part) => part !== "").join(" "),
  );
  if (isList) result.argParser(collect);
  return result.helpGroup(`${option.group}:`);
}

function describeDefault(option: Option<unknown>): string {
  if (option.type.placeholder === null) return "";
  const value = option.defaultText ?? option.type.format(option.default ?? "");
  return `[default: ${value}${option.reason === undefined ? "" : `; ${option.reason}`}]`;
}

function explainSources(names: readonly OptionName[]): string[] {
  const onlyVariables = names.map((name) => OPTIONS[name]).filter((option) => !isSetIn(option, "flag"));
  return [
    "Where options come from:",
    "  A flag beats an environment variable, which beats the config file. --drain-timeout is the variable",
    "  CODE_ANALYSIS_DRIVER_DRAIN_TIMEOUT and in the file code_analysis.driver.drain_timeout; so with all.",
    ...onlyVariables.map((option) => `  Only as a variable: ${spellings(option).environment}. ${option.description}`),
    "  DURATION: 500ms, 10s, 5m, 1h.  SIZE: 65536, 64KiB, 5MB.",
  ];
}
