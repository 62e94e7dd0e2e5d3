import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import fc from "fast-check";
import { ExecuteResponseSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { InsertResponseSchema } from "../../gen/code_analysis/driver/v1/table_pb.js";
import { type SqliteValue, WireWriter } from "../../src/workers/wire-writer.js";
import { toValue } from "../support/session.js";

const Field = { COLUMNS: 1, ROWS: 2, TRUNCATED: 3, AFFECTED_ROWS: 4, LAST_INSERT_ROWID: 5, COMMIT_SEQ: 6 };

const anyInt64 = fc.oneof(
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.bigInt({ min: -300n, max: 300n }),
  fc.constantFrom(
    -(2n ** 63n),
    2n ** 63n - 1n,
    2n ** 30n,
    -(2n ** 30n),
    2n ** 31n,
    -(2n ** 31n),
    2n ** 53n,
    -(2n ** 53n),
  ),
);
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 50 }),
  fc.string({ unit: "binary", minLength: 35, maxLength: 45 }),
  // The longest that three bytes a unit can make, at the border of the short form.
  fc.constantFrom("\u{FFFF}".repeat(40), "\u{FFFF}".repeat(41), "\u{FFFF}".repeat(43), "a\0b", "\0", "", "\uFEFFx"),
  fc.string({ minLength: 120, maxLength: 400 }),
);
const anyBlob = fc
  .oneof(
    fc.uint8Array({ maxLength: 20 }),
    fc.uint8Array({ minLength: 110, maxLength: 140 }),
    fc.uint8Array({ maxLength: 500 }),
  )
  .map((bytes) => Buffer.from(bytes));
const anyValue: fc.Arbitrary<SqliteValue> = fc.oneof(
  fc.constant(null),
  anyInt64,
  fc.double(),
  fc.constantFrom(-0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, Number.MIN_VALUE),
  anyText,
  anyBlob,
);

const UNBOUNDED = Number.POSITIVE_INFINITY;

/** The same message made by the generated code. */
function generated(rows: readonly (readonly SqliteValue[])[]): Uint8Array {
  const message = create(ExecuteResponseSchema, { rows: rows.map((values) => ({ values: values.map(toValue) })) });
  return toBinary(ExecuteResponseSchema, message);
}

function written(rows: readonly (readonly SqliteValue[])[]): Buffer {
  const writer = new WireWriter();
  for (const row of rows) writer.row(Field.ROWS, row, UNBOUNDED);
  return writer.take();
}

