import { DEFAULT_DATABASE, isSetIn, OPTION_NAMES, OPTIONS, type Option, spellings } from "./options.js";

/** JSON has no comments; readers of the config file ignore this key. */
const COMMENT_KEY = "//";

/**
 * A config file with every option that can stand in one: its default as the value, where it is the same everywhere, and what
 * it means beside. Reading it back gives the defaults.
 */
export function formatConfigTemplate(): string {
  // The database stands under `db_path`, where config_cli looks for it too.
  const names = OPTION_NAMES.filter((name) => isSetIn(OPTIONS[name], "file") && name !== "db");
  const values: Record<string, unknown> = {};
  const comments: Record<string, string> = {};
  for (const name of names) {
    const option: Option<unknown> = OPTIONS[name];
    const key = spellings(option).file;
    if (option.default !== undefined && option.defaultText === undefined) values[key] = valueToWrite(option);
    comments[key] = describe(option);
  }
  const document = {
    code_analysis: {
      db_path: DEFAULT_DATABASE,
      driver: values,
      [COMMENT_KEY]: { db_path: `${OPTIONS.db.description} Relative to the folder of this file.`, driver: comments },
    },
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** Numbers and switches as JSON has them; what has a unit as people write it. */
function valueToWrite({ type, default: value }: Option<unknown>): unknown {
  const written = type.format(value ?? "");
  if (typeof value === "boolean" || written === String(value)) return value;
  return written;
}

function describe({ description, type, default: value, defaultText, reason }: Option<unknown>): string {
  const shown = defaultText ?? type.format(value ?? "");
  return `${description} Default: ${shown}${reason === undefined ? "" : `; ${reason}`}. It must be ${type.expects}.`;
}
