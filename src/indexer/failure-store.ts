import type { Connection } from "../sqlite/connection.js";
import type { IndexingErrorType } from "./entities.js";

/**
 * A condition on the row `e` of `indexing_errors`: it is a `Problem`, so that the file is indexed as far as it allows, and another
 * attempt would find it again.
 */
export const IS_PROBLEM = "e.error_type IN ('syntax_error', 'decode_error')";

/** A condition on the row `e` of `indexing_errors`: it is one of a type that indexing stores; another program may store others. */
export const IS_OURS = `(${IS_PROBLEM}
  OR e.error_type IN ('too_large', 'binary', 'timeout', 'crash', 'io_error', 'db_error'))`;

/** `indexing_errors`: at most one row for a file of a project, by its absolute path. */
export interface FailureStore {
  /** Stores why a file could not be indexed, in place of what was stored before. */
  store(projectId: string, path: string, type: IndexingErrorType, message: string): void;
  clear(projectId: string, path: string): void;
}

/** Needs no other table, so that a failure can be stored while another one is missing. */
export function createFailureStore(connection: Connection): FailureStore {
  const upsert = connection.prepare<[string, string, string, string]>(
    `INSERT INTO main.indexing_errors (project_id, file_path, error_type, error_message) VALUES (?, ?, ?, ?)
     ON CONFLICT (project_id, file_path) DO UPDATE SET
       error_type = excluded.error_type, error_message = excluded.error_message, created_at = julianday('now')`,
  );
  const remove = connection.prepare<[string, string]>(
    "DELETE FROM main.indexing_errors WHERE project_id = ? AND file_path = ?",
  );
  return {
    store(projectId, path, type, message) {
      upsert.run(projectId, path, type, message);
    },
    clear(projectId, path) {
      remove.run(projectId, path);
    },
  };
}