describe("WireWriter", () => {
  it("writes rows byte for byte as the generated code does", () => {
    fc.assert(
      fc.property(fc.array(fc.array(anyValue, { maxLength: 8 }), { maxLength: 6 }), (rows) => {
        assert.deepEqual(written(rows), Buffer.from(generated(rows)));
      }),
      { numRuns: 2_000 },
    );
  });

  it("moves a row whose length takes two, three or four bytes", () => {
    for (const bytes of [
      110, 123, 124, 125, 126, 127, 128, 129, 16_370, 16_381, 16_384, 70_000, 2_097_152, 2_200_000,
    ]) {
      const rows: SqliteValue[][] = [[1n], [Buffer.alloc(bytes, 7), "end"], [null], ["é".repeat(bytes)], [2n]];
      assert.deepEqual(written(rows), Buffer.from(generated(rows)), `${bytes} bytes`);
    }
  });

  it("writes empty values, and rows with no value", () => {
    const rows: SqliteValue[][] = [[], ["", Buffer.alloc(0), 0n, 0, null], []];
    assert.deepEqual(written(rows), Buffer.from(generated(rows)));
    const decoded = fromBinary(ExecuteResponseSchema, written(rows));
    assert.deepEqual(
      decoded.rows.map(({ values }) => values.map(({ kind }) => kind.case)),
      [[], ["textValue", "blobValue", "integerValue", "realValue", "nullValue"], []],
    );
  });

  it("takes a row of exactly the bound, and writes nothing of a larger one", () => {
    fc.assert(
      fc.property(fc.array(anyValue, { maxLength: 8 }), fc.array(anyValue, { maxLength: 8 }), (first, row) => {
        const bytes = generated([row]).length;
        const writer = new WireWriter();
        writer.row(Field.ROWS, first, UNBOUNDED);
        assert.equal(writer.row(Field.ROWS, row, bytes - 1), false);
        assert.equal(writer.row(Field.ROWS, row, bytes), true);
        assert.deepEqual(writer.take(), Buffer.from(generated([first, row])));
      }),
      { numRuns: 1_000 },
    );
  });

  it("does not copy a value that is too large", () => {
    const writer = new WireWriter();
    assert.equal(writer.row(Field.ROWS, [1n, Buffer.alloc(0)], 10), true);
    const huge = Buffer.alloc(50_000_000);
    const before = process.memoryUsage().arrayBuffers;
    assert.equal(writer.row(Field.ROWS, [huge], 1_000), false);
    assert.equal(writer.row(Field.ROWS, ["x".repeat(50_000_000)], 1_000), false);
    assert.ok(process.memoryUsage().arrayBuffers - before < 1_000_000);
  });

  it("keeps the sign of zero, both infinities and NaN", () => {
    const numbers = [-0, 0, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN];
    const { rows } = fromBinary(ExecuteResponseSchema, written([numbers]));
    const decoded = rows[0]?.values.map(({ kind }) => kind.value) ?? [];
    assert.ok(numbers.every((number, index) => Object.is(decoded[index], number)));
  });

  it("writes lone surrogates as U+FFFD, which is valid UTF-8", () => {
    for (const text of ["\uD800", "a\uDC00b", "\uD800".repeat(60), "\uDBFF\uD800x"]) {
      const { rows } = fromBinary(ExecuteResponseSchema, written([[text, 5n]]));
      assert.deepEqual(
        rows[0]?.values.map(({ kind }) => kind.value),
        [Buffer.from(text).toString(), 5n],
      );
    }
  });

  it("writes columns and scalars as the generated code does", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyText, anyText), { maxLength: 5 }),
        fc.boolean(),
        anyInt64,
        fc.option(anyInt64, { nil: undefined }),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        (columns, truncated, affectedRows, lastInsertRowid, commitSeq) => {
          const writer = new WireWriter();
          for (const [name, declaredType] of columns) writer.column(Field.COLUMNS, name, declaredType);
          writer.bool(Field.TRUNCATED, truncated);
          writer.int64(Field.AFFECTED_ROWS, affectedRows);
          if (lastInsertRowid !== undefined) writer.optionalInt64(Field.LAST_INSERT_ROWID, lastInsertRowid);
          writer.int64(Field.COMMIT_SEQ, commitSeq);
          const message = create(ExecuteResponseSchema, {
            columns: columns.map(([name, declaredType]) => ({ name, declaredType })),
            truncated,
            affectedRows,
            commitSeq,
            ...(lastInsertRowid !== undefined && { lastInsertRowid }),
          });
          assert.deepEqual(writer.take(), Buffer.from(toBinary(ExecuteResponseSchema, message)));
        },
      ),
      { numRuns: 1_000 },
    );
  });

  it("takes plain numbers for 64-bit fields, negative ones too", () => {
    for (const number of [1, -1, 127, 128, 2 ** 31, 2 ** 32, 2 ** 53 - 1, -(2 ** 53 - 1)]) {
      const writer = new WireWriter();
      writer.optionalInt64(2, number);
      assert.equal(fromBinary(InsertResponseSchema, writer.take()).lastInsertRowid, BigInt(number));
    }
  });

  it("starts anew after take(), and leaves what was taken alone", () => {
    const writer = new WireWriter();
    const first: SqliteValue[][] = [["x".repeat(10_000)]];
    for (const row of first) writer.row(Field.ROWS, row, UNBOUNDED);
    const taken = writer.take();
    assert.equal(writer.length, 0);
    writer.row(Field.ROWS, ["y".repeat(20_000)], UNBOUNDED);
    assert.deepEqual(taken, Buffer.from(generated(first)));
    assert.deepEqual(writer.take(), Buffer.from(generated([["y".repeat(20_000)]])));
  });
});
