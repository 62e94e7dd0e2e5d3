import { DriverError } from "../errors.js";
import {
  assertProgramAllowed,
  assertTextAllowed,
  type Explain,
  type Opcode,
  selfTestStatementPolicy,
} from "../security/statement-policy.js";
import { type Connection, openConnection, type Statement } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import type { WorkerLimits } from "./limits.js";

const MAX_CACHED_STATEMENTS = 512;

/** What operations run on: one connection with its statements, and what the current call may do. */
export class Session {
  readonly connection: Connection;
  readonly limits: WorkerLimits;
  /** Number that the commit of the running batch will have; 0 inside an interactive transaction and on a reader. */
  commitSeq = 0n;
  readonly #statements = new Map<string, Statement>();
  #changes: Statement | undefined;

  constructor(connection: Connection, limits: WorkerLimits) {
    this.connection = connection;
    this.limits = limits;
  }

  /**
   * Compiles a statement of a client after the policy allowed it; the statement answers rows as arrays with exact integers.
   * Text, compiled statement and verdict are kept, least recently used last.
   *
   * @throws DriverError `STATEMENT_NOT_ALLOWED`, `SQL_ERROR`, `INVALID_REQUEST` for several statements in one text, or
   *   `DATABASE_READ_ONLY` for a statement that writes on a read-only connection.
   */
  prepareClientStatement(sql: string): Statement {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, cached);
      return cached;
    }
    assertTextAllowed(sql);
    const statement = this.#compile(sql);
    if (this.connection.readonly && !statement.readonly) {
      throw new DriverError("DATABASE_READ_ONLY", "The statement writes, and this call may only read.", {
        field: "sql",
      });
    }
    if (statement.reader) statement.raw(true);
    statement.safeIntegers(true);
    this.#statements.set(sql, statement);
    const oldest = this.#statements.size > MAX_CACHED_STATEMENTS ? this.#statements.keys().next().value : undefined;
    if (oldest !== undefined) this.#statements.delete(oldest);
    return statement;
  }

  /** Rows that the last writing statement affected, and the rowid of the last inserted row. */
  changes(): readonly [bigint, bigint] {
    this.#changes ??= this.connection.prepare("SELECT changes(), last_insert_rowid()").raw(true).safeIntegers(true);
    return this.#changes.get() as [bigint, bigint];
  }

  #compile(sql: string): Statement {
    try {
      const statement = this.connection.prepare(sql);
      // EXPLAIN changes nothing itself, and SQLite has no EXPLAIN of EXPLAIN.
      if (!/^\s*EXPLAIN/i.test(sql)) assertProgramAllowed(explainOn(this.connection)(sql));
      return statement;
    } catch (error) {
      const converted = fromSqliteError(error);
      if (converted.reason !== "SQL_ERROR" && converted.reason !== "INVALID_REQUEST") throw converted;
      throw new DriverError(converted.reason, `The statement cannot be compiled: ${converted.message}.`, {
        field: "sql",
        cause: error,
        ...(converted.sqliteCode !== undefined && { sqliteCode: converted.sqliteCode }),
      });
    }
  }
}

function explainOn(connection: Connection): Explain {
  return (sql) => allWithNulls(connection.prepare(`EXPLAIN ${sql}`)) as Opcode[];
}

/** SQLite's limit on the number of a parameter (https://sqlite.org/limits.html). */
const MAX_PARAMETERS = 32_766;

/**
 * All rows of a statement whose parameters are NULL. better-sqlite3 wants a value for each but does not tell how many there are:
 * an object that seems to have every name serves the named ones, and the others are counted by trying.
 */
function allWithNulls(statement: Statement): unknown[] {
  const named = new Proxy({}, { getOwnPropertyDescriptor: () => ({ value: null, configurable: true }), get: () => null });
  for (let count = 0; ; count++) {
    try {
      return statement.all(...new Array<null>(count).fill(null), named);
    } catch (error) {
      const isMissingSome = error instanceof RangeError && error.message.startsWith("Too few");
      if (!isMissingSome || count === MAX_PARAMETERS) throw error;
    }
  }
}

/** Proves once per process that the statement gate works on this build of SQLite. */
export function assertStatementGateWorks(): void {
  const scratch = openConnection(":memory:", { role: "writer" });
  try {
    selfTestStatementPolicy(explainOn(scratch));
  } finally {
    scratch.close();
  }
}
