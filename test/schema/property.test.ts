import assert from "node:assert/strict";
import fc from "fast-check";
import { applyMigration } from "../../src/schema/migration.js";
import { findColumn, keyOf, type SchemaModel } from "../../src/schema/model.js";
import { statusOf } from "../../src/schema/plan.js";
import { planMigration } from "../../src/schema/planner.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { inMain, quoteIdentifier } from "../../src/sqlite/identifiers.js";
import { type RandomTable, randomSchema, randomValue, schemaSql } from "../support/random-schema.js";
import { snapshot } from "../support/snapshot.js";

const PAIRS = Number(process.env.PROPERTY_PAIRS ?? 400);
const SEED = Number(process.env.PROPERTY_SEED ?? Date.now() % 2 ** 31);

interface Case {
  readonly from: readonly RandomTable[];
  readonly to: readonly RandomTable[];
  readonly values: readonly string[];
  readonly rows: number;
}

const randomCase: fc.Arbitrary<Case> = fc.record({
  from: randomSchema,
  to: randomSchema,
  values: fc.array(randomValue, { minLength: 12, maxLength: 12 }),
  rows: fc.nat(6),
});

/** Fills every table, as far as its constraints allow; the value of a column depends on row and column only. */
function fill(connection: Connection, { from, values, rows }: Case): void {
  for (const table of from) {
    const names = ["id", ...table.columns.map(({ name }) => name)].map(quoteIdentifier).join(", ");
    for (let row = 0; row < rows; row++) {
      const id = table.key === "text" || table.key === "without rowid" ? `'k${row}'` : String(3 * row + 1);
      const cells = table.columns.map((_, index) => values[(row * 5 + index) % values.length] ?? "NULL");
      // A NULL for NOT NULL leaves the row out.
      connection.exec(`INSERT OR IGNORE INTO ${inMain(table.name)} (${names}) VALUES (${[id, ...cells].join(", ")})`);
    }
  }
}

/** Columns whose declaration is the same on both sides: their values must come through every migration as they are. */
function untouchedColumns(from: SchemaModel, to: SchemaModel, table: string): string[] {
  const [old, now] = [from.tables.get(keyOf(table)), to.tables.get(keyOf(table))];
  return (old?.columns ?? []).flatMap((column) => {
    const other = now === undefined ? undefined : findColumn(now, column.name);
    const isSame =
      other?.affinity === column.affinity && (other.notNull === column.notNull || other.notNull === undefined);
    return isSame ? [column.name] : [];
  });
}

type Outcome = "empty" | "applied" | "refused";

/** Allows everything that can be allowed and migrates; asserts the invariants. */
function migrateAndCheck(connection: Connection, wantedSql: string): Outcome {
  const first = planMigration(connection, wantedSql);
  const allow = first.consents.map(({ id }) => id);
  const plan = allow.length === 0 ? first : planMigration(connection, wantedSql, { allow });
  const before = snapshot(connection);
  const untouched = plan.diff.changedTables.map(({ from }) => {
    const columns = untouchedColumns(plan.diff.live, plan.diff.wanted, from.name);
    return { name: from.name, columns, values: valuesOf(connection, from.name, columns) };
  });
  const status = statusOf(plan);
  if (status === "empty") return "empty";
  if (status === "blocked") {
    assert.ok(
      plan.problems.every(({ rows, message }) => rows > 0 || /foreign key/.test(message)),
      JSON.stringify(plan.problems),
    );
    return "refused";
  }
  applyMigration(connection, plan, { chunkRows: 2 });
  const after = snapshot(connection);
  for (const [name, { rows }] of Object.entries(before.tables))
    assert.equal(after.tables[name]?.rows, rows, `rows of ${name}`);
  for (const { name, columns, values } of untouched)
    assert.deepEqual(valuesOf(connection, name, columns), values, name);
  assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
  const again = planMigration(connection, wantedSql);
  assert.deepEqual(again.operations, [], "a second run finds something to do");
  return "applied";
}

function valuesOf(connection: Connection, table: string, columns: readonly string[]): string[] {
  if (columns.length === 0) return [];
  const values = columns
    .map((name) => `typeof(${quoteIdentifier(name)}) || quote(${quoteIdentifier(name)})`)
    .join(" || '|' || ");
  return connection
    .prepare<[], string>(`SELECT ${values} FROM ${inMain(table)} ORDER BY 1`)
    .pluck()
    .all();
}

describe("migration: random schemas", function () {
  this.timeout(PAIRS * 1_000 + 60_000);

  it(`holds its invariants over ${PAIRS} pairs A → B → A (PROPERTY_PAIRS; seed ${SEED}, PROPERTY_SEED)`, () => {
    const outcomes: Record<Outcome, number> = { empty: 0, applied: 0, refused: 0 };
    fc.assert(
      fc.property(randomCase, (one) => {
        const connection = openConnection(":memory:", { role: "migration" });
        try {
          const [a, b] = [schemaSql(one.from), schemaSql(one.to)];
          connection.exec(a);
          fill(connection, one);
          outcomes[migrateAndCheck(connection, b)]++;
          outcomes[migrateAndCheck(connection, a)]++;
        } finally {
          connection.close();
        }
      }),
      { numRuns: PAIRS, seed: SEED, endOnFailure: process.env.PROPERTY_SHRINK === undefined },
    );
    assert.ok(outcomes.applied > PAIRS / 2, `too few migrations ran: ${JSON.stringify(outcomes)}`);
  });
});
