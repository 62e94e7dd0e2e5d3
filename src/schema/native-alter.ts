import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { isConstantDefault } from "./default-value.js";
import { describeChange, type TableChange, type TableDiff } from "./diff.js";
import { type CheckConstraint, type Column, type ForeignKey, findColumn, keyOf } from "./model.js";
import type { Cost, Operation } from "./plan.js";

interface Alteration {
  readonly clause: string;
  readonly cost: Cost;
  readonly change: TableChange;
}

/** Order of execution: what frees goes before what needs. */
const ORDER: readonly TableChange["kind"][] = ["drop-check", "change-column", "drop-column", "add-column", "add-check"];

/**
 * The changes of one table as ALTER TABLE statements that need no copy (https://sqlite.org/lang_altertable.html, with the
 * constraint changes of SQLite 3.53); undefined when one of them needs a rebuild. Whether SQLite accepts them in the light of
 * other objects, the rehearsal shows.
 */
export function alterTable(diff: TableDiff): Operation[] | undefined {
  const changes = diff.changes.filter((change) => !isCarriedByColumn(diff, change));
  const alterations = changes.map((change) => alterationFor(change, diff));
  if (!alterations.every((alteration) => alteration !== undefined)) return undefined;
  return alterations
    .sort((a, b) => ORDER.indexOf(a.change.kind) - ORDER.indexOf(b.change.kind))
    .map(({ clause, cost, change }) => ({
      kind: "alter-table",
      object: diff.to.name,
      table: keyOf(diff.to.name),
      reason: describeChange(change),
      cost,
      steps: [{ sql: `ALTER TABLE ${inMain(diff.from.name)} ${clause}` }],
    }));
}

function alterationFor(change: TableChange, { from }: TableDiff): Alteration | undefined {
  switch (change.kind) {
    case "add-column":
      return canAdd(change.column)
        ? { clause: `ADD COLUMN ${change.column.definition}`, cost: "constant", change }
        : undefined;
    case "drop-column":
      return { clause: `DROP COLUMN ${quoteIdentifier(change.column.name)}`, cost: "rewrite", change };
    case "change-column": {
      const column = quoteIdentifier(change.from.name);
      if (change.aspects.join() !== "not null") return undefined;
      if (change.from.notNull === undefined && change.to.notNull === "ABORT") {
        return { clause: `ALTER COLUMN ${column} SET NOT NULL`, cost: "scan", change };
      }
      if (change.to.notNull === undefined)
        return { clause: `ALTER COLUMN ${column} DROP NOT NULL`, cost: "constant", change };
      return undefined;
    }
    case "add-check": {
      const { name, text } = change.check;
      const prefix = name === undefined ? "" : `CONSTRAINT ${quoteIdentifier(name)} `;
      return { clause: `ADD ${prefix}CHECK (${text})`, cost: "scan", change };
    }
    case "drop-check": {
      const { name } = change.check;
      // SQLite can only drop what it can name; of two with one name it drops the first.
      const sameName = from.checks.filter((check) => keyOf(check.name ?? "") === keyOf(name ?? ""));
      if (name === undefined || sameName.length > 1) return undefined;
      return { clause: `DROP CONSTRAINT ${quoteIdentifier(name)}`, cost: "constant", change };
    }
    default:
      return undefined;
  }
}

function canAdd({ generated, defaultValue, notNull }: Column): boolean {
  if (generated !== undefined) return !generated.isStored && notNull === undefined;
  if (defaultValue === undefined) return notNull === undefined;
  return isConstantDefault(defaultValue);
}

/** True for a change that comes and goes with its column: a constraint in the definition of an added or dropped one. */
function isCarriedByColumn({ from, to, changes }: TableDiff, change: TableChange): boolean {
  const isAdded = (column: string | undefined) => column !== undefined && findColumn(from, column) === undefined;
  const isDropped = (column: string | undefined) => column !== undefined && findColumn(to, column) === undefined;
  if (change.kind === "add-check") return isAdded(change.check.inColumn);
  if (change.kind === "drop-check") return isDropped(change.check.inColumn);
  if (change.kind !== "foreign-keys" || !changes.some(({ kind }) => kind.endsWith("-column"))) return false;
  return (
    asSet(from.foreignKeys.filter((key) => !isDropped(key.inColumn))) ===
    asSet(to.foreignKeys.filter((key) => !isAdded(key.inColumn)))
  );
}

function asSet(items: readonly (ForeignKey | CheckConstraint)[]): string {
  return items
    .map((item) => JSON.stringify({ ...item, inColumn: undefined }))
    .sort()
    .join();
}
