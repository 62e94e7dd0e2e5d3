import assert from "node:assert/strict";
import { type ApplyOptions, applyMigration, type MigrationResult } from "../../src/schema/migration.js";
import { type MigrationPlan, statusOf } from "../../src/schema/plan.js";
import { type PlanOptions, planMigration } from "../../src/schema/planner.js";
import type { Connection } from "../../src/sqlite/connection.js";
import { snapshot } from "./snapshot.js";

/** Plans and applies, then asserts what holds after every migration: nothing left to do, a sound file, no temporary name. */
export function migrate(
  connection: Connection,
  wantedSql: string,
  options: PlanOptions & ApplyOptions = {},
): { plan: MigrationPlan; result: MigrationResult } {
  const plan = planMigration(connection, wantedSql, options);
  assert.equal(statusOf(plan), "ready", JSON.stringify([plan.problems, plan.consents], null, 1));
  const result = applyMigration(connection, plan, options);
  assertSettled(connection, wantedSql, options);
  return { plan, result };
}

export function assertSettled(connection: Connection, wantedSql: string, options: PlanOptions = {}): void {
  const again = planMigration(connection, wantedSql, options);
  assert.deepEqual(again.operations, [], "a second run finds something to do");
  assert.equal(statusOf(again), "empty");
  assert.equal(connection.pragma("integrity_check", { simple: true }), "ok");
  const names = connection.prepare<[], string>("SELECT coalesce(sql, name) FROM main.sqlite_schema").pluck().all();
  assert.ok(
    names.every((text) => !/\btemp_/.test(text)),
    names.join("\n"),
  );
}

/** Asserts that the migration is refused, by its plan or while it runs, and that the database is as it was. */
export function assertRefused(
  connection: Connection,
  wantedSql: string,
  pattern: RegExp,
  options: PlanOptions & ApplyOptions = {},
): void {
  const before = snapshot(connection);
  assert.throws(
    () => applyMigration(connection, planMigration(connection, wantedSql, options), options),
    (error: Error & { hint?: string }) => {
      assert.match(`${error.message} ${error.hint ?? ""}`, pattern);
      return true;
    },
  );
  assert.deepEqual(snapshot(connection), before);
}

/** The kinds of a plan's operations with their objects: `rebuild-table files`. */
export function kindsOf(plan: MigrationPlan): string[] {
  return plan.operations.map(({ kind, object }) => `${kind} ${object}`);
}
