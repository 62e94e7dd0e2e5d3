import type { Definition } from "./entities.js";

/** A row of `classes`, `methods` or `functions` that is there, as far as it tells which definition it was. */
export interface StoredEntity {
  readonly id: number;
  readonly name: string;
  readonly line: number;
  /** `class_id` of a method; 0 for the others. */
  readonly classId: number;
}

/** What becomes of the rows of one table when the file's definitions are other ones. */
export interface EntityPlan {
  /** The id of each definition's row, by its index in `ParsedFile.definitions`; unchanged where the entity was there before. */
  readonly ids: ReadonlyMap<number, number>;
  /** Indexes of definitions that need a new row. */
  readonly added: readonly number[];
  /** Definitions whose row stays, in an order in which their lines can be written one after the other. */
  readonly kept: readonly { readonly index: number; readonly id: number }[];
  /** Ids of rows whose definition is gone. */
  readonly vanished: readonly number[];
}

/**
 * Leaves out definitions that another one of the same name on the same line comes before: the tables hold one of them, being
 * unique on name and line. Each index is answered with that of the definition that stands for it.
 */
export function representatives(definitions: readonly Definition[]): number[] {
  const first = new Map<string, number>();
  const result: number[] = [];
  for (const [index, { kind, name, line, classIndex }] of definitions.entries()) {
    const owner = kind === "method" && classIndex !== null ? (result[classIndex] ?? classIndex) : "";
    const key = `${kind} ${owner} ${line} ${name}`;
    const same = first.get(key);
    if (same === undefined) first.set(key, index);
    result.push(same ?? index);
  }
  return result;
}

/**
 * Finds for each definition the row that it had before: in each class (or file) the n-th of a name is the n-th of that name
 * before, whatever lines they are on now. So ids stay, and with them the rows that other services hang on them.
 *
 * @param wanted the definitions of one table with the id of their class (0 for classes and functions), in source order
 * @param nextId the first id that no row has had
 */
export function planEntities(
  wanted: readonly { readonly index: number; readonly name: string; readonly line: number; readonly classId: number }[],
  stored: readonly StoredEntity[],
  nextId: number,
): EntityPlan {
  const ids = new Map<number, number>();
  const added: number[] = [];
  if (stored.length === 0) {
    for (const [offset, { index }] of wanted.entries()) {
      ids.set(index, nextId + offset);
      added.push(index);
    }
    return { ids, added, kept: [], vanished: [] };
  }
  const free = new Map<string, StoredEntity[]>();
  // Popped from the end, so the first line comes last.
  for (const entity of [...stored].sort((a, b) => b.line - a.line)) {
    const key = `${entity.classId} ${entity.name}`;
    const same = free.get(key);
    if (same === undefined) free.set(key, [entity]);
    else same.push(entity);
  }
  const moves: { index: number; id: number; from: number; to: number }[] = [];
  for (const { index, name, line, classId } of [...wanted].sort((a, b) => a.line - b.line)) {
    const before = free.get(`${classId} ${name}`)?.pop();
    if (before === undefined) {
      ids.set(index, nextId + added.length);
      added.push(index);
    } else {
      ids.set(index, before.id);
      moves.push({ index, id: before.id, from: before.line, to: line });
    }
  }
  const vanished = [...free.values()].flat().map(({ id }) => id);
  return { ids, added, kept: inMovableOrder(moves), vanished };
}

/**
 * Two rows of one name must never be on one line, not even between two UPDATEs. Pairs keep their order, so it is enough to move
 * those that go down the file from the last to the first, and then those that go up from the first to the last.
 */
function inMovableOrder<T extends { from: number; to: number }>(moves: T[]): T[] {
  const down = moves.filter(({ from, to }) => to > from).sort((a, b) => b.from - a.from);
  const up = moves.filter(({ from, to }) => to <= from).sort((a, b) => a.from - b.from);
  return [...down, ...up];
}
