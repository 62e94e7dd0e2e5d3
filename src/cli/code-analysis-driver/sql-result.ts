import type { Column, Row, Value } from "../../client/messages.js";
import { DriverError } from "../../errors.js";

/** A blob is shown by its first bytes. */
const MAX_BLOB_BYTES_SHOWN = 16;

const INTEGER = /^[+-]?\d+$/;
const REAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;
const BLOB = /^[xX]'((?:[0-9a-fA-F]{2})*)'$/;
const QUOTED = /^'(.*)'$/s;

/** A value as the driver takes it, without the bookkeeping of a message. */
export type ParameterKind = Exclude<Value["kind"], { case: undefined | "nullValue" }> | { case: "nullValue"; value: 0 };

/**
 * A parameter as a user writes it: `42` is INTEGER, `4.2` REAL, `null` NULL, `x'0aff'` a blob, `'42'` in quotes TEXT, and
 * everything else is TEXT as it stands.
 *
 * @throws DriverError `INVALID_REQUEST` for an integer of more than 64 bits.
 */
export function parseParameter(text: string): { readonly kind: ParameterKind } {
  if (text.toLowerCase() === "null") return { kind: { case: "nullValue", value: 0 } };
  if (INTEGER.test(text)) {
    const value = BigInt(text.replace(/^\+/, ""));
    if (BigInt.asIntN(64, value) !== value) {
      throw new DriverError("INVALID_REQUEST", `The integer ${text} has more than 64 bits.`, {
        hint: `Write '${text}' in quotes to pass it as text.`,
        field: "--param",
      });
    }
    return { kind: { case: "integerValue", value } };
  }
  if (REAL.test(text)) return { kind: { case: "realValue", value: Number(text) } };
  const [, hex] = BLOB.exec(text) ?? [];
  if (hex !== undefined) return { kind: { case: "blobValue", value: Buffer.from(hex, "hex") } };
  const [, quoted] = QUOTED.exec(text) ?? [];
  return { kind: { case: "textValue", value: quoted ?? text } };
}

/** A value as SQLite would write it in a statement, but text without quotes. */
export function formatCell({ kind }: Value): string {
  switch (kind.case) {
    case "integerValue":
      return kind.value.toString();
    case "realValue":
      return Number.isInteger(kind.value) ? kind.value.toFixed(1) : String(kind.value);
    case "textValue":
      return kind.value;
    case "blobValue": {
      const shown = Buffer.from(kind.value.subarray(0, MAX_BLOB_BYTES_SHOWN)).toString("hex");
      return kind.value.length > MAX_BLOB_BYTES_SHOWN ? `x'${shown}…' (${kind.value.length} bytes)` : `x'${shown}'`;
    }
    default:
      return "NULL";
  }
}

/** A number where a double holds it exactly, else a string, because most JSON readers would change it. */
export function integerToJson(integer: bigint): number | string {
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer.toString();
}

/**
 * A value for JSON: integers as `integerToJson()` has them; blobs become `{"base64": "…"}`; infinities become strings.
 */
function valueToJson({ kind }: Value): unknown {
  switch (kind.case) {
    case "integerValue":
      return integerToJson(kind.value);
    case "realValue":
      return Number.isFinite(kind.value) ? kind.value : String(kind.value);
    case "textValue":
      return kind.value;
    case "blobValue":
      return { base64: Buffer.from(kind.value).toString("base64") };
    default:
      return null;
  }
}

/** Names of the columns, each once: of equal ones the second is `name:1`, as SQLite itself names them in a subquery. */
export function uniqueNames(columns: readonly Column[]): string[] {
  const used = new Set<string>();
  return columns.map(({ name }) => {
    let unique = name;
    for (let i = 1; used.has(unique); i++) unique = `${name}:${i}`;
    used.add(unique);
    return unique;
  });
}

/** A row as a JSON object by the names of `uniqueNames()`. */
export function rowToJson(names: readonly string[], row: Row): string {
  return JSON.stringify(
    Object.fromEntries(row.values.map((value, index) => [names[index] ?? String(index), valueToJson(value)])),
  );
}
