import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { inMain } from "../sqlite/identifiers.js";
import { compareSchemas } from "./comparator.js";
import { compileError } from "./compilation.js";
import { type BrokenObject, findBrokenForeignKeys, findBrokenObjects } from "./dependents.js";
import { isEmptyDiff, type SchemaDiff } from "./diff.js";
import { findContentlessTables } from "./full-text.js";
import { inspectSchema } from "./introspection.js";
import { keyOf, type SchemaModel } from "./model.js";
import { buildOperations } from "./operations.js";
import {
  type Consent,
  type KeptObject,
  METHODS,
  type Method,
  type Operation,
  type Problem,
  schemaProblem,
} from "./plan.js";
import { keepsRowids } from "./rebuild.js";
import { type RehearsalFailure, rehearse, type SchemaClone, type Unclonable, withClone } from "./rehearsal.js";
import { tokenize } from "./tokens.js";

const BROKEN_HINT = "Correct it in the wanted schema, or keep there what it uses.";

/** The operations that a rehearsal proved, and what it showed. */
export interface Choice {
  readonly operations: readonly Operation[];
  readonly consents: readonly Omit<Consent, "isAllowed">[];
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
}

/** What a rehearsal that ran to its end says. */
interface Outcome {
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
  /** Objects that do not compile any more, by label, with SQLite's message. */
  readonly broken: ReadonlyMap<string, string>;
}

/**
 * Rehearses the cheapest operations. Where one fails, its table goes on to the next method; an extra object that is in the way
 * goes, by consent; until all work or no way is left.
 */
export function chooseOperations(
  live: SchemaModel,
  diff: SchemaDiff,
  allow: ReadonlySet<string>,
  backfilled: ReadonlySet<string>,
): Choice {
  const methods = new Map<string, Method>([...backfilled].map((table) => [table, "rename-first"]));
  const firstFailures = new Map<string, RehearsalFailure>();
  const consents = new Map<string, Omit<Consent, "isAllowed">>();
  const requireRemoval = (extra: KeptObject, why: string) => {
    const message = `The ${extra.kind} ${extra.name} is not in the wanted schema and cannot stay: ${why}.`;
    consents.set(extra.id, { id: extra.id, message, rows: 0, sampleRowids: [] });
  };
  for (;;) {
    const removable = new Set([...allow, ...consents.keys()]);
    const operations = buildOperations(diff, { methods, allow: removable });
    const kept = keptObjects(diff, removable);
    const choice = { operations, consents: [...consents.values()], notes: [] };
    if (operations.length === 0) return { ...choice, problems: [] };
    const outcome = withClone(live, (clone) => tryOut(clone, live, diff, operations));
    if (!("operation" in outcome)) {
      const inTheWay = kept.filter(({ kind, name }) => outcome.broken.has(`${kind} ${name}`));
      if (inTheWay.length === 0) return { ...choice, ...outcome };
      for (const extra of inTheWay) requireRemoval(extra, outcome.broken.get(`${extra.kind} ${extra.name}`) ?? "");
      continue;
    }
    const { operation, message } = outcome;
    const inTheWay = kept.find(({ kind, name }) => operation.kind === `create-${kind}` && operation.object === name);
    if (inTheWay !== undefined) {
      requireRemoval(inTheWay, message);
      continue;
    }
    const { table } = operation;
    const next = table === undefined ? undefined : METHODS[METHODS.indexOf(methods.get(table) ?? "native") + 1];
    if (table === undefined || next === undefined) {
      // What the last resort stumbled over says less than what stopped the ordinary rebuild.
      const failure = firstFailures.get(table ?? "") ?? outcome;
      return { ...choice, problems: [rehearsalProblem(failure)] };
    }
    if (methods.has(table) && !firstFailures.has(table)) firstFailures.set(table, outcome);
    methods.set(table, next);
  }
}

