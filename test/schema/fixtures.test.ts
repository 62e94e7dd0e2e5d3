import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type ColumnRename, statusOf } from "../../src/schema/plan.js";
import { planMigration } from "../../src/schema/planner.js";
import { formatPlan, formatResult, planDocument, resultDocument } from "../../src/schema/report.js";
import { assertRefused, assertSettled, kindsOf, migrate } from "../support/migrate.js";
import { removeScratchDatabases, scratchDatabase } from "../support/scratch.js";
import { snapshot } from "../support/snapshot.js";

/** What a case folder says in `expect.json`. */
interface Expectation {
  readonly operations?: readonly string[];
  readonly consents?: readonly string[];
  readonly allow?: readonly string[];
  readonly renames?: readonly ColumnRename[];
  /** Part of the message of the problem that blocks the plan. */
  readonly problem?: string;
}

const CASES = join(process.cwd(), "test", "fixtures", "migrations");

/** `current.sql` and `data.sql` make a database that `wanted.sql` is applied to; `expect.json` says what happens. */
describe("migration cases", () => {
  afterEach(removeScratchDatabases);

  for (const name of readdirSync(CASES).sort()) {
    it(`E1 ${name.replaceAll("-", " ")}`, () => {
      const read = (file: string) =>
        existsSync(join(CASES, name, file)) ? readFileSync(join(CASES, name, file), "utf8") : "";
      const {
        operations,
        consents = [],
        allow = [],
        renames = [],
        problem,
      } = JSON.parse(read("expect.json")) as Expectation;
      const wanted = read("wanted.sql");
      const { connection } = scratchDatabase(`${read("current.sql")}\n${read("data.sql")}`);
      if (problem !== undefined) {
        assertRefused(connection, wanted, new RegExp(problem));
        assert.match(
          formatPlan(planMigration(connection, wanted)),
          /^The schema differs and cannot be migrated:[\s\S]*Problems:/,
        );
        return;
      }
      const undecided = planMigration(connection, wanted, { renames });
      assert.deepEqual(
        undecided.consents.map(({ id }) => id),
        consents,
      );
      if (consents.length > 0) assertRefused(connection, wanted, /--allow /, { renames });
      const plan = planMigration(connection, wanted, { renames, allow });
      assert.deepEqual(kindsOf(plan), operations);
      if (statusOf(plan) === "empty") {
        assertSettled(connection, wanted);
        return;
      }
      const before = snapshot(connection);
      const { result } = migrate(connection, wanted, { renames, allow });
      for (const [table, { rows }] of Object.entries(before.tables)) {
        if (!table.startsWith("search_")) assert.equal(snapshot(connection).tables[table]?.rows, rows, table);
      }
      for (const operation of plan.operations) assert.ok(formatPlan(plan).includes(operation.reason));
      assert.deepEqual(JSON.parse(JSON.stringify(planDocument(plan))).status, "ready");
      assert.equal(JSON.parse(JSON.stringify(resultDocument(result))).operations, plan.operations.length);
      assert.match(formatResult(result), /^Migrated in 0\.\d\d s: /);
    });
  }
});
