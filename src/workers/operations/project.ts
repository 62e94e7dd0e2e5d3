import { randomUUID } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { basename, isAbsolute } from "node:path";
import { create, toBinary } from "@bufbuild/protobuf";
import { type Timestamp, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  type IndexingError,
  IndexingErrorSchema,
  ListIndexingErrorsRequestSchema,
  ListIndexingErrorsResponseSchema,
} from "../../../gen/code_analysis/driver/v1/index_pb.js";
import {
  ListProjectsRequestSchema,
  ListProjectsResponseSchema,
  type Project,
  ProjectSchema,
  RegisterProjectRequestSchema,
  RegisterProjectResponseSchema,
} from "../../../gen/code_analysis/driver/v1/project_pb.js";
import { codeOf, DriverError } from "../../errors.js";
import { IS_PROBLEM } from "../../indexer/failure-store.js";
import type { Connection } from "../../sqlite/connection.js";
import { fromSqliteError } from "../../sqlite/errors.js";
import type { Session } from "../session.js";
import { decodeRequest, type UnaryOperation } from "./operation.js";
import { formatPageToken, parsePageToken } from "./page-token.js";

const DEFAULT_PAGE_SIZE = 100;
const PAGE_SCOPE = "ListIndexingErrors";

/** Times are Julian days; SQLite reads them, and the text forms that other services may have stored, to the millisecond. */
const unixSeconds = (column: string) => `unixepoch(${column}, 'subsec')`;

const PROJECT_COLUMNS = `id, root_path AS rootPath, coalesce(name, '') AS name, coalesce(comment, '') AS comment,
  ${unixSeconds("created_at")} AS createdAt, ${unixSeconds("updated_at")} AS updatedAt`;

/** Only problems of a file that has been indexed all the same have a line. */
const PROBLEM_LINE = `CASE WHEN ${IS_PROBLEM} THEN (
    SELECT x.problem_line FROM main.files f JOIN main.extractions x ON x.file_id = f.id
    WHERE f.project_id = e.project_id AND f.path = e.file_path
  ) END`;

interface ProjectRow {
  readonly id: string;
  readonly rootPath: string;
  readonly name: string;
  readonly comment: string;
  readonly createdAt: number | null;
  readonly updatedAt: number | null;
}

interface IndexingErrorRow {
  readonly projectId: string;
  readonly filePath: string;
  readonly errorType: string;
  readonly errorMessage: string;
  readonly createdAt: number | null;
  readonly line: number | null;
  /** The key by which the next page is found: bytes as hexadecimal, because they need not be UTF-8. */
  readonly projectKey: string;
  readonly fileKey: string;
}

/** Makes the directory of a `RegisterProjectRequest` a project, or brings the project that it is up to date. */
export const registerProject: UnaryOperation = (session, bytes) => {
  const request = decodeRequest(RegisterProjectRequestSchema, bytes);
  if (request.id === "") throw new DriverError("INVALID_REQUEST", "The project id is empty.", { field: "id" });
  const rootPath = realDirectory(request.rootPath);
  const { connection } = session;
  return onDatabase(() => {
    const known = findProject(connection, rootPath);
    if (known === undefined) {
      connection
        .prepare("INSERT INTO main.projects (id, root_path, name, comment) VALUES (?, ?, ?, ?)")
        .run(
          request.id ?? randomUUID(),
          rootPath,
          request.name ?? (basename(rootPath) || rootPath),
          request.comment ?? "",
        );
    } else {
      if (request.id !== undefined && request.id !== known.id) {
        throw new DriverError("CONSTRAINT_UNIQUE", `${rootPath} is the project ${known.id} already.`, {
          field: "id",
          hint: "Leave the id out to use the project that is there.",
        });
      }
      connection
        .prepare("UPDATE main.projects SET name = ?, comment = ?, updated_at = julianday('now') WHERE id = ?")
        .run(request.name ?? known.name, request.comment ?? known.comment, known.id);
    }
    const project = findProject(connection, rootPath);
    if (project === undefined) throw new DriverError("INTERNAL", `The project of ${rootPath} was not stored.`);
    return toBinary(
      RegisterProjectResponseSchema,
      create(RegisterProjectResponseSchema, { project: projectMessage(project), created: known === undefined }),
    );
  });
};

/** All projects by root directory. */
export const listProjects: UnaryOperation = ({ connection }, bytes) => {
  decodeRequest(ListProjectsRequestSchema, bytes);
  return onDatabase(() => {
    const rows = connection.prepare(`SELECT ${PROJECT_COLUMNS} FROM main.projects ORDER BY root_path`).all();
    const projects = (rows as ProjectRow[]).map(projectMessage);
    return toBinary(ListProjectsResponseSchema, create(ListProjectsResponseSchema, { projects }));
  });
};

