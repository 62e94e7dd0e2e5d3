import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type CallEdgeSchema,
  type ClassRelationSchema,
  EntityKind as EntityKindMessage,
  type EntityRef as EntityRefMessage,
  type EntitySchema,
  FindDefinitionsRequestSchema,
  FindDefinitionsResponseSchema,
  FindReferencesRequestSchema,
  FindReferencesResponseSchema,
  GetClassHierarchyRequestSchema,
  GetClassHierarchyResponseSchema,
  ListCalleesRequestSchema,
  ListCalleesResponseSchema,
  ListCallersRequestSchema,
  ListCallersResponseSchema,
  ListFileEntitiesRequestSchema,
  ListFileEntitiesResponseSchema,
  ReferenceKind,
  SearchCodeRequestSchema,
  SearchCodeResponseSchema,
} from "../../../gen/code_analysis/driver/v1/search_pb.js";
import { DriverError } from "../../errors.js";
import type { DefinitionKind } from "../../indexer/entities.js";
import { type CodeSearch, createCodeSearch, type EntityKind } from "../../indexer/search.js";
import {
  type CallEdge,
  type ClassRelation,
  createSymbolQueries,
  type Entity,
  type EntityRef,
  type PageRequest,
  type ReferenceType,
  type SymbolQueries,
} from "../../indexer/symbol-queries.js";
import type { Session } from "../session.js";
import { decodeRequest, type UnaryOperation } from "./operation.js";
import { assertProjectExists } from "./project.js";

const DEFAULT_HITS = 20;
const DEFAULT_PAGE_SIZE = 100;
const MAX_HIERARCHY_DEPTH = 32;

const KIND_MESSAGES: Readonly<Record<EntityKind, EntityKindMessage>> = {
  file: EntityKindMessage.FILE,
  class: EntityKindMessage.CLASS,
  method: EntityKindMessage.METHOD,
  function: EntityKindMessage.FUNCTION,
};

const REFERENCE_KINDS: Readonly<Record<ReferenceType, ReferenceKind>> = {
  call: ReferenceKind.CALL,
  instantiation: ReferenceKind.INSTANTIATION,
  inherit: ReferenceKind.INHERITANCE,
};

/** Compiled once per connection. */
const queries = new WeakMap<Session, { search?: CodeSearch; symbols?: SymbolQueries }>();

function searchOf(session: Session): CodeSearch {
  const known = queriesOf(session);
  known.search ??= createCodeSearch(session.connection);
  return known.search;
}

function symbolsOf(session: Session): SymbolQueries {
  const known = queriesOf(session);
  known.symbols ??= createSymbolQueries(session.connection);
  return known.symbols;
}

function queriesOf(session: Session): { search?: CodeSearch; symbols?: SymbolQueries } {
  let known = queries.get(session);
  if (known === undefined) {
    known = {};
    queries.set(session, known);
  }
  return known;
}

/** `SearchCode`. */
export const searchCode: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(SearchCodeRequestSchema, bytes);
  const page = searchOf(session).search({
    query: request.query,
    projectId: projectOf(session, request.projectId),
    language: request.language || null,
    kinds: request.kinds.map((kind) => kindOf(kind, "kinds")),
    pathPrefix: request.pathPrefix,
    ...pageOf(session, request, DEFAULT_HITS),
  });
  return answer(SearchCodeResponseSchema, {
    hits: page.hits.map((hit) => ({
      projectId: hit.projectId,
      filePath: hit.relativePath,
      line: hit.line,
      endLine: hit.endLine,
      entity: { kind: KIND_MESSAGES[hit.kind], id: BigInt(hit.entityId) },
      entityName: hit.entityName,
      className: hit.className ?? "",
      snippet: hit.snippet.text,
      snippetLine: hit.snippet.line,
      matches: [...hit.snippet.matches],
      score: hit.score,
      language: hit.language ?? "",
    })),
    nextPageToken: page.nextPageToken,
  });
};

/** `FindDefinitions`. */
export const findDefinitions: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(FindDefinitionsRequestSchema, bytes);
  if (request.name === "") throw new DriverError("INVALID_REQUEST", "The request has no name.", { field: "name" });
  const { items, nextPageToken } = symbolsOf(session).findDefinitions({
    name: request.name,
    projectId: projectOf(session, request.projectId),
    kinds: request.kinds.map((kind) => definitionKindOf(kind, "kinds")),
    pathPrefix: request.pathPrefix,
    ...pageOf(session, request),
  });
  return answer(FindDefinitionsResponseSchema, { definitions: items.map(entityMessage), nextPageToken });
};

/** `FindReferences`. */
export const findReferences: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(FindReferencesRequestSchema, bytes);
  const page = symbolsOf(session).findReferences(entityOf(request.entity), pageOf(session, request));
  const references = page.items.map(({ type, from, relativePath, line }) => ({
    kind: REFERENCE_KINDS[type],
    from: entityMessage(from),
    filePath: relativePath,
    line,
  }));
  return answer(FindReferencesResponseSchema, { references, nextPageToken: page.nextPageToken });
};

