import type { MessageInitShape } from "@bufbuild/protobuf";
import { NullValue } from "@bufbuild/protobuf/wkt";
import type { Value, ValueSchema } from "../../gen/code_analysis/driver/v1/value_pb.js";
import { DriverError } from "../errors.js";

/** What SQLite stores, as JavaScript has it: INTEGER is a number where that is exact, else a bigint. */
export type SqlValue = null | number | bigint | string | Uint8Array;

const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 63n - 1n;

/**
 * A value for a parameter. A number without a fraction becomes INTEGER, every other number REAL; -0 becomes REAL, because
 * INTEGER has only one zero.
 *
 * @throws DriverError `INVALID_REQUEST` for a bigint of more than 64 bits.
 */
export function toValue(value: SqlValue): MessageInitShape<typeof ValueSchema> {
  if (value === null) return { kind: { case: "nullValue", value: NullValue.NULL_VALUE } };
  if (typeof value === "string") return { kind: { case: "textValue", value } };
  if (typeof value === "bigint") {
    if (value < MIN_INTEGER || value > MAX_INTEGER) {
      throw new DriverError("INVALID_REQUEST", `The integer ${value} has more than 64 bits.`, {
        hint: "Pass it as text or as a number.",
      });
    }
    return { kind: { case: "integerValue", value } };
  }
  if (typeof value !== "number") return { kind: { case: "blobValue", value } };
  return Number.isSafeInteger(value) && !Object.is(value, -0)
    ? { kind: { case: "integerValue", value: BigInt(value) } }
    : { kind: { case: "realValue", value } };
}

/**
 * A value of a row. A blob is a view of the received message, not a copy.
 *
 * @throws DriverError `INTERNAL` for a value without a kind, which the driver never sends.
 */
export function fromValue({ kind }: Value): SqlValue {
  switch (kind.case) {
    case "nullValue":
      return null;
    case "integerValue":
      return Number.isSafeInteger(Number(kind.value)) ? Number(kind.value) : kind.value;
    case "realValue":
    case "textValue":
    case "blobValue":
      return kind.value;
    case undefined:
      throw new DriverError("INTERNAL", "The driver sent a value of a kind that this client does not know.", {
        hint: "Use a client of the driver's version.",
      });
  }
}
