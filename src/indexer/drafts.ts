import type { Definition, DefinitionKind } from "./entities.js";

/** A definition that is still being filled. */
export interface Draft extends Definition {
  kind: DefinitionKind;
  name: string;
  line: number;
  endLine: number;
  start: number;
  end: number;
  docstring: string | null;
  classIndex: number | null;
  bases: string[];
  parameters: string[];
  variables: string[];
  complexity: number;
  isAbstract: boolean;
  hasPass: boolean;
  hasNotImplemented: boolean;
}

/**
 * The definitions without the nameless ones that a broken source can leave, a class before its methods; with the new index of
 * each old one, or null where nothing moved.
 */
export function arrangeDrafts(drafts: readonly Draft[]): {
  definitions: Definition[];
  indexOf: (number | null)[] | null;
} {
  const isInOrder = drafts.every(({ name, classIndex }, index) => name !== "" && (classIndex ?? -1) < index);
  if (isInOrder) return { definitions: [...drafts], indexOf: null };
  const named = drafts.map((draft, index) => ({ draft, index })).filter(({ draft }) => draft.name !== "");
  const isMisplaced = named.some(({ draft, index }) => (draft.classIndex ?? -1) >= index);
  // Stable: both halves keep the order of the source.
  if (isMisplaced) named.sort((a, b) => Number(b.draft.kind === "class") - Number(a.draft.kind === "class"));
  const indexOf: (number | null)[] = drafts.map(() => null);
  named.forEach(({ index }, position) => {
    indexOf[index] = position;
  });
  const definitions = named.map(({ draft }) => {
    if (draft.classIndex === null) return draft;
    const classIndex = indexOf[draft.classIndex] ?? null;
    return { ...draft, classIndex, kind: classIndex === null ? ("function" as const) : draft.kind };
  });
  return { definitions, indexOf };
}
