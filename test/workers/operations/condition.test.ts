import assert from "node:assert/strict";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import {
  ComparisonOperator,
  ConditionSchema,
  DeleteRequestSchema,
  DeleteResponseSchema,
  SelectRequestSchema,
  SelectResponseSchema,
} from "../../../gen/code_analysis/driver/v1/table_pb.js";
import { conditionSql } from "../../../src/workers/operations/condition.js";
import { findTable, requireTable } from "../../../src/workers/operations/live-table.js";
import { deleteRows, select } from "../../../src/workers/operations/table.js";
import type { SqliteValue } from "../../../src/workers/wire-writer.js";
import { failsWith, fromValue, TestDatabase, toValue } from "../../support/session.js";
import { useTempFolder } from "../../support/temp-folder.js";

type ConditionInit = MessageInitShape<typeof ConditionSchema>;

const OPERATORS = [
  [ComparisonOperator.EQUAL, "="],
  [ComparisonOperator.NOT_EQUAL, "<>"],
  [ComparisonOperator.LESS, "<"],
  [ComparisonOperator.LESS_OR_EQUAL, "<="],
  [ComparisonOperator.GREATER, ">"],
  [ComparisonOperator.GREATER_OR_EQUAL, ">="],
  [ComparisonOperator.LIKE, "LIKE"],
  [ComparisonOperator.GLOB, "GLOB"],
] as const;

const COLUMNS = ["i", "r", "t", "n", "b"];

const value: fc.Arbitrary<SqliteValue> = fc.oneof(
  fc.bigInt({ min: -3n, max: 12n }),
  fc.constantFrom(2n ** 63n - 1n, -(2n ** 63n), 0.5, -0, 1e300, Number.POSITIVE_INFINITY, 3),
  fc.constantFrom("", "a", "A", "ab", "%", "a%", "_b", "*b", "[a-c]*", "3", "3.0", "ü", "a\0b", "10"),
  fc.constantFrom("", "a", "ab", "\xff").map((text) => Buffer.from(text, "latin1")),
);

/** A condition as a message and, written independently, as SQL text with literals. */
interface Both {
  readonly message: ConditionInit;
  readonly sql: string;
}

/** A value as a literal: text and blobs by their bytes, so that nothing needs quoting. */
function literal(constant: SqliteValue): string {
  if (constant === null) return "NULL";
  if (typeof constant === "bigint") return `${constant}`;
  if (typeof constant === "number") {
    return Number.isFinite(constant) ? `CAST('${Object.is(constant, -0) ? "-0.0" : constant}' AS REAL)` : "9e999";
  }
  if (typeof constant === "string") return `CAST(x'${Buffer.from(constant).toString("hex")}' AS TEXT)`;
  return `x'${constant.toString("hex")}'`;
}

const leaf: fc.Arbitrary<Both> = fc.oneof(
  fc
    .tuple(fc.constantFrom(...COLUMNS), fc.constantFrom(...OPERATORS), value)
    .map(([column, [operator, symbol], v]) => ({
      message: { kind: { case: "comparison" as const, value: { column, operator, value: toValue(v) } } },
      sql: `${column} ${symbol} +${literal(v)}`,
    })),
  fc.tuple(fc.constantFrom(...COLUMNS), fc.array(value, { maxLength: 4 })).map(([column, values]) => ({
    message: { kind: { case: "membership" as const, value: { column, values: values.map(toValue) } } },
    sql: values.length === 0 ? "0" : `(${values.map((v) => `${column} = +${literal(v)}`).join(" OR ")})`,
  })),
  fc.constantFrom(...COLUMNS).map((column) => ({
    message: { kind: { case: "nullTest" as const, value: { column } } },
    sql: `${column} IS NULL`,
  })),
);

function inList(kind: "allOf" | "anyOf", conditions: ConditionInit[]): ConditionInit {
  return { kind: { case: kind, value: { conditions } } };
}

const inAllOf = (inner: ConditionInit): ConditionInit => inList("allOf", [inner]);
const inNegation = (inner: ConditionInit): ConditionInit => ({
  kind: { case: "negation", value: create(ConditionSchema, inner) },
});

