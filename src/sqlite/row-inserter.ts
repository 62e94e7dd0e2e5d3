import type { Connection } from "./connection.js";
import { inMain, quoteIdentifier } from "./identifiers.js";

/** What SQLite can bind here; booleans are bound as 0 and 1 by the caller. */
export type BoundValue = string | number | bigint | Buffer | null;

/** Rows of one INSERT statement, largest first: most of the cost of a short row is the call into SQLite. */
const CHUNK_ROWS = [16, 1] as const;

/** Inserts rows into one table with few calls. Belongs to its connection and, like it, to one thread. */
export interface RowInserter {
  /** Inserts every row in `values`, the columns of one row after the other. */
  insert(values: readonly BoundValue[]): void;
}

/** Prepares the insertion of rows with these `columns` into `table`; the other columns get their defaults. */
export function createRowInserter(connection: Connection, table: string, columns: readonly string[]): RowInserter {
  const row = `(${columns.map(() => "?").join(",")})`;
  const head = `INSERT INTO ${inMain(table)} (${columns.map(quoteIdentifier).join(",")}) VALUES `;
  const chunks = CHUNK_ROWS.map((rows) => ({
    length: rows * columns.length,
    statement: connection.prepare<BoundValue[]>(head + Array(rows).fill(row).join(",")),
  }));
  return {
    insert(values) {
      let at = 0;
      for (const { length, statement } of chunks) {
        for (; at + length <= values.length; at += length) statement.run(...values.slice(at, at + length));
      }
    },
  };
}
