import { DriverError } from "../errors.js";
import type { Connection, Statement } from "../sqlite/connection.js";
import { foldName } from "../sqlite/identifiers.js";

/**
 * The driver's own tables, beside the managed ones: the sequence of commits, the answers to writes that carried a
 * `request_id`, and projects whose edges between files are not resolved yet. `driver_requests.id` grows with time, so the
 * oldest answers are the smallest ids; `response` is the answer, or the number of its bytes when it is no longer kept.
 */
const DRIVER_TABLES = `
  CREATE TABLE IF NOT EXISTS main.driver_state (
    name TEXT PRIMARY KEY NOT NULL,
    value INTEGER NOT NULL
  );
  INSERT OR IGNORE INTO main.driver_state (name, value) VALUES ('commit_seq', 0);
  CREATE TABLE IF NOT EXISTS main.driver_requests (
    id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL UNIQUE,
    request_hash BLOB NOT NULL,
    response BLOB NOT NULL
  );
  CREATE TABLE IF NOT EXISTS main.driver_unresolved (
    project_id TEXT PRIMARY KEY NOT NULL
  );`;

const DRIVER_TABLE_NAMES: ReadonlySet<string> = new Set(["driver_state", "driver_requests", "driver_unresolved"]);

/** True for the driver's own tables, in any case: no client may write or drop them. */
export function isDriverTable(name: string): boolean {
  return DRIVER_TABLE_NAMES.has(foldName(name));
}

/**
 * True for SQL that names one of them: however it is quoted, SQLite has no other spelling of a name, and what would reach them
 * through another object, a trigger or a view, must name them when it is created.
 */
export function mentionsDriverTable(sql: string): boolean {
  return /(?<![\p{L}\p{N}_$])driver_(?:state|requests|unresolved)(?![\p{L}\p{N}_$])/iu.test(sql);
}

/**
 * The newest writes with a `request_id`, so many, are remembered; an older one would run again. A client repeats within seconds, and
 * has 100 of them where a thousand writes a second come.
 */
export const MAX_REMEMBERED_REQUESTS = 100_000;
/** An answer of at most so many bytes is kept for as long as its request is remembered; all of them are 100 MiB at most. */
const SMALL_ANSWER_BYTES = 1_024;
/** Of larger ones, which have rows of RETURNING or many statements, the newest are kept, so many bytes together. */
const MAX_LARGE_ANSWER_BYTES = 64 * 1_024 * 1_024;
/** Bytes of large answers that come before they are counted again, which takes a walk over all requests. */
const COUNT_AFTER_BYTES = 4 * 1_024 * 1_024;

export interface LoggedRequest {
  readonly requestHash: Buffer;
  /** The number of its bytes when it is no longer kept. */
  readonly response: Buffer | number;
}

/** @throws DriverError `ANSWER_NOT_KEPT`. */
export function keptAnswer(requestId: string, { response }: LoggedRequest): Buffer {
  if (typeof response !== "number") return response;
  const message = `The request ${requestId} was carried out, but its answer of ${response} bytes is no longer kept.`;
  throw new DriverError("ANSWER_NOT_KEPT", message, { field: "request_id", hint: "Read what it has written." });
}

/** Reads and writes the driver's own tables on the writer's connection; every change belongs to the caller's transaction. */
export class DriverTables {
  readonly #commitSeq: Statement;
  readonly #advance: Statement;
  readonly #find: Statement;
  readonly #remember: Statement;
  readonly #forget: Statement;
  readonly #dropAnswers: Statement;
  /** Of large answers since they were last counted; those of writes that were rolled back included, which does no harm. */
  #uncountedBytes = COUNT_AFTER_BYTES;

  readonly #mark: Statement;
  readonly #clear: Statement;
  readonly #marked: Statement;

  constructor(connection: Connection) {
    connection.exec(DRIVER_TABLES);
    this.#commitSeq = connection
      .prepare("SELECT value FROM main.driver_state WHERE name = 'commit_seq'")
      .pluck()
      .safeIntegers(true);
    this.#advance = connection.prepare("UPDATE main.driver_state SET value = ? WHERE name = 'commit_seq'");
    this.#find = connection.prepare(
      "SELECT request_hash AS requestHash, response FROM main.driver_requests WHERE request_id = ?",
    );
    this.#remember = connection.prepare(
      "INSERT INTO main.driver_requests (request_id, request_hash, response) VALUES (?, ?, ?)",
    );
    this.#mark = connection.prepare("INSERT OR IGNORE INTO main.driver_unresolved (project_id) VALUES (?)");
    this.#clear = connection.prepare("DELETE FROM main.driver_unresolved WHERE project_id = ?");
    this.#marked = connection.prepare("SELECT project_id FROM main.driver_unresolved").pluck();
    this.#forget = connection.prepare("DELETE FROM main.driver_requests WHERE id <= ?");
    this.#dropAnswers = connection.prepare(`
      WITH large AS (
        SELECT id, sum(length(response)) OVER (ORDER BY id DESC) AS bytes_from_here
          FROM main.driver_requests WHERE length(response) > ${SMALL_ANSWER_BYTES})
      UPDATE main.driver_requests SET response = length(response)
       WHERE id <= (SELECT max(id) FROM large WHERE bytes_from_here > ${MAX_LARGE_ANSWER_BYTES})
         AND length(response) > ${SMALL_ANSWER_BYTES}`);
  }

  /** Number of the last commit; grows by one with every commit that changed something. */
  commitSeq(): bigint {
    return this.#commitSeq.get() as bigint;
  }

  /** From now on the project has files whose edges to other files are not resolved. */
  markUnresolved(projectId: string): void {
    this.#mark.run(projectId);
  }

  clearUnresolved(projectId: string): void {
    this.#clear.run(projectId);
  }

  unresolvedProjects(): string[] {
    return this.#marked.all() as string[];
  }

  setCommitSeq(commitSeq: bigint): void {
    this.#advance.run(commitSeq);
  }

  findRequest(requestId: string): LoggedRequest | undefined {
    return this.#find.get(requestId) as LoggedRequest | undefined;
  }

  rememberRequest(requestId: string, requestHash: Buffer, response: Uint8Array): void {
    const { lastInsertRowid } = this.#remember.run(requestId, requestHash, response);
    const oldest = Number(lastInsertRowid) - MAX_REMEMBERED_REQUESTS;
    if (oldest > 0) this.#forget.run(oldest);
    if (response.length > SMALL_ANSWER_BYTES) this.#boundLargeAnswers(response.length);
  }

  #boundLargeAnswers(addedBytes: number): void {
    this.#uncountedBytes += addedBytes;
    if (this.#uncountedBytes < COUNT_AFTER_BYTES) return;
    this.#uncountedBytes = 0;
    this.#dropAnswers.run();
  }
}
