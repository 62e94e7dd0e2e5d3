import type { Connection } from "../sqlite/connection.js";
import { type BoundValue, createRowInserter } from "../sqlite/row-inserter.js";
import type { Definition } from "./entities.js";
import { type EntityPlan, planEntities, representatives, type StoredEntity } from "./entity-rows.js";

/** Where the definitions of a file are stored. */
export interface StoredDefinitions {
  /** The id of each definition's row, in the table of its kind; several on one line can share a row. */
  readonly ids: Float64Array;
  /** Number of rows. */
  readonly counts: Readonly<Record<Definition["kind"], number>>;
}

/** The rows of `classes`, `methods` and `functions`. */
export interface DefinitionStore {
  /**
   * Brings the rows of a file to these definitions. Rows of definitions that are still there keep their ids, and with them
   * what other services hang on them.
   *
   * @param isNew true when the file has no rows yet
   */
  write(fileId: number, isNew: boolean, definitions: readonly Definition[]): StoredDefinitions;
}

const ENTITY_TABLES = { class: "classes", method: "methods", function: "functions" } as const;

/** Prepares the statements for `connection`. */
export function createDefinitionStore(connection: Connection): DefinitionStore {
  const insertClasses = createRowInserter(connection, "classes", [
    ...["id", "file_id", "name", "line", "end_line", "docstring", "bases"],
  ]);
  const insertMethods = createRowInserter(connection, "methods", [
    ...["id", "class_id", "name", "line", "end_line", "args", "docstring"],
    ...["is_abstract", "has_pass", "has_not_implemented", "complexity"],
  ]);
  const insertFunctions = createRowInserter(connection, "functions", [
    ...["id", "file_id", "name", "line", "end_line", "args", "docstring", "complexity"],
  ]);
  const selectEntities = {
    class: connection.prepare<[number], StoredEntity>(
      "SELECT id, name, line, 0 AS classId FROM main.classes WHERE file_id = ?",
    ),
    method: connection.prepare<[number], StoredEntity>(
      `SELECT m.id, m.name, m.line, m.class_id AS classId FROM main.classes c JOIN main.methods m ON m.class_id = c.id
       WHERE c.file_id = ?`,
    ),
    function: connection.prepare<[number], StoredEntity>(
      "SELECT id, name, line, 0 AS classId FROM main.functions WHERE file_id = ?",
    ),
  };
  const deleteEntity = {
    class: connection.prepare<[number]>("DELETE FROM main.classes WHERE id = ?"),
    method: connection.prepare<[number]>("DELETE FROM main.methods WHERE id = ?"),
    function: connection.prepare<[number]>("DELETE FROM main.functions WHERE id = ?"),
  };
  const updateClass = connection.prepare<BoundValue[]>(
    "UPDATE main.classes SET line = ?, end_line = ?, docstring = ?, bases = ? WHERE id = ?",
  );
  const updateMethod = connection.prepare<BoundValue[]>(
    `UPDATE main.methods SET line = ?, end_line = ?, args = ?, docstring = ?, is_abstract = ?, has_pass = ?,
       has_not_implemented = ?, complexity = ? WHERE id = ?`,
  );
  const updateFunction = connection.prepare<BoundValue[]>(
    "UPDATE main.functions SET line = ?, end_line = ?, args = ?, docstring = ?, complexity = ? WHERE id = ?",
  );
  // AUTOINCREMENT never gives an id twice; the ids given here must not either.
  const nextId = new Map(
    Object.values(ENTITY_TABLES).map((table) => [
      table,
      connection
        .prepare<[], number>(
          `SELECT 1 + max(coalesce((SELECT max(id) FROM main.${table}), 0),
             coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = '${table}'), 0))`,
        )
        .pluck(),
    ]),
  );

  /** Brings one table to the wanted definitions; what is gone goes first, so that nothing stands in the way on its line. */
  function writeEntities(
    kind: Definition["kind"],
    fileId: number,
    isNew: boolean,
    definitions: readonly Definition[],
    wanted: Parameters<typeof planEntities>[0],
  ): EntityPlan {
    const stored = isNew ? [] : selectEntities[kind].all(fileId);
    if (wanted.length === 0 && stored.length === 0) return { ids: new Map(), added: [], kept: [], vanished: [] };
    const plan = planEntities(wanted, stored, nextId.get(ENTITY_TABLES[kind])?.get() ?? 1);
    for (const id of plan.vanished) deleteEntity[kind].run(id);
    const classOf = new Map(wanted.map(({ index, classId }) => [index, classId]));
    for (const { index, id } of plan.kept) {
      const definition = definitions[index];
      if (definition === undefined) continue;
      if (kind === "class") updateClass.run(...classValues(definition), id);
      else if (kind === "method") updateMethod.run(...methodValues(definition), id);
      else updateFunction.run(...functionValues(definition), id);
    }
    const rows: BoundValue[] = [];
    for (const index of plan.added) {
      const definition = definitions[index];
      const id = plan.ids.get(index);
      if (definition === undefined || id === undefined) continue;
      if (kind === "class") rows.push(id, fileId, definition.name, ...classValues(definition));
      else if (kind === "method") rows.push(id, classOf.get(index) ?? 0, definition.name, ...methodValues(definition));
      else rows.push(id, fileId, definition.name, ...functionValues(definition));
    }
    const inserter = { class: insertClasses, method: insertMethods, function: insertFunctions }[kind];
    inserter.insert(rows);
    return plan;
  }

  function write(fileId: number, isNew: boolean, definitions: readonly Definition[]): StoredDefinitions {
    const standsFor = representatives(definitions);
    const ids = new Float64Array(definitions.length);
    const counts = { class: 0, method: 0, function: 0 };
    for (const kind of ["class", "method", "function"] as const) {
      const wanted = [];
      for (const [index, definition] of definitions.entries()) {
        if (definition.kind !== kind || standsFor[index] !== index) continue;
        const classId = definition.classIndex === null ? 0 : (ids[definition.classIndex] ?? 0);
        wanted.push({ index, name: definition.name, line: definition.line, classId });
      }
      counts[kind] = wanted.length;
      const plan = writeEntities(kind, fileId, isNew, definitions, wanted);
      for (const [index, definition] of definitions.entries()) {
        if (definition.kind === kind) ids[index] = plan.ids.get(standsFor[index] ?? index) ?? 0;
      }
    }
    return { ids, counts };
  }

  return { write };
}

function classValues({ line, endLine, docstring, bases }: Definition): BoundValue[] {
  return [line, endLine, docstring, JSON.stringify(bases)];
}

function functionValues({ line, endLine, parameters, docstring, complexity }: Definition): BoundValue[] {
  return [line, endLine, JSON.stringify(parameters), docstring, complexity];
}

function methodValues(definition: Definition): BoundValue[] {
  const { line, endLine, parameters, docstring, isAbstract, hasPass, hasNotImplemented, complexity } = definition;
  const flags = [isAbstract, hasPass, hasNotImplemented].map(Number);
  return [line, endLine, JSON.stringify(parameters), docstring, ...flags, complexity];
}
