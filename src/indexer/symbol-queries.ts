import { DriverError } from "../errors.js";
import type { Connection, Statement } from "../sqlite/connection.js";
import type { DefinitionKind } from "./entities.js";
import { decodePageToken, encodePageToken } from "./page-token.js";
import type { EntityKind } from "./search.js";

/** Names one row of `files`, `classes`, `methods` or `functions`. */
export interface EntityRef {
  readonly kind: EntityKind;
  readonly id: number;
}

/** A file or a definition in it. */
export interface Entity extends EntityRef {
  /** For a file its path. */
  readonly name: string;
  /** The class of a method; null for the others. */
  readonly className: string | null;
  readonly projectId: string;
  readonly relativePath: string;
  readonly line: number;
  readonly endLine: number;
  /** Empty for a class or a file. */
  readonly parameters: readonly string[];
  /** As spelled in the source; empty for all but classes. */
  readonly bases: readonly string[];
  readonly docstring: string | null;
  /** 0 for a class or a file. */
  readonly complexity: number;
  readonly language: string | null;
}

export type ReferenceType = "call" | "instantiation" | "inherit";

/** A place that refers to an entity. */
export interface Reference {
  readonly type: ReferenceType;
  /** The innermost entity around the place. */
  readonly from: Entity;
  readonly relativePath: string;
  readonly line: number;
}

/** An entity at the other end of calls. */
export interface CallEdge {
  readonly entity: Entity;
  readonly type: "call" | "instantiation";
  /** Of the calls, in the file of the caller, ascending. */
  readonly lines: readonly number[];
}

/** A class above or below another one. */
export interface ClassRelation {
  readonly entity: Entity;
  /** Steps from the class that was asked for, the shortest way. */
  readonly distance: number;
  /** The class one step nearer. */
  readonly viaClassId: number;
}

/** One edge of the class graph each, nearest first: a class with two ways to it occurs twice. */
export interface ClassHierarchy {
  readonly entity: Entity;
  readonly ancestors: readonly ClassRelation[];
  readonly descendants: readonly ClassRelation[];
  /** True when a limit left something out. */
  readonly isTruncated: boolean;
}

export interface ImportRow {
  readonly name: string;
  readonly module: string | null;
  readonly type: "import" | "import_from";
  readonly line: number;
}

export interface FileEntities {
  readonly file: Entity;
  /** By line. */
  readonly entities: readonly Entity[];
  /** By line. */
  readonly imports: readonly ImportRow[];
}

/** Which page of an answer. */
export interface PageRequest {
  /** At least 1. */
  readonly pageSize: number;
  /** Of the page before; empty: the first page. A foreign one throws `INVALID_REQUEST`. */
  readonly pageToken: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Empty on the last page. */
  readonly nextPageToken: string;
}

export interface DefinitionRequest extends PageRequest {
  /** Exact: `save`, or with its class `Account.save`. */
  readonly name: string;
  /** Only this project; null: all. */
  readonly projectId: string | null;
  /** Only these kinds; empty: all definitions. */
  readonly kinds: readonly DefinitionKind[];
  /** Only files whose path from the root directory begins so; empty: all. */
  readonly pathPrefix: string;
}

/** What services ask a code index, through one read connection. */
export interface SymbolQueries {
  /** The definitions of a name by path and line; none when it is not in the index. */
  findDefinitions(request: DefinitionRequest): Page<Entity>;
  /** The places that refer to an entity by path and line. @throws DriverError `ENTITY_NOT_FOUND` */
  findReferences(entity: EntityRef, page: PageRequest): Page<Reference>;
  /** Those that call or instantiate an entity, by path and line. @throws DriverError `ENTITY_NOT_FOUND` */
  listCallers(entity: EntityRef, page: PageRequest): Page<CallEdge>;
  /** Those that an entity calls or instantiates, by path and line. @throws DriverError `ENTITY_NOT_FOUND` */
  listCallees(entity: EntityRef, page: PageRequest): Page<CallEdge>;
  /** The classes above and below a class. @throws DriverError `ENTITY_NOT_FOUND` when it is not there or no class */
  classHierarchy(classId: number, maxDepth: number): ClassHierarchy;
  /** What a file defines and imports; `path` is absolute or from the root. @throws DriverError `FILE_NOT_FOUND` */
  fileEntities(projectId: string, path: string): FileEntities;
}

/** The most relations of `classHierarchy`, in both directions together. */
const MAX_RELATIONS = 10_000;

