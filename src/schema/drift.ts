import { compareSchemas } from "./comparator.js";
import { describeChange } from "./diff.js";
import type { SchemaModel } from "./model.js";

/**
 * What `config_cli schema` would change to get from `live` to `wanted`, one line each: `table files: column size is missing`.
 * Empty when the schemas mean the same; objects that `wanted` does not name are nobody's concern.
 */
export function describeDrift(live: SchemaModel, wanted: SchemaModel): string[] {
  const diff = compareSchemas(live, wanted);
  const kinds = [
    ["index", diff.indexes],
    ["view", diff.views],
    ["trigger", diff.triggers],
    ["virtual table", diff.virtualTables],
  ] as const;
  return [
    ...diff.kindConflicts.map(({ name, live: kind }) => `${name} is a ${kind.replace("-", " ")}`),
    ...diff.createdTables.map(({ name }) => `table ${name} is missing`),
    ...diff.changedTables.flatMap(({ from, changes }) =>
      changes.map((change) => `table ${from.name}: ${describeChange(change)}`),
    ),
    ...kinds.flatMap(([kind, { created, changed }]) => [
      ...created.map(({ name }) => `${kind} ${name} is missing`),
      ...changed.map(({ to }) => `${kind} ${to.name} differs`),
    ]),
  ];
}
