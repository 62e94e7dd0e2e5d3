import type { Connection } from "../sqlite/connection.js";
import { type BoundValue, createRowInserter } from "../sqlite/row-inserter.js";
import type { DefinitionKind } from "./entities.js";
import { familyOf } from "./languages/registry.js";
import {
  commonDirectories,
  couldBeInOrigin,
  rankInOrigin,
  scopeOfOrigin,
  sharesPackage,
  splitOrigins,
} from "./module-path.js";
import type { FileChange } from "./store.js";
import type { NamedDefinition } from "./stored-file.js";

/**
 * Edges from one file to another (`entity_cross_ref`). Those within a file are stored with it; these depend on what the whole
 * project defines, and converge: after any sequence of changes they are those of a clean index, because what a use resolves to
 * is a function of the use and of the definitions of its name in the project, and every use of a name whose definitions
 * changed is resolved again.
 *
 * A use of a name that its file does not define resolves, among the definitions in languages of its own family, to
 * 1. the definition in the module it is imported from; of several files that fit, the nearest to the use, then the first by
 *    path; in a package, whichever one file of it defines the name;
 * 2. else the only definition of that name and sort in the project, provided that an import, if there is one, does not point
 *    elsewhere;
 * 3. else nothing.
 * Several definitions of one name in one class or file count as one, the first by line.
 */
export interface EdgeResolver {
  /**
   * Brings the edges of a project up to date after these files changed. May be called once for one file or once for many; all
   * of them must have been written before. Runs inside the caller's transaction.
   *
   * @returns how many edges were written
   */
  resolve(projectId: string, changes: readonly FileChange[]): number;
  /** Makes all edges between files of a project anew; `resolve` does so when a large part of the files changed. */
  resolveAll(projectId: string): number;
}

/** What a use may mean when nothing but its spelling says so: `external_uses.target_type`. */
type TargetType = DefinitionKind | "base";

/** A use of a name that its file does not define. */
interface Use {
  readonly fileId: number;
  /** With `fileId` the key of its row. */
  readonly number: number;
  readonly path: string;
  readonly language: string | null;
  readonly line: number;
  readonly targetType: TargetType;
  readonly callerType: DefinitionKind;
  readonly callerId: number;
  readonly name: string;
  readonly origin: string | null;
  /** The edge that it has; null without one. */
  readonly edgeId: number | null;
  /** What the edge leads to; null without one. */
  readonly calleeType: DefinitionKind | null;
  readonly calleeId: number | null;
}

/** A definition that other files can name. */
interface Candidate {
  readonly type: DefinitionKind;
  readonly id: number;
  readonly fileId: number;
  readonly path: string;
  readonly language: string | null;
  readonly scope: string;
  readonly line: number;
}

/** A name as the languages of one family know it. */
interface FamilyName {
  readonly name: string;
  readonly family: string;
}

/** The definitions of one name that appeared in one file or vanished from it. */
interface NameChange extends FamilyName {
  readonly fileId: number;
  readonly path: string;
  readonly definitions: NamedDefinition[];
}

/** The definitions that a use without an import may mean, as a condition on `symbols`. */
const CONDITION_OF_TARGET: Readonly<Record<TargetType, string>> = {
  function: "s.scope = '' AND s.entity_type IN ('function', 'class')",
  class: "s.scope = '' AND s.entity_type = 'class'",
  base: "s.scope = '' AND s.entity_type = 'class'",
  method: "s.scope > '' AND s.entity_type IN ('method', 'function')",
};

const TARGET_TYPES: readonly TargetType[] = ["function", "class", "method", "base"];

/** Above this share of changed files it is faster to make all edges anew than to look for those that a change concerns. */
const SHARE_FOR_ALL = 1 / 4;

/** Another program may have deleted an entity that rows of ours still name. */
const ENTITY_EXISTS = (type: string, id: string): string => `CASE ${type}
  WHEN 'class' THEN EXISTS (SELECT 1 FROM main.classes WHERE id = ${id})
  WHEN 'method' THEN EXISTS (SELECT 1 FROM main.methods WHERE id = ${id})
  ELSE EXISTS (SELECT 1 FROM main.functions WHERE id = ${id}) END`;

