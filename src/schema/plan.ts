import type { ConsentId } from "./consent.js";
import type { ForeignKeyViolations } from "./dependents.js";
import type { SchemaDiff } from "./diff.js";

/** What an operation costs, from cheap to dear: no row read, every row read, every row sorted, every row written. */
export type Cost = "constant" | "scan" | "sort" | "rewrite";

/** A statement of a plan. */
export interface Step {
  readonly sql: string;
  /** Set for the statement that copies a table's rows. */
  readonly copy?: {
    readonly source: string;
    readonly target: string;
    /** Name under which the source's rowid can be addressed; undefined when the copy runs as one statement. */
    readonly rowid: string | undefined;
  };
}

export type OperationKind =
  | "rename-column"
  | "create-table"
  | "alter-table"
  | "rebuild-table"
  | "drop-table"
  | "create-index"
  | "drop-index"
  | "create-view"
  | "drop-view"
  | "create-trigger"
  | "drop-trigger"
  | "create-virtual-table"
  | "drop-virtual-table"
  | "rebuild-full-text";

/** One thing that a plan does, with the statements that do it. */
export interface Operation {
  readonly kind: OperationKind;
  /** The object that it creates, changes or drops. */
  readonly object: string;
  /** Folded name of the managed table on whose account it happens, if there is one. */
  readonly table?: string;
  readonly reason: string;
  readonly cost: Cost;
  readonly steps: readonly Step[];
}

/**
 * The order of the statements of a rebuild.
 *
 * - `rename-first`: old table → `temp_<table>`, CREATE, copy, DROP.
 * - `drop-checks-first`: the same, after dropping the named CHECKs, which may name their own table and so forbid its renaming.
 * - `new-first`: CREATE `temp_<table>`, copy, DROP the old table, rename; for what forbids renaming the old one altogether.
 */
export type RebuildMethod = "rename-first" | "drop-checks-first" | "new-first";

/** How a table is brought to its wanted form; tried in the order of `METHODS` until the rehearsal succeeds. */
export type Method = "native" | RebuildMethod;
export const METHODS: readonly Method[] = ["native", "rename-first", "drop-checks-first", "new-first"];

/** What rows a change concerns. */
export interface RowFinding {
  /** One sentence: what happens to which rows of which object. */
  readonly message: string;
  readonly rows: number;
  /** Up to five rowids, or primary keys of a table without rowids, as text. */
  readonly sampleRowids: readonly string[];
}

/** A loss or change of data that the operator must allow by name. */
export interface Consent extends RowFinding {
  /** What `--allow` takes, for example `drop-column:files.foo`. */
  readonly id: ConsentId;
  readonly isAllowed: boolean;
}

/** What makes the plan impossible, whatever is allowed. */
export interface Problem extends RowFinding {
  /** The object at fault: a table, `table.column`, a trigger … */
  readonly object: string;
  readonly hint?: string;
}

/** A live object that is not wanted and stays, because its removal was not allowed. */
export interface KeptObject {
  readonly kind: "index" | "view" | "trigger";
  readonly name: string;
  /** The consent that would remove it. */
  readonly id: ConsentId;
}

/** A column rename that the operator asked for. */
export interface ColumnRename {
  readonly table: string;
  readonly from: string;
  readonly to: string;
}

/** How much of a table an operation rewrites. */
export interface TableSize {
  readonly table: string;
  readonly rows: number;
  /** Pages of the table and of all its indexes: what is written anew. */
  readonly bytes: number;
  /** Pages of the indexes that are dropped before the copy, which it can use. */
  readonly indexBytes: number;
}

/** Everything that will happen, decided before any lock is taken. Plain data but for the models in `diff`. */
export interface MigrationPlan {
  /** Hash of the live schema that the plan was made for. */
  readonly baseFingerprint: string;
  /** Of the connection that planned: another value means that others have written since. */
  readonly dataVersion: number;
  /** True when rows that a new constraint refuses were not looked for everywhere. */
  readonly isOptimistic: boolean;
  readonly renames: readonly ColumnRename[];
  /** After the renames. */
  readonly diff: SchemaDiff;
  readonly operations: readonly Operation[];
  readonly consents: readonly Consent[];
  readonly problems: readonly Problem[];
  readonly kept: readonly KeptObject[];
  /** Things worth knowing that stop nothing. */
  readonly notes: readonly string[];
  /** The tables that are rewritten. */
  readonly sizes: readonly TableSize[];
  /** Free bytes that the run needs on the database's disk. */
  readonly neededBytes: number;
  /** Foreign-key violations that are there already, by foreign key; a migration must not add to them. */
  readonly knownViolations: ReadonlyMap<string, ForeignKeyViolations>;
}

/**
 * - `empty`: the schema is as wanted.
 * - `ready`: can be applied.
 * - `needs-consent`: some consent is not allowed.
 * - `blocked`: there are problems.
 */
export type PlanStatus = "empty" | "ready" | "needs-consent" | "blocked";

/** What can be done with `plan`. */
export function statusOf(plan: Pick<MigrationPlan, "operations" | "consents" | "problems">): PlanStatus {
  if (plan.problems.length > 0) return "blocked";
  if (plan.operations.length === 0) return "empty";
  return plan.consents.every((consent) => consent.isAllowed) ? "ready" : "needs-consent";
}

/** A problem that no row is at fault for. */
export function schemaProblem(object: string, message: string, hint?: string): Problem {
  return { object, message, rows: 0, sampleRowids: [], ...(hint !== undefined && { hint }) };
}
