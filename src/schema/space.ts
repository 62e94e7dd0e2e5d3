import { statfsSync } from "node:fs";
import { dirname } from "node:path";
import type { Connection } from "../sqlite/connection.js";
import { inMain } from "../sqlite/identifiers.js";
import type { Problem, TableSize } from "./plan.js";

/** Rows of a table of the main database. */
export function countRows(connection: Connection, table: string): number {
  return (
    connection
      .prepare<[], number>(`SELECT count(*) FROM ${inMain(table)}`)
      .pluck()
      .get() ?? 0
  );
}

/** Rows and bytes of a table and its indexes (https://sqlite.org/dbstat.html). */
export function measureTable(connection: Connection, table: string): TableSize {
  const sizes = connection
    .prepare<[string], { isExplicit: number; bytes: number | null }>(
      "SELECT type = 'index' AND sql IS NOT NULL AS isExplicit, " +
        "sum((SELECT pgsize FROM dbstat AS s WHERE s.name = o.name AND s.aggregate = TRUE)) AS bytes " +
        "FROM main.sqlite_schema AS o WHERE tbl_name = ? COLLATE NOCASE AND type IN ('table', 'index') GROUP BY 1",
    )
    .all(table);
  const [own = 0, explicit = 0] = [0, 1].map((kind) => sizes.find((row) => row.isExplicit === kind)?.bytes ?? 0);
  return { table, rows: countRows(connection, table), bytes: own + explicit, indexBytes: explicit };
}

/** What a run writes: the new copies, and the same again into the WAL or rollback journal. */
export function neededSpace(sizes: readonly TableSize[]): number {
  return 2 * sizes.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** A problem when the file may not grow to hold a second copy of the largest table, or when the disk is too small. */
export function inspectSpace(connection: Connection, sizes: readonly TableSize[]): Problem[] {
  const read = (pragma: string) => Number(connection.pragma(pragma, { simple: true }));
  const problems: Problem[] = [];
  const shortage = { object: connection.name, rows: 0, sampleRowids: [] };
  const growable = (read("max_page_count") - read("page_count") + read("freelist_count")) * read("page_size");
  // The pages of the dropped indexes take the first part of the copy, those of a dropped copy the next table.
  const growth = Math.max(0, ...sizes.map(({ bytes, indexBytes }) => bytes - 2 * indexBytes));
  if (growable < growth) {
    const message = `The database may grow by ${growable} bytes (max_page_count) but the run needs ${growth}.`;
    problems.push({ ...shortage, message, hint: "Raise PRAGMA max_page_count." });
  }
  if (connection.memory || connection.name === "") return problems;
  const neededBytes = neededSpace(sizes);
  const { bavail, bsize } = statfsSync(dirname(connection.name));
  if (bavail * bsize < neededBytes) {
    const message = `The disk of ${connection.name} has ${bavail * bsize} bytes free but the run needs ${neededBytes}.`;
    problems.push({ ...shortage, message, hint: "Free space on that disk." });
  }
  return problems;
}