/** `ListCallers`. */
export const listCallers: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(ListCallersRequestSchema, bytes);
  const page = symbolsOf(session).listCallers(entityOf(request.entity), pageOf(session, request));
  return answer(ListCallersResponseSchema, {
    callers: page.items.map(callMessage),
    nextPageToken: page.nextPageToken,
  });
};

/** `ListCallees`. */
export const listCallees: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(ListCalleesRequestSchema, bytes);
  const page = symbolsOf(session).listCallees(entityOf(request.entity), pageOf(session, request));
  return answer(ListCalleesResponseSchema, {
    callees: page.items.map(callMessage),
    nextPageToken: page.nextPageToken,
  });
};

/** `GetClassHierarchy`. */
export const getClassHierarchy: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(GetClassHierarchyRequestSchema, bytes);
  const { kind, id } = entityOf(request.entity);
  if (kind !== "class") throw new DriverError("ENTITY_NOT_FOUND", "The entity is no class.", { field: "entity" });
  const depth = request.maxDepth === 0 ? MAX_HIERARCHY_DEPTH : Math.min(request.maxDepth, MAX_HIERARCHY_DEPTH);
  const { entity, ancestors, descendants, isTruncated } = symbolsOf(session).classHierarchy(id, depth);
  return answer(GetClassHierarchyResponseSchema, {
    entity: entityMessage(entity),
    ancestors: ancestors.map(relationMessage),
    descendants: descendants.map(relationMessage),
    truncated: isTruncated,
  });
};

/** `ListFileEntities`. */
export const listFileEntities: UnaryOperation = (session, bytes) => {
  const { projectId, filePath } = decodeRequest(ListFileEntitiesRequestSchema, bytes);
  assertProjectExists(session.connection, projectId);
  const { file, entities, imports } = symbolsOf(session).fileEntities(projectId, filePath);
  return answer(ListFileEntitiesResponseSchema, {
    file: entityMessage(file),
    entities: entities.map(entityMessage),
    imports: imports.map(({ name, module, type, line }) => ({ name, module: module ?? "", importType: type, line })),
  });
};

/** Null for all projects. */
function projectOf({ connection }: Session, projectId: string): string | null {
  if (projectId === "") return null;
  assertProjectExists(connection, projectId);
  return projectId;
}

function answer<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

function pageOf(
  { limits }: Session,
  { pageSize, pageToken }: { readonly pageSize: number; readonly pageToken: string },
  defaultSize = DEFAULT_PAGE_SIZE,
): PageRequest {
  return { pageSize: Math.min(pageSize === 0 ? defaultSize : pageSize, limits.maxPageSize), pageToken };
}

function entityOf(ref: EntityRefMessage | undefined): EntityRef {
  if (ref === undefined) throw new DriverError("INVALID_REQUEST", "The request names no entity.", { field: "entity" });
  // An id beyond 2^53 is none that the driver has given; as a number it stays one that does not exist.
  return { kind: kindOf(ref.kind, "entity.kind"), id: Number(ref.id) };
}

function kindOf(kind: EntityKindMessage, field: string): EntityKind {
  for (const [name, message] of Object.entries(KIND_MESSAGES)) {
    if (message === kind) return name as EntityKind;
  }
  throw new DriverError("INVALID_REQUEST", `${kind} is no kind of entity.`, { field });
}

function definitionKindOf(message: EntityKindMessage, field: string): DefinitionKind {
  const kind = kindOf(message, field);
  if (kind === "file") throw new DriverError("INVALID_REQUEST", "A file is no definition.", { field });
  return kind;
}

function entityMessage(entity: Entity): MessageInitShape<typeof EntitySchema> {
  return {
    ref: { kind: KIND_MESSAGES[entity.kind], id: BigInt(entity.id) },
    name: entity.name,
    className: entity.className ?? "",
    projectId: entity.projectId,
    filePath: entity.relativePath,
    line: entity.line,
    endLine: entity.endLine,
    parameters: [...entity.parameters],
    bases: [...entity.bases],
    docstring: entity.docstring ?? "",
    complexity: entity.complexity,
    language: entity.language ?? "",
  };
}

function callMessage({ entity, type, lines }: CallEdge): MessageInitShape<typeof CallEdgeSchema> {
  return { entity: entityMessage(entity), kind: REFERENCE_KINDS[type], lines: [...lines] };
}

function relationMessage({
  entity,
  distance,
  viaClassId,
}: ClassRelation): MessageInitShape<typeof ClassRelationSchema> {
  return { entity: entityMessage(entity), distance, viaClassId: BigInt(viaClassId) };
}
