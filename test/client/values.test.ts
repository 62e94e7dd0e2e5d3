import assert from "node:assert/strict";
import { inspect } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ValueSchema } from "../../gen/code_analysis/driver/v1/value_pb.js";
import { fromValue, type SqlValue, toValue } from "../../src/client/values.js";

/** Through the wire format and back. */
function throughTheWire(value: SqlValue): SqlValue {
  return fromValue(fromBinary(ValueSchema, toBinary(ValueSchema, create(ValueSchema, toValue(value)))));
}

describe("toValue() and fromValue()", () => {
  const exact: readonly SqlValue[] = [
    ...[null, 0, -0, 1, -1, 0.5, 1e300, 5e-324, Infinity, -Infinity, Number.NaN],
    ...[Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 2 ** 53, -(2 ** 63)],
    ...[2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n],
    ...["", "a\0b", "é\u{1F600}", new Uint8Array(), new Uint8Array([0, 255])],
  ];
  for (const value of exact) {
    it(`keep ${inspect(value)}`, () => assert.deepEqual(throughTheWire(value), value));
  }

  it("keep every integer of 64 bits, as a number where that is exact", () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (integer) => {
        const back = throughTheWire(integer);
        assert.equal(BigInt(back as number | bigint), integer);
        assert.equal(typeof back, Number.isSafeInteger(Number(integer)) ? "number" : "bigint");
      }),
    );
  });

  it("refuse an integer of more than 64 bits", () => {
    for (const integer of [2n ** 63n, -(2n ** 63n) - 1n]) {
      assert.throws(() => toValue(integer), { reason: "INVALID_REQUEST", message: /more than 64 bits/ });
    }
  });

  it("refuse a value without a kind", () => {
    assert.throws(() => fromValue(create(ValueSchema)), { reason: "INTERNAL" });
  });
});
