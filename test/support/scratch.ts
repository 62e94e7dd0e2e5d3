import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";

/** A database file of its own for one test; everything that was opened through it is closed and deleted by `remove()`. */
export class ScratchDatabase {
  readonly directory: string;
  readonly path: string;
  readonly #open: Connection[] = [];

  /** @param sql schema and rows to begin with. */
  constructor(sql = "") {
    this.directory = mkdtempSync(join(tmpdir(), "code-analysis-"));
    this.path = join(this.directory, "test.db");
    const connection = this.connect();
    connection.exec(sql);
  }

  /** A connection as `config_cli` opens it. */
  connect(): Connection {
    const connection = openConnection(this.path, { role: "migration", mustExist: false });
    this.#open.push(connection);
    return connection;
  }

  /** The first connection. */
  get connection(): Connection {
    return this.#open[0] ?? this.connect();
  }

  remove(): void {
    for (const connection of this.#open) if (connection.open) connection.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

const scratches: ScratchDatabase[] = [];

/** A scratch database that `removeScratchDatabases()` (in `afterEach`) removes. */
export function scratchDatabase(sql = ""): ScratchDatabase {
  const scratch = new ScratchDatabase(sql);
  scratches.push(scratch);
  return scratch;
}

export function removeScratchDatabases(): void {
  for (const scratch of scratches.splice(0)) scratch.remove();
}

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
