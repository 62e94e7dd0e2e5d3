import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";

/** A directory of its own for real database files; removed at the end of the process. */
export function scratchDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "code-analysis-driver-"));
  process.on("exit", () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

let count = 0;

/** A new database file at a path that nobody used before, opened as the driver opens it. */
export function newDatabase(directory: string, sql = ""): { readonly path: string; readonly connection: Connection } {
  const path = join(directory, `${++count}.db`);
  const connection = openConnection(path, { role: "writer" });
  connection.exec(sql);
  return { path, connection };
}
