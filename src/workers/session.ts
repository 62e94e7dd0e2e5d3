import { DriverError } from "../errors.js";
import {
  assertProgramAllowed,
  assertTextAllowed,
  type Explain,
  type Opcode,
  type StatementText,
  selfTestStatementPolicy,
} from "../security/statement-policy.js";
import { type Connection, openConnection, type Statement } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { mentionsDriverTable } from "./driver-tables.js";
import type { WorkerLimits } from "./limits.js";

const MAX_CACHED_STATEMENTS = 512;
/** Longer ones, with values in their text most likely, are compiled each time: together they would fill the memory. */
const MAX_CACHED_CHARACTERS = 16_384;

/** What the compiled program of a client's statement shows beside what better-sqlite3 tells. */
export interface StatementFacts {
  /** Numbers of the parameters that are written `?N`. better-sqlite3 takes them for names. */
  readonly numberedParameters: readonly number[];
  /** True for an INSERT into a table with rowids that does not update instead: `last_insert_rowid()` is then its own. */
  readonly reportsRowid: boolean;
}

const NO_FACTS: StatementFacts = { numberedParameters: [], reportsRowid: false };

/** What operations run on: one connection with its statements, and what the current call may do. */
export class Session {
  readonly connection: Connection;
  readonly limits: WorkerLimits;
  /** Number that the commit of the running batch will have; 0 inside an interactive transaction and on a reader. */
  commitSeq = 0n;
  readonly #statements = new Map<string, Statement>();
  readonly #facts = new WeakMap<Statement, StatementFacts>();
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
    const statement = this.#prepare(sql);
    if (this.connection.readonly && !statement.readonly) {
      throw new DriverError("DATABASE_READ_ONLY", "The statement writes, and this call may only read.", {
        field: "sql",
      });
    }
    return statement;
  }

  /** Like `prepareClientStatement`, for a call that takes none that writes: that is `STATEMENT_NOT_ALLOWED` on any connection. */
  prepareReadingStatement(sql: string): Statement {
    const statement = this.#prepare(sql);
    if (!statement.readonly) {
      throw new DriverError("STATEMENT_NOT_ALLOWED", "Query takes statements that only read.", {
        field: "sql",
        hint: "Use Execute for a statement that writes.",
      });
    }
    return statement;
  }

  #prepare(sql: string): Statement {
    const cached = this.#statements.get(sql);
    if (cached !== undefined) {
      this.#statements.delete(sql);
      this.#statements.set(sql, cached);
      return cached;
    }
    const statement = this.#compile(sql, assertTextAllowed(sql));
    if (!statement.readonly && mentionsDriverTable(sql)) {
      throw new DriverError("STATEMENT_NOT_ALLOWED", "A client may not write what concerns the driver's own tables.", {
        field: "sql",
        hint: "Bind a text that only mentions their names as a parameter.",
      });
    }
    if (statement.reader) statement.raw(true);
    statement.safeIntegers(true);
    if (sql.length > MAX_CACHED_CHARACTERS) return statement;
    this.#statements.set(sql, statement);
    const oldest = this.#statements.size > MAX_CACHED_STATEMENTS ? this.#statements.keys().next().value : undefined;
    if (oldest !== undefined) this.#statements.delete(oldest);
    return statement;
  }

  /** What is known of a statement that `prepareClientStatement` gave. */
  factsOf(statement: Statement): StatementFacts {
    return this.#facts.get(statement) ?? NO_FACTS;
  }

  /** Rows that the last writing statement affected, and the rowid of the last inserted row. */
  changes(): readonly [bigint, bigint] {
    this.#changes ??= this.connection.prepare("SELECT changes(), last_insert_rowid()").raw(true).safeIntegers(true);
    return this.#changes.get() as [bigint, bigint];
  }

  #compile(sql: string, text: StatementText): Statement {
    try {
      const statement = this.connection.prepare(sql);
      // EXPLAIN changes nothing itself, and SQLite has no EXPLAIN of EXPLAIN.
      const explain = text.isExplain ? statement : this.connection.prepare(`EXPLAIN ${text.sql}`);
      const { rows, names } = allWithNulls(explain);
      const program = rows as Opcode[];
      if (!text.isExplain) assertProgramAllowed(program, text.keyword);
      const numberedParameters = names.filter((name) => /^\d+$/.test(name)).map(Number);
      this.#facts.set(statement, { numberedParameters, reportsRowid: reportsRowid(program) });
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
  return (sql) => allWithNulls(connection.prepare(`EXPLAIN ${sql}`)).rows as Opcode[];
}

/** Bits of P5 of the opcode Insert (https://sqlite.org/src/file/src/sqliteInt.h, OPFLAG_ISUPDATE and OPFLAG_LASTROWID). */
const InsertFlag = { IS_UPDATE: 0x04, LAST_ROWID: 0x20 } as const;

function reportsRowid(program: readonly Opcode[]): boolean {
  // Triggers follow, each with addresses of its own; what they insert is not the statement's.
  const end = program.findIndex(({ addr }, index) => index > 0 && addr === 0);
  const own = program.slice(0, end < 0 ? undefined : end);
  const inserts = own.filter(({ opcode }) => opcode === "Insert");
  if (inserts.some(({ p5 }) => (p5 & InsertFlag.IS_UPDATE) !== 0)) return false;
  // P1 of VUpdate is set where a virtual table takes a new row.
  const isIntoVirtual = own.some(({ opcode, p1 }) => opcode === "VUpdate" && p1 === 1);
  return isIntoVirtual || inserts.some(({ p5 }) => (p5 & InsertFlag.LAST_ROWID) !== 0);
}

/** SQLite's limit on the number of a parameter (https://sqlite.org/limits.html). */
const MAX_PARAMETERS = 32_766;
/** Up to this many are tried one after another. */
const USUAL_PARAMETERS = 8;

/**
 * All rows of a statement whose parameters are NULL, and the names of its named parameters. better-sqlite3 wants a value for each
 * but does not tell how many there are: an object that seems to have every name serves the named ones, and the others are counted
 * by bisection.
 */
function allWithNulls(statement: Statement): { rows: unknown[]; names: string[] } {
  const names = new Set<string>();
  const named = new Proxy(
    {},
    {
      getOwnPropertyDescriptor: (_target, name) => {
        names.add(String(name));
        return { value: null, configurable: true };
      },
      get: () => null,
    },
  );
  let low = 0;
  let high = MAX_PARAMETERS;
  for (let count = 0; ; count = low <= USUAL_PARAMETERS ? low : (low + high) >> 1) {
    try {
      return { rows: statement.all(...new Array<null>(count).fill(null), named), names: [...names] };
    } catch (error) {
      const isCount = error instanceof RangeError && /^Too (few|many) /.test(error.message);
      if (isCount && error.message.startsWith("Too few")) low = count + 1;
      else high = count - 1;
      if (!isCount || low > high) throw error;
    }
  }
}

/** Proves once per process that the statement gate works on this build of SQLite. */
export function assertStatementGateWorks(): void {
  const scratch = openConnection(":memory:", { role: "writer" });
  try {
    const pragmas = scratch.prepare("SELECT name FROM pragma_pragma_list").pluck().all() as string[];
    selfTestStatementPolicy(explainOn(scratch), pragmas);
  } finally {
    scratch.close();
  }
}