interface EntityRow extends Omit<Entity, "parameters" | "bases"> {
  readonly symbolId: number;
  readonly parameters: string | null;
  readonly bases: string | null;
}

/** A JSON list of names; another program may have stored something else. */
const LIST = (column: string): string => `CASE WHEN json_valid(${column}) THEN ${column} END`;

/** Everything about the entity of a row of `symbols s`. */
const ENTITY_COLUMNS = `s.id AS symbolId, s.entity_type AS kind, s.entity_id AS id,
  coalesce(c.name, m.name, u.name, s.name) AS name, mc.name AS className, s.project_id AS projectId,
  f.relative_path AS relativePath, s.line, s.end_line AS endLine, ${LIST("coalesce(m.args, u.args)")} AS parameters, ${LIST("c.bases")} AS bases,
  coalesce(c.docstring, m.docstring, u.docstring, t.docstring) AS docstring,
  coalesce(m.complexity, u.complexity, 0) AS complexity, i.language`;

const ENTITY_JOINS = `JOIN main.files f ON f.id = s.file_id LEFT JOIN main.indexed_files i ON i.file_id = s.file_id
  LEFT JOIN main.classes c ON s.entity_type = 'class' AND c.id = s.entity_id
  LEFT JOIN main.methods m ON s.entity_type = 'method' AND m.id = s.entity_id
  LEFT JOIN main.classes mc ON mc.id = m.class_id
  LEFT JOIN main.functions u ON s.entity_type = 'function' AND u.id = s.entity_id
  LEFT JOIN main.code_content t ON s.entity_type = 'file' AND t.id = s.id`;

/** The row of `symbols` of an entity: `code_content` has the index over type and id, and the same ids. */
const SYMBOL_OF = (type: string, id: string): string =>
  `JOIN main.code_content x ON x.entity_type = ${type} AND x.entity_id = ${id} JOIN main.symbols s ON s.id = x.id`;

const TYPE_OF_END = (side: string): string =>
  `CASE WHEN ${side}_class_id IS NOT NULL THEN 'class' WHEN ${side}_method_id IS NOT NULL THEN 'method' ELSE 'function' END`;

const ID_OF_END = (side: string): string => `coalesce(${side}_class_id, ${side}_method_id, ${side}_function_id)`;

const DEFINITION_KINDS: readonly DefinitionKind[] = ["class", "method", "function"];