const CANDIDATES = `SELECT s.entity_type AS type, s.entity_id AS id, s.file_id AS fileId,
    coalesce(f.relative_path, f.path) AS path, i.language, s.scope, s.line
  FROM main.symbols s JOIN main.files f ON f.id = s.file_id JOIN main.indexed_files i ON i.file_id = s.file_id
  WHERE s.project_id = ? AND s.name = ? AND ${ENTITY_EXISTS("s.entity_type", "s.entity_id")}`;

/**
 * An edge that is gone went with its callee. The file is compared because an id can come back when somebody empties
 * `sqlite_sequence`.
 */
const USES = `SELECT u.file_id AS fileId, u.number, coalesce(f.relative_path, f.path) AS path, i.language, u.line,
    u.target_type AS targetType, u.caller_type AS callerType, u.caller_id AS callerId, u.name, u.origin, e.id AS edgeId,
    CASE WHEN e.callee_class_id IS NOT NULL THEN 'class' WHEN e.callee_method_id IS NOT NULL THEN 'method'
      WHEN e.callee_function_id IS NOT NULL THEN 'function' END AS calleeType,
    coalesce(e.callee_class_id, e.callee_method_id, e.callee_function_id) AS calleeId
  FROM main.external_uses u JOIN main.files f ON f.id = u.file_id JOIN main.indexed_files i ON i.file_id = u.file_id
    LEFT JOIN main.entity_cross_ref e ON e.id = u.edge_id AND e.file_id = u.file_id
  WHERE ${ENTITY_EXISTS("u.caller_type", "u.caller_id")}`;

/**
 * Prepares all statements for `connection`.
 *
 * @param onStep told before the edges of each file, and of each name of other files, are written
 */
