import type { Connection } from "../sqlite/connection.js";
import { isSqliteError } from "../sqlite/errors.js";

/** Keeps `code_content_fts` in step with the rows of `code_content`; every change of those goes through here. */
export interface ContentIndex {
  /** Called before the rows of a file change: looks which changes the database's own triggers take care of. */
  refresh(): void;
  /** After rows were inserted: all of `fileId` from `firstId` on. */
  inserted(fileId: number, firstId: number): void;
  /** Runs `write`, which updates or deletes the row `id`. */
  change(event: "UPDATE" | "DELETE", id: number, write: () => void): void;
}

/** What a trigger runs on; its name comes before and is quoted if it is one of these words. */
const TRIGGER_EVENT =
  /^CREATE\s+(?:TEMP(?:ORARY)?\s+)?TRIGGER\s+(?:"[^"]*"|\[[^\]]*\]|`[^`]*`|[^\s"[`]+)[\s\S]*?\b(INSERT|UPDATE|DELETE)\b/i;

const SELECT_ROW = "SELECT id, entity_type, entity_name, content, docstring FROM main.code_content";

/**
 * The index has external content: SQLite computes what to take out of it from the row of `code_content` as it is now, so an
 * index row always goes before the row that it was made from (https://sqlite.org/fts5.html#external_content_tables). Taking
 * out a row that was never put in, or putting one in twice, damages the index. Rows of another program may never have been put
 * in; `code_content_fts_docsize` has a row for each that was.
 */
export function createContentIndex(connection: Connection): ContentIndex {
  const columns = "rowid, entity_type, entity_name, content, docstring";
  const insertRows = connection.prepare<[number, number]>(
    `INSERT INTO main.code_content_fts (${columns}) ${SELECT_ROW} WHERE file_id = ? AND id >= ?`,
  );
  const insertRow = connection.prepare<[number]>(
    `INSERT INTO main.code_content_fts (${columns}) ${SELECT_ROW} WHERE id = ?`,
  );
  const insertMissingRow = connection.prepare<[number]>(
    `INSERT INTO main.code_content_fts (${columns})
     ${SELECT_ROW} c WHERE id = ? AND NOT EXISTS (SELECT 1 FROM main.code_content_fts_docsize d WHERE d.id = c.id)`,
  );
  const deleteRow = connection.prepare<[number]>(
    "DELETE FROM main.code_content_fts WHERE rowid = (SELECT id FROM main.code_content_fts_docsize WHERE id = ?)",
  );
  const triggers = connection
    .prepare<[], string>(
      `SELECT sql FROM main.sqlite_schema
       WHERE type = 'trigger' AND lower(tbl_name) = 'code_content' AND sql LIKE '%code_content_fts%'`,
    )
    .pluck();
  const schemaVersion = connection.prepare<[], number>("SELECT schema_version FROM pragma_schema_version").pluck();
  let seenVersion: number | undefined;
  let triggered: ReadonlySet<string> = new Set();

  function unindex(id: number): void {
    try {
      deleteRow.run(id);
    } catch (error) {
      if (!isSqliteError(error) || error.code !== "SQLITE_CORRUPT_VTAB") throw error;
      // Somebody changed rows without their index rows. All that it holds can be made anew from them.
      connection.exec("INSERT INTO main.code_content_fts (code_content_fts) VALUES ('rebuild')");
      deleteRow.run(id);
    }
  }

  return {
    refresh() {
      const version = schemaVersion.get();
      if (version === seenVersion) return;
      seenVersion = version;
      triggered = new Set(triggers.all().map((sql) => TRIGGER_EVENT.exec(sql)?.[1]?.toUpperCase() ?? ""));
    },
    inserted(fileId, firstId) {
      if (!triggered.has("INSERT")) insertRows.run(fileId, firstId);
    },
    change(event, id, write) {
      if (triggered.has(event)) {
        insertMissingRow.run(id);
        write();
        return;
      }
      unindex(id);
      write();
      if (event === "UPDATE") insertRow.run(id);
    },
  };
}