/** Prepares statements for `connection`, which may be read-only. */
export function createSymbolQueries(connection: Connection): SymbolQueries {
  const findEntity = connection.prepare<[string, number], EntityRow>(
    `SELECT ${ENTITY_COLUMNS} FROM (SELECT ? AS type, ? AS id) r ${SYMBOL_OF("r.type", "r.id")} ${ENTITY_JOINS}`,
  );
  const findDefinitions = connection.prepare<Record<string, string | number | null>, EntityRow>(
    `SELECT ${ENTITY_COLUMNS} FROM main.symbols s ${ENTITY_JOINS}
     WHERE s.project_id IN (SELECT id FROM main.projects WHERE @projectId IS NULL OR id = @projectId) AND s.name = @name
       AND (@className IS NULL OR coalesce(mc.name, s.scope) = @className)
       AND s.entity_type IN (SELECT value FROM json_each(@kinds))
       AND substr(f.relative_path, 1, length(@pathPrefix)) = @pathPrefix
       AND (s.project_id, f.relative_path, s.line, s.id) > (@lastProject, @path, @line, @lastId)
     ORDER BY s.project_id, f.relative_path, s.line, s.id LIMIT @limit`,
  );
  type ReferenceRow = EntityRow & { readonly type: ReferenceType; readonly place: number; readonly edgeId: number };
  const references = perKind((kind) =>
    connection.prepare<Record<string, string | number>, ReferenceRow>(
      `SELECT ${ENTITY_COLUMNS}, e.ref_type AS type, e.line AS place, e.id AS edgeId FROM main.entity_cross_ref e
       ${SYMBOL_OF(TYPE_OF_END("e.caller"), ID_OF_END("e.caller"))} ${ENTITY_JOINS}
       WHERE e.callee_${kind}_id = @id AND (f.relative_path, e.line, e.id) > (@path, @line, @lastId)
       ORDER BY f.relative_path, e.line, e.id LIMIT @limit`,
    ),
  );
  type CallRow = EntityRow & { readonly type: "call" | "instantiation"; readonly lines: string };
  const calls = (from: "caller" | "callee", to: "caller" | "callee"): Record<DefinitionKind, Statement<CallRow>> =>
    perKind((kind) =>
      connection.prepare<Record<string, string | number>, CallRow>(
        `SELECT ${ENTITY_COLUMNS}, r.type, r.lines FROM (
           SELECT ${TYPE_OF_END(to)} AS toType, ${ID_OF_END(to)} AS toId, ref_type AS type,
             json_group_array(line ORDER BY line) AS lines
           FROM main.entity_cross_ref WHERE ${from}_${kind}_id = @id AND ref_type IN ('call', 'instantiation')
           GROUP BY 1, 2, 3
         ) r ${SYMBOL_OF("r.toType", "r.toId")} ${ENTITY_JOINS}
         WHERE (s.project_id, f.relative_path, s.line, s.id, r.type) > (@lastProject, @path, @line, @lastId, @type)
         ORDER BY s.project_id, f.relative_path, s.line, s.id, r.type LIMIT @limit`,
      ),
    );
  const callers = calls("callee", "caller");
  const callees = calls("caller", "callee");
  const relations = (from: "caller" | "callee", to: "caller" | "callee"): Statement<EntityRow, [number, number]> =>
    connection.prepare<[number, number], EntityRow>(
      `SELECT DISTINCT ${ENTITY_COLUMNS} FROM main.entity_cross_ref e ${SYMBOL_OF("'class'", `e.${to}_class_id`)}
       ${ENTITY_JOINS} WHERE e.${from}_class_id = ? AND e.ref_type = 'inherit'
       ORDER BY f.relative_path, s.line, s.id LIMIT ?`,
    );
  const ancestors = relations("caller", "callee");
  const descendants = relations("callee", "caller");
  const findFileId = connection
    .prepare<{ projectId: string; path: string }, number>(
      `SELECT id FROM main.files WHERE project_id = @projectId AND path = @path
       UNION ALL SELECT id FROM main.files WHERE project_id = @projectId AND relative_path = @path LIMIT 1`,
    )
    .pluck();
  const entitiesOfFile = connection.prepare<[number], EntityRow>(
    `SELECT ${ENTITY_COLUMNS} FROM main.symbols s ${ENTITY_JOINS} WHERE s.file_id = ? ORDER BY s.line, s.id`,
  );
  const importsOfFile = connection.prepare<[number], ImportRow>(
    "SELECT name, module, import_type AS type, line FROM main.imports WHERE file_id = ? ORDER BY line, id",
  );

  function getEntity({ kind, id }: EntityRef): Entity {
    const row = findEntity.get(kind, id);
    if (row === undefined) {
      throw new DriverError("ENTITY_NOT_FOUND", `The index has no ${kind} with the id ${id}.`, {
        hint: "Ids end when a definition vanishes from its file; look the entity up by its name.",
      });
    }
    return toEntity(row);
  }

  function listCalls(
    statements: Record<DefinitionKind, Statement<CallRow>>,
    what: string,
    ref: EntityRef,
    { pageSize, pageToken }: PageRequest,
  ): Page<CallEdge> {
    const { kind, id } = getEntity(ref);
    if (kind === "file") return { items: [], nextPageToken: "" };
    const request = [what, kind, id];
    const key = decodePageToken(request, pageToken, ["", "", 0, 0, ""] as const) ?? ["", "", 0, 0, ""];
    const [lastProject, path, line, lastId, type] = key;
    const rows = statements[kind].all({ id, lastProject, path, line, lastId, type, limit: pageSize + 1 });
    return toPage(
      rows,
      pageSize,
      (row) => ({ entity: toEntity(row), type: row.type, lines: parseLines(row.lines) }),
      (row) => encodePageToken(request, [row.projectId, row.relativePath, row.line, row.symbolId, row.type]),
    );
  }

  /** Breadth first, so that the first way to a class is a shortest one. */
  function follow(
    statement: Statement<EntityRow, [number, number]>,
    start: number,
    maxDepth: number,
    maxRelations: number,
  ): { relations: ClassRelation[]; isTruncated: boolean } {
    const found: ClassRelation[] = [];
    const distances = new Map([[start, 0]]);
    let level = [start];
    for (let depth = 1; level.length > 0; depth++) {
      const next: number[] = [];
      for (const viaClassId of level) {
        for (const row of statement.all(viaClassId, maxRelations - found.length + 1)) {
          if (depth > maxDepth || found.length === maxRelations) return { relations: found, isTruncated: true };
          if (!distances.has(row.id)) {
            distances.set(row.id, depth);
            next.push(row.id);
          }
          found.push({ entity: toEntity(row), distance: distances.get(row.id) ?? depth, viaClassId });
        }
      }
      level = next;
    }
    return { relations: found, isTruncated: false };
  }

  return {
    findDefinitions({ pageSize, pageToken, ...request }) {
      const dot = request.name.lastIndexOf(".");
      const key = decodePageToken(request, pageToken, ["", "", 0, 0] as const) ?? ["", "", 0, 0];
      const [lastProject, path, line, lastId] = key;
      const rows = findDefinitions.all({
        projectId: request.projectId,
        name: request.name.slice(dot + 1),
        className: dot > 0 ? request.name.slice(0, dot) : null,
        kinds: JSON.stringify(request.kinds.length === 0 ? DEFINITION_KINDS : request.kinds),
        pathPrefix: request.pathPrefix,
        ...{ lastProject, path, line, lastId, limit: pageSize + 1 },
      });
      return toPage(rows, pageSize, toEntity, (row) =>
        encodePageToken(request, [row.projectId, row.relativePath, row.line, row.symbolId]),
      );
    },

    findReferences(ref, { pageSize, pageToken }) {
      const { kind, id } = getEntity(ref);
      if (kind === "file") return { items: [], nextPageToken: "" };
      const request = ["references", kind, id];
      const [path, line, lastId] = decodePageToken(request, pageToken, ["", 0, 0] as const) ?? ["", 0, 0];
      const rows = references[kind].all({ id, path, line, lastId, limit: pageSize + 1 });
      return toPage(
        rows,
        pageSize,
        (row) => ({ type: row.type, from: toEntity(row), relativePath: row.relativePath, line: row.place }),
        (row) => encodePageToken(request, [row.relativePath, row.place, row.edgeId]),
      );
    },

    listCallers: (entity, page) => listCalls(callers, "callers", entity, page),
    listCallees: (entity, page) => listCalls(callees, "callees", entity, page),

    classHierarchy(classId, maxDepth) {
      const entity = getEntity({ kind: "class", id: classId });
      const above = follow(ancestors, classId, maxDepth, MAX_RELATIONS);
      const below = follow(descendants, classId, maxDepth, MAX_RELATIONS - above.relations.length);
      return {
        entity,
        ancestors: above.relations,
        descendants: below.relations,
        isTruncated: above.isTruncated || below.isTruncated,
      };
    },

    fileEntities(projectId, path) {
      const fileId = findFileId.get({ projectId, path });
      const all = fileId === undefined ? [] : entitiesOfFile.all(fileId).map(toEntity);
      const file = all.find(({ kind }) => kind === "file");
      if (fileId === undefined || file === undefined) {
        throw new DriverError("FILE_NOT_FOUND", `${path} is not in the index of the project ${projectId}.`, {
          hint: "Index the file first.",
        });
      }
      return { file, entities: all.filter((entity) => entity !== file), imports: importsOfFile.all(fileId) };
    },
  };
}