export function createEdgeResolver(connection: Connection, onStep: () => void = () => undefined): EdgeResolver {
  const usesOfFile = connection.prepare<{ fileId: number }, Use>(`${USES} AND u.file_id = @fileId`);
  const usesOfName = connection.prepare<{ projectId: string; name: string }, Use>(
    `${USES} AND u.name = @name AND f.project_id = @projectId`,
  );
  const importedUsesOfName = connection.prepare<{ projectId: string; name: string }, Use>(
    `${USES} AND u.name = @name AND u.origin >= '' AND f.project_id = @projectId`,
  );
  const filesOfProject = connection
    .prepare<[string], number>("SELECT id FROM main.files WHERE project_id = ? ORDER BY id")
    .pluck();
  const candidatesInScopes = connection.prepare<[string, string, string], Candidate>(
    `${CANDIDATES} AND s.scope IN ('', ?)`,
  );
  const candidatesOfTarget = new Map(
    TARGET_TYPES.map((type) => [
      type,
      connection.prepare<[string, string], Candidate>(`${CANDIDATES} AND ${CONDITION_OF_TARGET[type]}`),
    ]),
  );
  const countFiles = connection
    .prepare<[string], number>("SELECT count(*) FROM main.files WHERE project_id = ?")
    .pluck();
  const insertEdges = createRowInserter(connection, "entity_cross_ref", [
    ...["id", "caller_class_id", "caller_method_id", "caller_function_id"],
    ...["callee_class_id", "callee_method_id", "callee_function_id"],
    ...["ref_type", "file_id", "line"],
  ]);
  // AUTOINCREMENT never gives an id twice; the ids given here must not either.
  const nextEdgeId = connection
    .prepare<[], number>(
      `SELECT 1 + max(coalesce((SELECT max(id) FROM main.entity_cross_ref), 0),
         coalesce((SELECT seq FROM main.sqlite_sequence WHERE name = 'entity_cross_ref'), 0))`,
    )
    .pluck();
  const setEdge = connection.prepare<[number | null, number, number]>(
    "UPDATE main.external_uses SET edge_id = ? WHERE file_id = ? AND number = ?",
  );
  const deleteEdge = connection.prepare<[number]>("DELETE FROM main.entity_cross_ref WHERE id = ?");

  /** The only definition that a use of this sort can mean, not counting those in `exceptFileId`; with a second one, `many`. */
  function onlyDefinition(
    projectId: string,
    { name, family }: FamilyName,
    type: TargetType,
    exceptFileId?: number,
  ): Candidate | "many" | null {
    let only: Candidate | null = null;
    for (const candidate of candidatesOfTarget.get(type)?.iterate(projectId, name) ?? []) {
      if (candidate.fileId === exceptFileId || familyOf(candidate.language) !== family) continue;
      if (only === null) only = candidate;
      else if (!isSameEntity(only, candidate)) return "many";
      else if (candidate.line < only.line) only = candidate;
    }
    return only;
  }

  /** Resolves uses, remembering what many of them have in common. */
  function createLookup(projectId: string): (use: Use) => Candidate | null {
    const unique = new Map<string, Candidate | null>();
    const imported = new Map<string, Candidate | null>();
    const findUnique = ({ name, language, targetType: type }: Use): Candidate | null => {
      const family = familyOf(language);
      const key = `${family} ${type} ${name}`;
      let found = unique.get(key);
      if (found === undefined) {
        const only = onlyDefinition(projectId, { name, family }, type);
        found = only === "many" ? null : only;
        unique.set(key, found);
      }
      return found;
    };
    const findIn = (origin: string, use: Use): Candidate | null => {
      const family = familyOf(use.language);
      const candidates = candidatesInScopes
        .all(projectId, use.name, scopeOfOrigin(origin))
        .filter(
          ({ type, language }) => familyOf(language) === family && (use.targetType !== "base" || type === "class"),
        );
      return bestInOrigin(candidates, origin, use.path);
    };
    const findImported = (use: Use, origins: readonly string[]): Candidate | null => {
      for (const origin of origins) {
        const found = findIn(origin, use);
        if (found !== null) return found;
      }
      const only = findUnique(use);
      return only !== null && origins.some((origin) => sharesPackage(only.path, origin)) ? only : null;
    };
    return (use) => {
      if (use.origin === null) return findUnique(use);
      const directory = use.path.slice(0, use.path.lastIndexOf("/") + 1);
      const key = `${familyOf(use.language)} ${use.targetType} ${use.name} ${use.origin} ${directory}`;
      let found = imported.get(key);
      if (found === undefined) {
        found = findImported(use, splitOrigins(use.origin));
        imported.set(key, found);
      }
      return found;
    };
  }

  /** Makes the edges of `uses` what they should be, writing only those that are not; answers how many it wrote. */
  function connect(uses: readonly Use[], lookup: (use: Use) => Candidate | null): number {
    onStep();
    const edges: BoundValue[] = [];
    let written = 0;
    let nextId: number | undefined;
    for (const use of uses) {
      const callee = lookup(use);
      if (use.calleeType === (callee?.type ?? null) && use.calleeId === (callee?.id ?? null)) continue;
      if (use.edgeId !== null) deleteEdge.run(use.edgeId);
      const id = callee === null ? null : (nextId ?? nextEdgeId.get() ?? 1);
      setEdge.run(id, use.fileId, use.number);
      if (callee === null || id === null) continue;
      edges.push(id, ...edgeValues(use, callee));
      nextId = id + 1;
      written++;
    }
    insertEdges.insert(edges);
    return written;
  }

  /** The uses of a name in its family. */
  function usesOf(statement: typeof usesOfName, projectId: string, { name, family }: FamilyName): Use[] {
    return statement.all({ projectId, name }).filter(({ language }) => familyOf(language) === family);
  }

  /** The uses that a change of some definitions of a name, all in one file, can concern. */
  function usesConcerned(projectId: string, change: NameChange): Use[] {
    const { fileId, path, definitions } = change;
    // Where other files have two or more definitions, there was no only one before, nor is there now.
    const decisive = TARGET_TYPES.filter(
      (type) =>
        definitions.some((definition) => canMean(type, definition)) &&
        onlyDefinition(projectId, change, type, fileId) !== "many",
    );
    const uses = usesOf(decisive.length > 0 ? usesOfName : importedUsesOfName, projectId, change);
    return uses.filter(
      ({ targetType, origin }) =>
        decisive.includes(targetType) || splitOrigins(origin ?? "").some((one) => couldBeInOrigin(path, one)),
    );
  }

  function resolveAll(projectId: string): number {
    const lookup = createLookup(projectId);
    let written = 0;
    for (const fileId of filesOfProject.all(projectId)) written += connect(usesOfFile.all({ fileId }), lookup);
    return written;
  }

  return {
    resolveAll,
    resolve(projectId, changes) {
      if (changes.length > 1 && changes.length > (countFiles.get(projectId) ?? 0) * SHARE_FOR_ALL) {
        return resolveAll(projectId);
      }
      const lookup = createLookup(projectId);
      let written = 0;
      const changed = new Set(changes.map(({ fileId }) => fileId));
      for (const [first, ...others] of changesByName(changes)) {
        // Two changed files: how many definitions there were before cannot be told from one of them.
        const uses = others.length === 0 ? usesConcerned(projectId, first) : usesOf(usesOfName, projectId, first);
        written += connect(
          uses.filter(({ fileId }) => !changed.has(fileId)),
          lookup,
        );
      }
      for (const fileId of changed) written += connect(usesOfFile.all({ fileId }), lookup);
      return written;
    },
  };
}

