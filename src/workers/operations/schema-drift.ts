import { create } from "@bufbuild/protobuf";
import {
  DriftKind,
  type SchemaDrift,
  SchemaDriftSchema,
  SchemaObjectKind,
} from "../../../gen/code_analysis/driver/v1/schema_pb.js";
import { describeChange, type ObjectDiff, type SchemaDiff, type TableChange } from "../../schema/diff.js";

/** What `config_cli schema` does about an object that is replaced whole. */
const REMEDIES: Readonly<Partial<Record<DriftKind, string>>> = {
  [DriftKind.MISSING]: "create it",
  [DriftKind.DIFFERENT]: "drop it and create it as wanted",
};

interface Named {
  readonly name: string;
}

/**
 * A difference as messages, in the order in which people read a schema: tables, then what hangs on them. Objects that nobody
 * wants stay as they are and are no difference.
 */
export function schemaDriftMessages(diff: SchemaDiff): SchemaDrift[] {
  return [
    ...diff.kindConflicts.map(({ name, live }) =>
      drift(name, SchemaObjectKind.TABLE, name, DriftKind.DIFFERENT, `${name} is a ${live.replace("-", " ")}`),
    ),
    ...diff.createdTables.map(({ name }) =>
      drift(name, SchemaObjectKind.TABLE, name, DriftKind.MISSING, `table ${name} is missing`),
    ),
    ...diff.changedTables.flatMap(({ from, changes }) => changes.map((change) => tableDrift(from.name, change))),
    ...objectDrift(diff.virtualTables, SchemaObjectKind.TABLE, "virtual table", ({ name }) => name),
    ...objectDrift(diff.indexes, SchemaObjectKind.INDEX, "index", ({ table }) => table),
    ...objectDrift(diff.views, SchemaObjectKind.VIEW, "view", ({ name }) => name),
    ...objectDrift(diff.triggers, SchemaObjectKind.TRIGGER, "trigger", ({ table }) => table),
  ];
}

function tableDrift(table: string, change: TableChange): SchemaDrift {
  const description = describeChange(change);
  const column = (name: string, kind: DriftKind, remedy: string) =>
    drift(table, SchemaObjectKind.COLUMN, name, kind, description, remedy);
  switch (change.kind) {
    case "add-column":
      return column(change.column.name, DriftKind.MISSING, "add the column");
    case "drop-column":
      return column(change.column.name, DriftKind.UNEXPECTED, "drop the column, if that is allowed by name");
    case "change-column":
      return column(change.to.name, DriftKind.DIFFERENT, "alter the column, or rebuild the table where SQLite cannot");
    case "add-check":
    case "drop-check": {
      const kind = change.kind === "add-check" ? DriftKind.MISSING : DriftKind.UNEXPECTED;
      const remedy = "change the constraint, or rebuild the table where SQLite cannot";
      return drift(table, SchemaObjectKind.TABLE, change.check.name ?? table, kind, description, remedy);
    }
    default:
      return drift(table, SchemaObjectKind.TABLE, table, DriftKind.DIFFERENT, description, "rebuild the table");
  }
}

function objectDrift<T extends Named>(
  { created, changed }: ObjectDiff<T>,
  objectKind: SchemaObjectKind,
  word: string,
  tableOf: (object: T) => string,
): SchemaDrift[] {
  const all: (readonly [DriftKind, string, readonly T[]])[] = [
    [DriftKind.MISSING, "is missing", created],
    [DriftKind.DIFFERENT, "differs", changed.map(({ to }) => to)],
  ];
  return all.flatMap(([kind, what, objects]) =>
    objects.map((object) => drift(tableOf(object), objectKind, object.name, kind, `${word} ${object.name} ${what}`)),
  );
}

function drift(
  table: string,
  objectKind: SchemaObjectKind,
  object: string,
  kind: DriftKind,
  description: string,
  remedy = REMEDIES[kind] ?? "",
): SchemaDrift {
  return create(SchemaDriftSchema, { table, objectKind, object, kind, description, remedy });
}