function tryOut(
  { connection, unclonable }: SchemaClone,
  live: SchemaModel,
  diff: SchemaDiff,
  operations: readonly Operation[],
): RehearsalFailure | Outcome {
  const brokenBefore = findBrokenObjects(connection, live);
  const columnsBefore = viewColumns(connection, live);
  const failure = rehearse(connection, operations);
  if (failure !== undefined) {
    const culprit = unclonable.find(({ name }) => keyOf(name) === keyOf(failure.operation.object));
    return culprit === undefined ? failure : { problems: [missingProblem(culprit)], notes: [], broken: new Map() };
  }
  const after = inspectSchema(connection);
  const rest = compareSchemas(after, diff.wanted);
  if (!isEmptyDiff(rest)) {
    throw new DriverError("INTERNAL", "The planned operations do not lead to the wanted schema.", {
      cause: buildOperations(rest).map(({ object, reason }) => `${object}: ${reason}`),
    });
  }
  const broken = [...findBrokenObjects(connection, after)]
    .filter(([key]) => !brokenBefore.has(key))
    .flatMap(([, one]) => singleOut(connection, one));
  const keysBefore = findBrokenForeignKeys(live);
  const brokenKeys = [...findBrokenForeignKeys(after)].filter(([label]) => !keysBefore.has(label));
  return {
    broken: new Map(broken),
    problems: [
      ...broken.map(([label, why]) => schemaProblem(label, `The ${label} would not work: ${why}.`, BROKEN_HINT)),
      ...brokenKeys.map(([label, why]) =>
        schemaProblem(label, `The foreign key ${label} would not work: ${why}.`, BROKEN_HINT),
      ),
      ...contentlessProblems(diff, operations),
    ],
    notes: [...viewColumns(connection, after)].flatMap(([name, columns]) => {
      const old = columnsBefore.get(name);
      return old === undefined || old === columns
        ? []
        : [`The result of view ${name} changes from (${old}) to (${columns}).`];
    }),
  };
}

/**
 * The broken view, or those among triggers of one event that do not compile alone either, by label. Drops the others on the
 * way, which only a clone can bear.
 */
function singleOut(clone: Connection, { label, message, probe, triggers }: BrokenObject): [string, string][] {
  if (triggers.length < 2) return [[label, message]];
  const culprits = triggers.flatMap((trigger): [string, string][] => {
    const others = triggers.filter((other) => other !== trigger);
    clone.exec(`SAVEPOINT alone; ${others.map(({ name }) => `DROP TRIGGER ${inMain(name)};`).join(" ")}`);
    const error = compileError(clone, probe);
    clone.exec("ROLLBACK TO alone; RELEASE alone");
    return error === undefined ? [] : [[`trigger ${trigger.name}`, error]];
  });
  return culprits.length === 0 ? [[label, message]] : culprits;
}

function viewColumns(connection: Connection, model: SchemaModel): Map<string, string> {
  const columns = new Map<string, string>();
  for (const { name } of model.views.values()) {
    try {
      const statement = connection.prepare(`SELECT * FROM ${inMain(name)}`);
      columns.set(
        name,
        statement
          .columns()
          .map((column) => column.name)
          .join(", "),
      );
    } catch {
      // A broken view has no columns; `findBrokenObjects` tells about it.
    }
  }
  return columns;
}

function rehearsalProblem({ operation, message }: RehearsalFailure): Problem {
  const isLiteral = message.includes("string literal");
  const hint = isLiteral ? "Write the string in the live schema in single quotes." : undefined;
  return schemaProblem(operation.object, `${operation.kind} ${operation.object} does not work: ${message}.`, hint);
}

function missingProblem({ kind, name, message }: Unclonable): Problem {
  const hint = message.includes("string literal")
    ? "Its text holds a string in double quotes, which SQLite accepted when it was written."
    : "Drop it first, or migrate with a program that has what it needs.";
  return schemaProblem(name, `The ${kind} ${name} cannot be made again by this program: ${message}.`, hint);
}

/** A contentless full-text table that triggers of a table fill is tied to its rowids and can never be rebuilt. */
function contentlessProblems(diff: SchemaDiff, operations: readonly Operation[]): Problem[] {
  const contentless = findContentlessTables(diff.live);
  const moved = diff.changedTables.filter(
    (table) =>
      !keepsRowids(table) &&
      operations.some((one) => one.kind === "rebuild-table" && one.table === keyOf(table.to.name)),
  );
  return moved.flatMap(({ to }) =>
    contentless
      .filter((index) =>
        [...diff.live.triggers.values()].some(
          (trigger) =>
            keyOf(trigger.table) === keyOf(to.name) &&
            tokenize(trigger.body).some((token) => keyOf(token.value) === keyOf(index.name)),
        ),
      )
      .map((index) =>
        schemaProblem(
          index.name,
          `The rowids of ${to.name} change and the contentless full-text table ${index.name} cannot follow.`,
          "Keep the primary key, or drop the full-text table and fill it again.",
        ),
      ),
  );
}

/** The live objects that are not wanted and stay, because nobody allowed their removal. */
export function keptObjects(diff: SchemaDiff, allow: ReadonlySet<string>): KeptObject[] {
  const kinds = [
    ["index", diff.indexes.extra],
    ["view", diff.views.extra],
    ["trigger", diff.triggers.extra],
  ] as const;
  return kinds
    .flatMap(([kind, extra]) =>
      extra.map(({ name }): KeptObject => ({ kind, name, id: `drop-${kind}:${keyOf(name)}` })),
    )
    .filter(({ id }) => !allow.has(id));
}
