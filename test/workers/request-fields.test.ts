import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { ExecuteBatchRequestSchema, ExecuteRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { countField, RequestField, stringField } from "../../src/workers/request-fields.js";
import { toValue } from "../support/session.js";

describe("stringField()", () => {
  it("finds the fields of a request wherever they stand", () => {
    fc.assert(
      fc.property(
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        fc.string({ unit: "binary" }),
        fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
        fc.nat({ max: 2 ** 32 - 1 }),
        (sql, transactionId, requestId, integers, maxRows) => {
          const parameters = integers.map(toValue);
          const request = { sql, transactionId, requestId, parameters, maxRows };
          const bytes = toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, request));
          assert.equal(stringField(bytes, RequestField.SQL), sql);
          assert.equal(stringField(bytes, RequestField.TRANSACTION_ID), transactionId);
          assert.equal(stringField(bytes, RequestField.REQUEST_ID), requestId);
        },
      ),
    );
  });

  it("does not take the content of another field for a field", () => {
    const inner = toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { requestId: "inner" }));
    const blob = toValue(Buffer.from(inner));
    const bytes = toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { parameters: [blob] }));
    assert.equal(stringField(bytes, RequestField.REQUEST_ID), "");
  });

  it("takes the last of several, as protobuf does", () => {
    const bytes = new BinaryWriter().tag(15, WireType.LengthDelimited).string("first");
    bytes.tag(15, WireType.LengthDelimited).string("last");
    assert.equal(stringField(bytes.finish(), RequestField.REQUEST_ID), "last");
  });

  it("skips fields of every other wire type", () => {
    const writer = new BinaryWriter();
    writer.tag(20, WireType.Varint).uint64(2n ** 64n - 1n);
    writer.tag(21, WireType.Bit64).double(1.5);
    writer.tag(22, WireType.Bit32).float(1.5);
    writer.tag(2 ** 29 - 1, WireType.Varint).uint32(1);
    writer.tag(15, WireType.LengthDelimited).string("here");
    assert.equal(stringField(writer.finish(), RequestField.REQUEST_ID), "here");
  });

  it("ends on any bytes, however malformed", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(typeof stringField(bytes, RequestField.REQUEST_ID), "string");
      }),
      { numRuns: 5_000 },
    );
    assert.equal(stringField(Uint8Array.of(0x7a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0x61), 15), "a");
    assert.equal(stringField(new Uint8Array(100).fill(0xff), 15), "");
  });
});

describe("countField()", () => {
  it("counts a field at the top level, and none within others", () => {
    const statement = { sql: "SELECT ?", parameters: [toValue(1n), toValue("\n\n\n")] };
    for (const count of [0, 1, 3, 1_000]) {
      const request = { statements: Array.from({ length: count }, () => statement), transactionId: "t" };
      const bytes = toBinary(ExecuteBatchRequestSchema, create(ExecuteBatchRequestSchema, request));
      assert.equal(countField(bytes, ExecuteBatchRequestSchema.field.statements.number), count);
    }
  });
});