const { condition } = fc.letrec<{ condition: Both }>((tie) => ({
  condition: fc.oneof(
    { maxDepth: 5, depthSize: "small" },
    leaf,
    fc
      .tuple(
        fc.constantFrom("allOf" as const, "anyOf" as const),
        fc.array(tie("condition"), { minLength: 1, maxLength: 5 }),
      )
      .map(
        ([kind, parts]): Both => ({
          message: inList(
            kind,
            parts.map(({ message }) => message),
          ),
          sql: `(${parts.map(({ sql }) => sql).join(kind === "allOf" ? " AND " : " OR ")})`,
        }),
      ),
    tie("condition").map(({ message, sql }): Both => ({ message: inNegation(message), sql: `(NOT ${sql})` })),
  ),
}));

function nested(depth: number, wrap: (inner: ConditionInit) => ConditionInit): ConditionInit {
  let result: ConditionInit = { kind: { case: "nullTest", value: { column: "i" } } };
  for (let level = 1; level < depth; level++) result = create(ConditionSchema, wrap(result));
  return result;
}

describe("conditions", () => {
  const folder = useTempFolder();
  let db: TestDatabase;
  beforeEach(() => {
    db = new TestDatabase(folder("test.db"));
    db.exec(`CREATE TABLE t (id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT COLLATE NOCASE, n, b BLOB);
      INSERT INTO t (i, r, t, n, b) VALUES
        (1, 0.5, 'a', 'a', x'61'), (2, 1e300, 'AB', 3, 3), (NULL, NULL, NULL, NULL, NULL), (10, 10, '10', '10', '10'),
        (9223372036854775807, 9e999, '%', 9223372036854775807, x''), (-9223372036854775808, -0.0, '', 3.0, x'ff'),
        (3, 3, CAST(x'610062' AS TEXT), CAST(x'610062' AS TEXT), 'ab'), ('text', 'text', 'ü', x'61', 0.5)`);
  });
  afterEach(() => db.close());

  function idsOf(where: ConditionInit): unknown[] {
    const request = { table: "t", columns: ["id"], where, orderBy: [{ column: "id" }] };
    const messages = db.stream(select, [SelectRequestSchema, SelectResponseSchema], request);
    return messages.flatMap(({ rows }) => rows.flatMap(({ values }) => values.map(fromValue)));
  }

  it("choose the rows that the same condition in plain SQL chooses", () => {
    fc.assert(
      fc.property(condition, ({ message, sql }) => {
        const expected = db.rows(`SELECT id FROM t WHERE ${sql} ORDER BY id`).flat();
        assert.deepEqual(idsOf(message), expected, sql);
      }),
      { numRuns: 1_500 },
    );
  });

  it("choose neither the rows nor their opposite where the answer is unknown", () => {
    const isOne: ConditionInit = {
      kind: { case: "comparison", value: { column: "i", operator: ComparisonOperator.EQUAL, value: toValue(1n) } },
    };
    assert.deepEqual(idsOf(isOne), [1n]);
    assert.ok(!idsOf(inNegation(isOne)).includes(3n), "row 3 has NULL");
  });

  it("with an empty list are true for no row, and negated for every row", () => {
    const isInNothing: ConditionInit = { kind: { case: "membership", value: { column: "i", values: [] } } };
    assert.deepEqual(idsOf(isInNothing), []);
    assert.equal(idsOf(inNegation(isInNothing)).length, 8);
  });

  it("do not read a value as SQL, a pattern or a name", () => {
    for (const text of ["1 OR 1=1", "' OR ''='", "i", '"i"', "?1", "NULL", "1;DELETE FROM t"]) {
      const where: ConditionInit = {
        kind: { case: "comparison", value: { column: "t", operator: ComparisonOperator.EQUAL, value: toValue(text) } },
      };
      assert.deepEqual(idsOf(where), []);
      const deleted = db.write(deleteRows, [DeleteRequestSchema, DeleteResponseSchema], { table: "t", where });
      assert.equal(deleted.affectedRows, 0n);
    }
  });

  it("may be 64 deep and no deeper", () => {
    for (const wrap of [inAllOf, inNegation]) {
      assert.equal(idsOf(nested(64, wrap)).length > 0, true);
      assert.throws(() => idsOf(nested(65, wrap)), failsWith("INVALID_REQUEST"));
    }
  });

  it("of any depth end in an answer, not in a crash", () => {
    for (const depth of [100, 1_000, 10_000]) {
      let where = new Uint8Array();
      for (let level = 0; level < depth; level++) {
        where = new BinaryWriter().tag(6, WireType.LengthDelimited).bytes(where).finish();
      }
      const request = new BinaryWriter().tag(1, WireType.LengthDelimited).string("t");
      const bytes = request.tag(2, WireType.LengthDelimited).bytes(where).finish();
      assert.throws(() => db.writeBytes(deleteRows, bytes), failsWith("INVALID_REQUEST"));
    }
    assert.equal(db.rows("SELECT * FROM t").length, 8);
  });

  it("may be wide: 10,000 parts and 30,000 values, and no more", () => {
    const part = (i: number): ConditionInit => ({
      kind: {
        case: "comparison",
        value: { column: "id", operator: ComparisonOperator.EQUAL, value: toValue(BigInt(i)) },
      },
    });
    const anyOf = (count: number): ConditionInit => ({
      kind: { case: "anyOf", value: { conditions: Array.from({ length: count }, (_, i) => part(i)) } },
    });
    const among = (count: number): ConditionInit => ({
      kind: {
        case: "membership",
        value: { column: "id", values: Array.from({ length: count }, (_, i) => toValue(BigInt(i))) },
      },
    });
    assert.equal(idsOf(anyOf(9_999)).length, 8);
    assert.throws(() => idsOf(anyOf(10_000)), failsWith("LIMIT_EXCEEDED"));
    assert.equal(idsOf(among(30_000)).length, 8);
    assert.throws(() => idsOf(among(30_001)), failsWith("LIMIT_EXCEEDED", "where.membership.values[30000]"));
  });

  it("stay within SQLite's expression depth however they are shaped", () => {
    // Every level holds as many parts as the limit on parts allows, so that the joined lists add most to the depth.
    const wide = (inner: ConditionInit): ConditionInit => ({
      kind: {
        case: "anyOf",
        value: {
          conditions: [
            ...Array.from(
              { length: 154 },
              (): ConditionInit => ({ kind: { case: "nullTest", value: { column: "i" } } }),
            ),
            inner,
          ],
        },
      },
    });
    assert.deepEqual(idsOf(nested(64, wide)), [3n]);
  });

  it("refuse NULL and NaN, empty values, unknown operators and columns, with the place", () => {
    const comparison = (init: object): ConditionInit => ({
      kind: {
        case: "comparison",
        value: { column: "i", operator: ComparisonOperator.EQUAL, value: toValue(1n), ...init },
      },
    });
    const cases: [ConditionInit, string][] = [
      [comparison({ value: toValue(null) }), "where.comparison.value"],
      [comparison({ value: toValue(Number.NaN) }), "where.comparison.value"],
      [comparison({ value: {} }), "where.comparison.value"],
      [comparison({ value: undefined }), "where.comparison.value"],
      [comparison({ operator: ComparisonOperator.UNSPECIFIED }), "where.comparison.operator"],
      [comparison({ operator: 99 }), "where.comparison.operator"],
      [comparison({ column: "nope" }), "where.comparison.column"],
      [comparison({ column: "i = 1 OR i" }), "where.comparison.column"],
      [
        { kind: { case: "membership", value: { column: "i", values: [toValue(1n), toValue(null)] } } },
        "where.membership.values[1]",
      ],
      [{ kind: { case: "nullTest", value: {} } }, "where.null_test.column"],
      [{}, "where"],
      [inNegation({}), "where.negation"],
      [inAllOf({}), "where.all_of.conditions[0]"],
      [{ kind: { case: "anyOf", value: {} } }, "where.any_of"],
    ];
    for (const [where, field] of cases) assert.throws(() => idsOf(where), failsWith("INVALID_REQUEST", field));
  });

  it("bind every value: the text holds none", () => {
    const table = requireTable(db.reader.connection, "t");
    const init = {
      kind: { case: "comparison", value: { column: "T", operator: ComparisonOperator.LIKE, value: toValue("x'y") } },
    } as const;
    const fragment = conditionSql(table, create(ConditionSchema, init), "where");
    assert.deepEqual(fragment, { sql: '"t" LIKE ?', values: ["x'y"] });
    assert.equal(findTable(db.reader.connection, "nope"), undefined);
  });
});
