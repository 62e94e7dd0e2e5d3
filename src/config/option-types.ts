import * as v from "valibot";

/**
 * How the value of an option is written, checked and shown. Flags and environment variables give strings, the config file
 * any JSON value; one schema reads both.
 */
export interface OptionType<T> {
  /** The value's name in `--help`, for example `DURATION`; null for a switch, which takes no value. */
  readonly placeholder: string | null;
  /** Ends the sentence "it must be …". */
  readonly expects: string;
  readonly schema: v.GenericSchema<unknown, T>;
  /** True when relative file names in the value are relative to where the value was written. */
  readonly isPath: boolean;
  /** True when a flag may be repeated; in an environment variable the values are separated by commas. */
  readonly isList: boolean;
  /** The value as a user would write it. */
  format(value: T): string;
}

const MILLISECONDS_OF = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const BYTES_OF = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;

const NON_EMPTY = v.pipe(v.string(), v.nonEmpty());

/** Any text but the empty one. */
export const text: OptionType<string> = scalar("TEXT", "a text that is not empty", NON_EMPTY, String);

/** Where something is sent over HTTP. */
export const url: OptionType<string> = scalar(
  "URL",
  "an http:// or https:// URL",
  v.pipe(v.string(), v.url(), v.regex(/^https?:/)),
  String,
);

/** A file or folder; relative to the working directory, or to the config file that names it. */
export const path: OptionType<string> = { ...scalar("PATH", "a path", NON_EMPTY, String), isPath: true };

/** A switch: `--flag`, `true` or `1`. */
export const boolean: OptionType<boolean> = scalar(
  null,
  "true or false",
  v.union([
    v.boolean(),
    v.pipe(
      v.picklist(["true", "1", "false", "0"]),
      v.transform((word) => word === "true" || word === "1"),
    ),
  ]),
  String,
);

/** One of a closed set of words. */
export function oneOf<const Choice extends string>(choices: readonly Choice[]): OptionType<Choice> {
  return scalar("NAME", `one of ${choices.join(", ")}`, v.picklist(choices), String);
}

/** What an address looks like; whoever listens on it reads it. */
const ADDRESS = v.pipe(v.string(), v.regex(/^(?:unix:.+|(?:\[[^\]]+\]|[^:]*):\d{1,5})$/));
const EXPECTED_ADDRESS = "unix:/path/to.sock, host:port or [IPv6]:port";

/** Where something listens. */
export const address: OptionType<string> = scalar("ADDRESS", EXPECTED_ADDRESS, ADDRESS, String);

/** Addresses in the order in which they were given. */
export const addressList: OptionType<readonly string[]> = {
  ...scalar("ADDRESS", `${EXPECTED_ADDRESS}, or a list of those`, list(ADDRESS), (values: readonly string[]) =>
    values.join(", "),
  ),
  isList: true,
};

/** Texts in the order in which they were given. */
export const textList: OptionType<readonly string[]> = {
  ...scalar("NAME", "a text that is not empty, or a list of those", list(NON_EMPTY), (values: readonly string[]) =>
    values.join(", "),
  ),
  isList: true,
};

function list(item: v.GenericSchema<string>) {
  const split = (value: unknown) => (typeof value === "string" ? value.split(",").map((part) => part.trim()) : value);
  return v.pipe(
    v.unknown(),
    v.transform(split),
    v.array(item),
    v.nonEmpty(),
    v.transform((items) => Object.freeze(items)),
  );
}

/** A whole number from `min` to `max`. */
export function count({ min, max }: { readonly min: number; readonly max: number }): OptionType<number> {
  const digits = v.pipe(v.string(), v.regex(/^\d+$/), v.transform(Number));
  const range = integer(min, max);
  return scalar("NUMBER", `a whole number from ${min} to ${max}`, v.union([v.pipe(digits, range), range]), String);
}

/**
 * Milliseconds, written with a unit: `500ms`, `10s`, `5m`, `1h`. A number without one is refused, because nobody can see
 * whether seconds or milliseconds are meant.
 */
export function duration({ minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }): OptionType<number> {
  return scalar(
    "DURATION",
    `a duration with a unit, such as 500ms, 10s, 5m or 1h, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    v.pipe(quantity(MILLISECONDS_OF), integer(minMs, maxMs)),
    formatDuration,
  );
}

/** Bytes, written with a unit (`64KiB`, `5MB`) or as a plain number of bytes. */
export function size({
  minBytes,
  maxBytes,
}: {
  readonly minBytes: number;
  readonly maxBytes: number;
}): OptionType<number> {
  const range = integer(minBytes, maxBytes);
  return scalar(
    "SIZE",
    `a size such as 65536, 64KiB or 5MB, from ${formatSize(minBytes)} to ${formatSize(maxBytes)}`,
    v.union([v.pipe(quantity({ ...BYTES_OF, "": 1 }), range), range]),
    formatSize,
  );
}

/** `10s` for 10000: the largest unit that shows the value as a whole number. */
function formatDuration(ms: number): string {
  return formatQuantity(ms, MILLISECONDS_OF);
}

/** `64KiB` for 65536, `5MB` for 5000000: the unit that shows the value as the smallest whole number. */
function formatSize(bytes: number): string {
  return formatQuantity(bytes, BYTES_OF);
}

function scalar<T>(
  placeholder: string | null,
  expects: string,
  schema: v.GenericSchema<unknown, T>,
  format: (value: T) => string,
): OptionType<T> {
  return { placeholder, expects, schema, format, isPath: false, isList: false };
}

function integer(min: number, max: number) {
  return v.pipe(v.number(), v.integer(), v.minValue(min), v.maxValue(max));
}

function quantity(units: Readonly<Record<string, number>>) {
  return v.pipe(
    v.string(),
    v.rawTransform(({ dataset: { value }, addIssue, NEVER }) => {
      const [, digits, unit = ""] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(value) ?? [];
      const factor = units[unit];
      if (digits !== undefined && factor !== undefined) return Number(digits) * factor;
      addIssue({ message: "not a number with a unit" });
      return NEVER;
    }),
  );
}

function formatQuantity(value: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, factor]) => value > 0 && value % factor === 0);
  const [unit, factor] = fitting.sort(([, a], [, b]) => b - a)[0] ?? Object.entries(units)[0] ?? ["", 1];
  return `${value / factor}${unit}`;
}