/** One page of the files that could not be indexed. */
export const listIndexingErrors: UnaryOperation = (session, bytes) => {
  const { projectId, pageSize, pageToken } = decodeRequest(ListIndexingErrorsRequestSchema, bytes);
  const scope = [PAGE_SCOPE, projectId];
  const after = pageToken === "" ? undefined : parsePageToken(pageToken, scope, 2);
  const limit = Math.min(pageSize === 0 ? DEFAULT_PAGE_SIZE : pageSize, session.limits.maxPageSize);
  return onDatabase(() => {
    if (projectId !== "") assertProjectExists(session.connection, projectId);
    const { errors, last } = readPage(session, projectId, after, limit);
    const nextPageToken = last === undefined ? "" : formatPageToken({ scope, after: [last.projectKey, last.fileKey] });
    return toBinary(
      ListIndexingErrorsResponseSchema,
      create(ListIndexingErrorsResponseSchema, { errors, nextPageToken }),
    );
  });
};

/** At most `limit` errors behind the key `after`; `last` is the last of them when there are more. */
function readPage(
  { connection, limits }: Session,
  projectId: string,
  after: readonly string[] | undefined,
  limit: number,
): { errors: IndexingError[]; last: IndexingErrorRow | undefined } {
  const conditions = ["1"];
  const values: string[] = [];
  if (projectId !== "") {
    conditions.push("project_id = ?");
    values.push(projectId);
  }
  if (after !== undefined) {
    conditions.push("(project_id, file_path) > (CAST(unhex(?) AS TEXT), CAST(unhex(?) AS TEXT))");
    values.push(...after);
  }
  const rows = connection
    .prepare(
      `SELECT project_id AS projectId, file_path AS filePath, coalesce(error_type, '') AS errorType,
         coalesce(error_message, '') AS errorMessage, ${unixSeconds("created_at")} AS createdAt,
         hex(project_id) AS projectKey, hex(file_path) AS fileKey, ${PROBLEM_LINE} AS line
       FROM main.indexing_errors e WHERE ${conditions.join(" AND ")}
       ORDER BY project_id, file_path`,
    )
    .iterate(...values) as IterableIterator<IndexingErrorRow>;
  const errors: IndexingError[] = [];
  let bytes = 0;
  let last: IndexingErrorRow | undefined;
  for (const row of rows) {
    // A client takes messages of 4 MiB: pages of long messages have fewer entries.
    if (errors.length === limit || bytes >= limits.maxExecuteBytes) return { errors, last };
    last = row;
    bytes += Buffer.byteLength(row.filePath) + Buffer.byteLength(row.errorMessage);
    errors.push(indexingErrorMessage(row));
  }
  return { errors, last: undefined };
}

/** @throws DriverError `PROJECT_NOT_FOUND`. */
export function assertProjectExists(connection: Connection, projectId: string): void {
  if (connection.prepare("SELECT 1 FROM main.projects WHERE id = ?").get(projectId) !== undefined) return;
  throw new DriverError("PROJECT_NOT_FOUND", `There is no project ${JSON.stringify(projectId)}.`, {
    field: "project_id",
    hint: "ListProjects answers the ids of all projects.",
  });
}

function findProject(connection: Connection, rootPath: string): ProjectRow | undefined {
  const select = `SELECT ${PROJECT_COLUMNS} FROM main.projects WHERE root_path = ?`;
  return connection.prepare(select).get(rootPath) as ProjectRow | undefined;
}

/** The directory with all links resolved. */
function realDirectory(path: string): string {
  const field = "root_path";
  if (!isAbsolute(path)) {
    throw new DriverError("INVALID_REQUEST", `The root directory ${JSON.stringify(path)} is not absolute.`, { field });
  }
  if (path.includes("\0")) throw new DriverError("INVALID_REQUEST", "The root directory holds a NUL.", { field });
  let isDirectory: boolean;
  let realPath: string;
  try {
    realPath = realpathSync.native(path);
    isDirectory = statSync(realPath).isDirectory();
  } catch (cause) {
    const code = codeOf(cause);
    const isDenied = code === "EACCES" || code === "EPERM";
    const reason = isDenied ? "FILE_NOT_READABLE" : "FILE_NOT_FOUND";
    const why = isDenied ? "may not be read by the driver" : "is not there";
    throw new DriverError(reason, `The directory ${path} ${why}.`, { field, cause });
  }
  if (!isDirectory) throw new DriverError("INVALID_REQUEST", `${path} is not a directory.`, { field });
  return realPath;
}

function projectMessage({ id, rootPath, name, comment, createdAt, updatedAt }: ProjectRow): Project {
  return create(ProjectSchema, { id, rootPath, name, comment, ...timestamps({ createdAt, updatedAt }) });
}

function indexingErrorMessage(row: IndexingErrorRow): IndexingError {
  const { projectId, filePath, errorType, errorMessage, createdAt, line } = row;
  return create(IndexingErrorSchema, {
    projectId,
    filePath,
    errorType,
    errorMessage,
    ...timestamps({ createdAt }),
    ...(line !== null && { line }),
  });
}

/** The times that are there, as messages. */
function timestamps<Name extends string>(times: Record<Name, number | null>): Partial<Record<Name, Timestamp>> {
  const messages: Partial<Record<Name, Timestamp>> = {};
  for (const name in times) {
    const seconds = times[name];
    if (seconds !== null) messages[name] = timestampFromMs(Math.round(seconds * 1_000));
  }
  return messages;
}

function onDatabase<T>(body: () => T): T {
  try {
    return body();
  } catch (error) {
    throw fromSqliteError(error);
  }
}
