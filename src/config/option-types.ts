/**
 * How the value of an option is written, checked and shown. Flags and environment variables give strings, the config file
 * any JSON value; one function reads both.
 */
export interface OptionType<T> {
  /** The value's name in `--help`, for example `DURATION`; null for a switch, which takes no value. */
  readonly placeholder: string | null;
  /** Ends the sentence "it must be …". */
  readonly expects: string;
  /** The value; undefined when what is written is none. */
  parse(written: unknown): T | undefined;
  /** True when relative file names in the value are relative to where the value was written. */
  readonly isPath: boolean;
  /** True when a flag may be repeated; in an environment variable the values are separated by commas. */
  readonly isList: boolean;
  /** The value as a user would write it. */
  format(value: T): string;
}

const MILLISECONDS_OF = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 } as const;
const BYTES_OF = { B: 1, KB: 1e3, MB: 1e6, GB: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 } as const;

/** Any text but the empty one. */
export const text: OptionType<string> = scalar("TEXT", "a text that is not empty", parseText, String);

/** Where something is sent over HTTP. */
export const url: OptionType<string> = scalar(
  "URL",
  "an http:// or https:// URL",
  (written) => parseMatching(written, (value) => URL.canParse(value) && /^https?:$/.test(new URL(value).protocol)),
  String,
);

/** A file or folder; relative to the working directory, or to the config file that names it. */
export const path: OptionType<string> = { ...scalar("PATH", "a path", parseText, String), isPath: true };

const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["false", false],
  ["0", false],
]);

/** A switch: `--flag`, `true` or `1`. */
export const boolean: OptionType<boolean> = scalar(
  null,
  "true or false",
  (written) =>
    typeof written === "boolean" ? written : SWITCHES.get(typeof written === "string" ? written.toLowerCase() : ""),
  String,
);

/** One of a closed set of words. */
export function oneOf<const Choice extends string>(choices: readonly Choice[]): OptionType<Choice> {
  return scalar(
    "NAME",
    `one of ${choices.join(", ")}`,
    (written) => choices.find((choice) => choice === written),
    String,
  );
}

/** What an address looks like; whoever listens on it reads it. */
const ADDRESS = /^(?:unix:.+|(?:\[[^\]]+\]|[^:]*):\d{1,5})$/;

/** Addresses in the order in which they were given. */
export const addressList: OptionType<readonly string[]> = {
  ...scalar(
    "ADDRESS",
    "unix:/path/to.sock, host:port or [IPv6]:port, or a list of those",
    (written) => parseList(written, (item) => parseMatching(item, (value) => ADDRESS.test(value))),
    (values: readonly string[]) => values.join(", "),
  ),
  isList: true,
};

/** Texts in the order in which they were given. */
export const textList: OptionType<readonly string[]> = {
  ...scalar(
    "NAME",
    "a text that is not empty, or a list of those",
    (written) => parseList(written, parseText),
    (values: readonly string[]) => values.join(", "),
  ),
  isList: true,
};

function parseText(written: unknown): string | undefined {
  return parseMatching(written, (value) => value !== "");
}

function parseMatching(written: unknown, isRight: (value: string) => boolean): string | undefined {
  return typeof written === "string" && isRight(written) ? written : undefined;
}

/** A list, or its items with commas in between; at least one, and each of them right. */
function parseList(written: unknown, parseItem: (item: unknown) => string | undefined): readonly string[] | undefined {
  const items: unknown = typeof written === "string" ? written.split(",").map((item) => item.trim()) : written;
  if (!Array.isArray(items) || items.length === 0) return undefined;
  const values = items.map(parseItem).filter((value) => value !== undefined);
  return values.length === items.length ? Object.freeze(values) : undefined;
}

function parseWhole(value: unknown, min: number, max: number): number | undefined {
  return typeof value === "number" && Number.isInteger(value) && value >= min && value <= max ? value : undefined;
}

/** A whole number from `min` to `max`. */
export function count({ min, max }: { readonly min: number; readonly max: number }): OptionType<number> {
  return scalar(
    "NUMBER",
    `a whole number from ${min} to ${max}`,
    (written) => parseWhole(typeof written === "string" && /^\d+$/.test(written) ? Number(written) : written, min, max),
    String,
  );
}

/**
 * Milliseconds, written with a unit: `500ms`, `10s`, `5m`, `1h`. A number without one is refused, because nobody can see
 * whether seconds or milliseconds are meant.
 */
export function duration({ minMs, maxMs }: { readonly minMs: number; readonly maxMs: number }): OptionType<number> {
  return scalar(
    "DURATION",
    `a duration with a unit, such as 500ms, 10s, 5m or 1h, from ${formatDuration(minMs)} to ${formatDuration(maxMs)}`,
    (written) => parseWhole(parseQuantity(written, MILLISECONDS_OF), minMs, maxMs),
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
  return scalar(
    "SIZE",
    `a size such as 65536, 64KiB or 5MB, from ${formatSize(minBytes)} to ${formatSize(maxBytes)}`,
    (written) =>
      parseWhole(
        typeof written === "number" ? written : parseQuantity(written, { ...BYTES_OF, "": 1 }),
        minBytes,
        maxBytes,
      ),
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
  parse: (written: unknown) => T | undefined,
  format: (value: T) => string,
): OptionType<T> {
  return { placeholder, expects, parse, format, isPath: false, isList: false };
}

function parseQuantity(written: unknown, units: Readonly<Record<string, number>>): number | undefined {
  const [, digits, unit = ""] = /^(\d+(?:\.\d+)?) ?([A-Za-z]*)$/.exec(typeof written === "string" ? written : "") ?? [];
  const factor = Object.hasOwn(units, unit) ? units[unit] : undefined;
  return digits === undefined || factor === undefined ? undefined : Number(digits) * factor;
}

function formatQuantity(value: number, units: Readonly<Record<string, number>>): string {
  const fitting = Object.entries(units).filter(([, factor]) => value > 0 && value % factor === 0);
  const [unit, factor] = fitting.sort(([, a], [, b]) => b - a)[0] ?? Object.entries(units)[0] ?? ["", 1];
  return `${value / factor}${unit}`;
}