/** `CONDITION_OF_TARGET` for one definition. */
function canMean(target: TargetType, { type, scope }: NamedDefinition): boolean {
  if (target === "method") return scope !== "" && type !== "class";
  return scope === "" && (type === "class" || (target === "function" && type === "function"));
}

/** The changes of each name in each family, one for each file. */
function changesByName(changes: readonly FileChange[]): Iterable<[NameChange, ...NameChange[]]> {
  const byName = new Map<string, [NameChange, ...NameChange[]]>();
  for (const { fileId, relativePath: path, changed } of changes) {
    for (const definition of changed) {
      const { name, family } = definition;
      const key = `${family} ${name}`;
      const ofName = byName.get(key);
      const last = ofName?.at(-1);
      const change = { name, family, fileId, path, definitions: [definition] };
      if (ofName === undefined) byName.set(key, [change]);
      else if (last?.fileId === fileId) last.definitions.push(definition);
      else ofName.push(change);
    }
  }
  return byName.values();
}

function isSameEntity(a: Candidate, b: Candidate): boolean {
  return a.fileId === b.fileId && a.scope === b.scope && a.type === b.type;
}

/** The definition that an import means; null where none fits, or several files of a package do. */
function bestInOrigin(candidates: readonly Candidate[], origin: string, importerPath: string): Candidate | null {
  const fitting = candidates
    .map((candidate) => ({ candidate, rank: rankInOrigin(candidate.path, candidate.scope, origin) }))
    .filter(({ rank }) => rank > 0);
  const rank = fitting.some((fit) => fit.rank === 2) ? 2 : 1;
  const best = fitting
    .filter((fit) => fit.rank === rank)
    .map(({ candidate }) => ({ candidate, nearness: commonDirectories(candidate.path, importerPath) }))
    .sort((a, b) => b.nearness - a.nearness || comparePlaces(a.candidate, b.candidate))
    .map(({ candidate }) => candidate);
  const first = best[0];
  if (first === undefined) return null;
  return rank === 2 || best.every((candidate) => isSameEntity(first, candidate)) ? first : null;
}

/** By path, then entity; lines only order definitions of one entity, so that moving text within a file changes no edge. */
function comparePlaces(a: Candidate, b: Candidate): number {
  if (a.path !== b.path) return a.path < b.path ? -1 : 1;
  if (a.scope !== b.scope) return a.scope < b.scope ? -1 : 1;
  if (a.type !== b.type) return a.type < b.type ? -1 : 1;
  return a.line - b.line;
}

/** The columns of an edge without its id. */
function edgeValues(use: Use, callee: Candidate): BoundValue[] {
  const { callerType: from, callerId } = use;
  const type = use.targetType === "base" ? "inherit" : callee.type === "class" ? "instantiation" : "call";
  return [
    ...[from === "class" ? callerId : null, from === "method" ? callerId : null, from === "function" ? callerId : null],
    ...[callee.type === "class" ? callee.id : null, callee.type === "method" ? callee.id : null],
    ...[callee.type === "function" ? callee.id : null, type, use.fileId, use.line],
  ];
}
