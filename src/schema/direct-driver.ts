import { DriverError } from "../errors.js";
import { type Connection, openConnection } from "../sqlite/connection.js";
import { SQLiteSchemaManager } from "./schema-manager.js";

/** A database that is open in this process, without a driver process in between. */
export interface DirectDriver {
  /** For migrations: foreign keys are off, the journal mode is what the file has. Stays the driver's. */
  readonly connection: Connection;
  /** The part of the schema that the driver process also has. */
  readonly schema: SQLiteSchemaManager;
  close(): void;
}

export interface DirectDriverOptions {
  /** The database file; it must exist. */
  readonly path: string;
}

/** The environment variables of which one must be 1 in a process that opens a database directly. */
export const DIRECT_DRIVER_VARIABLES = ["CODE_ANALYSIS_DB_DRIVER", "CODE_ANALYSIS_DB_WORKER"] as const;

const DRIVERS: Readonly<Record<string, (options: DirectDriverOptions) => DirectDriver>> = { sqlite: openSqlite };

/**
 * Opens a database in this process. Everybody else asks the driver process, which owns its file; so a process must say on
 * purpose that it may, by an environment variable.
 *
 * @param name `sqlite`.
 * @throws DriverError `ROLE_NOT_ALLOWED` without the variable, `INVALID_REQUEST` for an unknown name, and what
 *   `openConnection` throws.
 */
export function createDriver(name: string, options: DirectDriverOptions): DirectDriver {
  if (!DIRECT_DRIVER_VARIABLES.some((variable) => process.env[variable] === "1")) {
    throw new DriverError("ROLE_NOT_ALLOWED", "This process may not open a database directly.", {
      hint: `Use the driver process over gRPC, or set ${DIRECT_DRIVER_VARIABLES.join("=1 or ")}=1 on purpose.`,
    });
  }
  const open = Object.hasOwn(DRIVERS, name) ? DRIVERS[name] : undefined;
  if (open === undefined) {
    throw new DriverError("INVALID_REQUEST", `There is no database driver ${JSON.stringify(name)}.`, {
      hint: `Known drivers: ${Object.keys(DRIVERS).join(", ")}.`,
    });
  }
  return open(options);
}

function openSqlite({ path }: DirectDriverOptions): DirectDriver {
  const connection = openConnection(path, { role: "migration" });
  return { connection, schema: new SQLiteSchemaManager(connection), close: () => connection.close() };
}
