import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { DriverError } from "../errors.js";
import { type Connection, openConnection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inspectSchema } from "./introspection.js";
import { countRows } from "./space.js";

export interface BackupOptions {
  /** Where the copy goes; made when it does not exist. */
  readonly directory: string;
  /** Part of the file name: `<database>.<time>.backup`. Default: now. */
  readonly time?: Date;
  /** Called with the name of the file before it is made, for who may have to remove what a killed process leaves. */
  readonly onStart?: (partialPath: string) => void;
  readonly onProgress?: (progress: { readonly donePages: number; readonly totalPages: number }) => void;
}

export interface Backup {
  readonly path: string;
  readonly bytes: number;
  /** Rows of every table, counted in the copy and equal to those of the original. */
  readonly rows: ReadonlyMap<string, number>;
}

/** 1,000 pages of 4 KiB: about ten milliseconds between two answers to the event loop. */
const PAGES_PER_ROUND = 1_000;

/**
 * Copies a database while others use it (https://sqlite.org/backup.html) and verifies the copy: `quick_check`, and as many rows
 * in every table as in the snapshot that was copied. The file gets its name only when it is proven and on disk.
 *
 * @throws DriverError when the copy cannot be written (`DISK_FULL`, `INTERNAL`) or differs (`DATABASE_CORRUPT`).
 */
export async function createBackup(connection: Connection, options: BackupOptions): Promise<Backup> {
  const { directory, time = new Date(), onProgress } = options;
  mkdirSync(directory, { recursive: true });
  const path = join(directory, `${basename(connection.name)}.${time.toISOString().replaceAll(":", "-")}.backup`);
  const partial = `${path}.partial`;
  options.onStart?.(partial);
  // Copy and counts come from one snapshot, whatever others write meanwhile.
  connection.exec("BEGIN");
  try {
    const expected = countAllRows(connection);
    // Nobody may read the copy who may not read the original.
    closeSync(openSync(partial, "wx", statSync(connection.name).mode & 0o777));
    await connection.backup(partial, {
      progress: ({ totalPages, remainingPages }) => {
        onProgress?.({ donePages: totalPages - remainingPages, totalPages });
        return PAGES_PER_ROUND;
      },
    });
    const rows = verify(partial, expected);
    synchronize(partial);
    renameSync(partial, path);
    return { path, bytes: statSync(path).size, rows };
  } catch (error) {
    rmSync(partial, { force: true });
    throw fromSqliteError(error);
  } finally {
    if (connection.inTransaction) connection.exec("COMMIT");
  }
}

function countAllRows(connection: Connection): Map<string, number> {
  const tables = [...inspectSchema(connection).tables.values()];
  return new Map(tables.map(({ name }) => [name, countRows(connection, name)]));
}

function verify(path: string, expected: ReadonlyMap<string, number>): Map<string, number> {
  const copy = openConnection(path, { role: "migration" });
  try {
    const check: unknown = copy.pragma("quick_check", { simple: true });
    if (check !== "ok") throw damaged(path, String(check));
    const rows = countAllRows(copy);
    for (const [table, count] of expected) {
      if (rows.get(table) !== count)
        throw damaged(path, `table ${table} has ${rows.get(table) ?? "no"} rows instead of ${count}`);
    }
    return rows;
  } finally {
    copy.close();
  }
}

function damaged(path: string, why: string): DriverError {
  return new DriverError("DATABASE_CORRUPT", `The backup ${path} is not like the original: ${why}.`, {
    hint: "Run `config_cli doctor` on the database; nothing was changed.",
  });
}

function synchronize(path: string): void {
  const file = openSync(path, "r");
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}
