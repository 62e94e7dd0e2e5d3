import { allowFlag } from "./consent.js";
import type { MigrationResult } from "./migration.js";
import { type Cost, type MigrationPlan, type Operation, type PlanStatus, type RowFinding, statusOf } from "./plan.js";

/** A plan or result as one JSON document: stable keys, no maps, no models. */
export interface PlanDocument {
  readonly status: PlanStatus;
  readonly operations: readonly (Pick<Operation, "kind" | "object" | "reason" | "cost"> & {
    readonly statements: readonly string[];
  })[];
  readonly consents: MigrationPlan["consents"];
  readonly problems: MigrationPlan["problems"];
  readonly kept: MigrationPlan["kept"];
  readonly notes: readonly string[];
  readonly sizes: MigrationPlan["sizes"];
  readonly neededBytes: number;
}

/** What `--json` prints for a plan. */
export function planDocument(plan: MigrationPlan): PlanDocument {
  return {
    status: statusOf(plan),
    operations: plan.operations.map(({ kind, object, reason, cost, steps }) => ({
      kind,
      object,
      reason,
      cost,
      statements: steps.map(({ sql }) => sql),
    })),
    consents: plan.consents,
    problems: plan.problems,
    kept: plan.kept,
    notes: plan.notes,
    sizes: plan.sizes,
    neededBytes: plan.neededBytes,
  };
}

/** What `--json` prints for a result, beside the plan. */
export function resultDocument(result: MigrationResult): Record<string, unknown> {
  return { ...result, durationMs: Math.round(result.durationMs), copiedRows: Object.fromEntries(result.copiedRows) };
}

const HEADLINE: Record<PlanStatus, string> = {
  empty: "The schema is as wanted.",
  ready: "The schema differs and can be migrated:",
  "needs-consent": "The schema differs. The migration loses or changes data and needs consent:",
  blocked: "The schema differs and cannot be migrated:",
};

/** A plan as text for people. The same plan gives the same text. */
export function formatPlan(plan: MigrationPlan): string {
  const missing = plan.consents.filter((consent) => !consent.isAllowed);
  return joinSections([
    [HEADLINE[statusOf(plan)]],
    plan.operations.flatMap((operation, index) => formatOperation(operation, index + 1, plan)),
    section(
      "Problems",
      plan.problems.flatMap((problem) => [formatFinding(problem), ...(problem.hint ? [`  ${problem.hint}`] : [])]),
    ),
    section(
      "Consents",
      plan.consents.map(
        (consent) => `${consent.isAllowed ? "allowed" : "needed "}  ${consent.id}  ${formatFinding(consent)}`,
      ),
    ),
    section(
      "Kept, though not wanted",
      plan.kept.map(({ kind, name, id }) => `${kind} ${name} (${allowFlag(id)} drops it)`),
    ),
    section("Notes", plan.notes),
    plan.neededBytes === 0 ? [] : [`Free disk space needed: ${formatBytes(plan.neededBytes)}.`],
    missing.length === 0 ? [] : [`To allow all of it: ${missing.map(({ id }) => allowFlag(id)).join(" ")}`],
  ]);
}

/** A result as text for people. */
export function formatResult(result: MigrationResult): string {
  const { before, after } = result.freeBytes;
  const seconds = (result.durationMs / 1_000).toFixed(result.durationMs < 10_000 ? 2 : 0);
  return joinSections([
    [`Migrated in ${seconds} s: ${count(result.operations, "operation")}.`],
    [...result.copiedRows].map(([table, rows]) => `  ${table}: ${count(rows, "row")} copied and counted`),
    section("Foreign keys that were violated before", result.knownViolations),
    after <= before
      ? []
      : [`The file has ${formatBytes(after - before)} more unused space, which later writes fill; VACUUM returns it.`],
  ]);
}

const COST_TEXT: Record<Cost, string> = {
  constant: "reads no row",
  scan: "reads every row",
  sort: "sorts every row",
  rewrite: "writes every row",
};

function formatOperation(operation: Operation, position: number, plan: MigrationPlan): string[] {
  const size = plan.sizes.find(({ table }) => table.toLowerCase() === operation.table);
  const cost =
    operation.kind === "rebuild-table" && size !== undefined
      ? `writes ${count(size.rows, "row")}, ${formatBytes(size.bytes)}`
      : COST_TEXT[operation.cost];
  return [
    `${String(position).padStart(3)}. ${operation.kind.replaceAll("-", " ")} ${operation.object}: ${operation.reason} (${cost})`,
    ...operation.steps.map(({ sql }) => `       ${sql.replaceAll("\n", "\n       ")};`),
  ];
}

function formatFinding({ message, sampleRowids, rows }: RowFinding): string {
  if (sampleRowids.length === 0) return message;
  return `${message} Rowids: ${sampleRowids.join(", ")}${rows > sampleRowids.length ? ", …" : "."}`;
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`${title}:`, ...lines.map((line) => `  ${line}`)];
}

function joinSections(sections: readonly (readonly string[])[]): string {
  return `${sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

function count(amount: number, noun: string): string {
  return `${amount.toLocaleString("en-US")} ${noun}${amount === 1 ? "" : "s"}`;
}

/** Bytes with a decimal unit: `206 MB`. */
function formatBytes(bytes: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const power = bytes < 1_000 ? 0 : Math.min(Math.floor(Math.log10(bytes) / 3), units.length - 1);
  const value = bytes / 1_000 ** power;
  return `${value >= 10 || power === 0 ? Math.round(value) : value.toFixed(1)} ${units[power]}`;
}