function perKind<T>(make: (kind: DefinitionKind) => T): Record<DefinitionKind, T> {
  return { class: make("class"), method: make("method"), function: make("function") };
}

function toEntity(row: EntityRow): Entity {
  const { kind, id, name, className, projectId, relativePath, line, endLine, docstring, complexity, language } = row;
  const lists = { parameters: parseNames(row.parameters), bases: parseNames(row.bases) };
  return {
    kind,
    id,
    name,
    className,
    projectId,
    relativePath,
    line,
    endLine,
    ...lists,
    docstring,
    complexity,
    language,
  };
}

function parseNames(json: string | null): string[] {
  const value: unknown = json === null ? [] : JSON.parse(json);
  return Array.isArray(value) ? value.map(String) : [];
}

function parseLines(json: string): number[] {
  const value: unknown = JSON.parse(json);
  return Array.isArray(value) ? value.map(Number) : [];
}

function toPage<Row, T>(
  rows: readonly Row[],
  pageSize: number,
  toItem: (row: Row) => T,
  toToken: (row: Row) => string,
): Page<T> {
  const last = rows.length > pageSize ? rows[pageSize - 1] : undefined;
  return { items: rows.slice(0, pageSize).map(toItem), nextPageToken: last === undefined ? "" : toToken(last) };
}
