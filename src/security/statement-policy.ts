import { DriverError } from "../errors.js";

/** One row of `EXPLAIN` (https://sqlite.org/opcode.html), as far as the policy reads it. */
export interface Opcode {
  readonly addr: number;
  readonly opcode: string;
  readonly p1: number;
  readonly p2: number;
  readonly p3: number;
  readonly p4: string | null;
  readonly p5: number;
}

/** What the policy knows of a statement from its text. */
export interface StatementText {
  /** The keyword that decides its kind, in capitals; behind EXPLAIN and EXPLAIN QUERY PLAN, if they are there. */
  readonly keyword: string;
  readonly isExplain: boolean;
  /** The statement without the comments and empty statements in front of it. */
  readonly sql: string;
}

/** Compiles one statement with `EXPLAIN` in front and returns its program. */
export type Explain = (sql: string) => readonly Opcode[];

/**
 * Statements that a client may send, by first keyword. SQLite's grammar decides the kind of a statement by that keyword, so what
 * is not here cannot be sent: ATTACH, DETACH (files anywhere), VACUUM (rewrites the file), BEGIN, COMMIT, END, ROLLBACK,
 * SAVEPOINT, RELEASE (the driver owns transactions: `BeginTransaction`).
 */
const ALLOWED_KEYWORDS = new Set(
  "SELECT VALUES WITH INSERT REPLACE UPDATE DELETE CREATE DROP ALTER ANALYZE REINDEX PRAGMA EXPLAIN".split(" "),
);

/** The other words that begin a statement (https://sqlite.org/lang.html); what is in neither list is no SQL. */
const FORBIDDEN_KEYWORDS = new Set("ATTACH BEGIN COMMIT DETACH END RELEASE ROLLBACK SAVEPOINT VACUUM".split(" "));

/**
 * PRAGMAs that only read. `prepare` alone executes some PRAGMAs, so this list is checked on the text before SQLite sees it. The
 * value says whether an argument may follow: for these it names what to look at; for the others it would set something.
 */
const ALLOWED_PRAGMAS: Readonly<Record<string, "argument" | "plain">> = {
  application_id: "plain",
  collation_list: "plain",
  compile_options: "plain",
  data_version: "plain",
  database_list: "plain",
  encoding: "plain",
  foreign_key_check: "argument",
  foreign_key_list: "argument",
  foreign_keys: "plain",
  freelist_count: "plain",
  function_list: "plain",
  index_info: "argument",
  index_list: "argument",
  index_xinfo: "argument",
  integrity_check: "argument",
  journal_mode: "plain",
  module_list: "plain",
  page_count: "plain",
  page_size: "plain",
  pragma_list: "plain",
  quick_check: "argument",
  schema_version: "plain",
  synchronous: "plain",
  table_info: "argument",
  table_list: "argument",
  table_xinfo: "argument",
  user_version: "plain",
};

/** Opcodes that no allowed statement needs; they would end the driver's transaction or reconfigure its connection. */
const FORBIDDEN_OPCODES = new Set(["AutoCommit", "Savepoint", "Vacuum", "Checkpoint", "IncrVacuum"]);

/** P3 of JournalMode when it only asks, as in DROP TABLE IF EXISTS of a table that is not there. */
const JOURNAL_MODE_QUERY = -1;

/**
 * SQLite also offers PRAGMAs as tables, `pragma_table_info(…)` for example. Only those that it takes for free of side effects, but
 * it is wrong about one: a SELECT from this table runs ANALYZE, which writes, and the statement is read-only by its own account.
 */
const FORBIDDEN_PRAGMA_TABLE = /(?<![\p{L}\p{N}_$])pragma_optimize(?![\p{L}\p{N}_$])/iu;

/** Functions that reach outside the database. */
const FORBIDDEN_FUNCTIONS = new Set(["sqlite_attach", "sqlite_detach", "load_extension"]);

/** Number of the TEMP database on a connection (https://sqlite.org/pragma.html#pragma_database_list). */
const TEMP_DATABASE = 1;

/**
 * Checks the text of a statement before SQLite compiles it.
 *
 * @throws DriverError `STATEMENT_NOT_ALLOWED`, `SQL_ERROR` for what begins like no statement, or `INVALID_REQUEST` for a text that
 *   is empty or has a NUL.
 */
export function assertTextAllowed(sql: string): StatementText {
  // SQLite stops reading there, and everybody else would go on.
  if (sql.includes("\0")) {
    throw new DriverError("INVALID_REQUEST", "The statement has a NUL in it.", {
      field: "sql",
      hint: "Bind a text with a NUL as a parameter.",
    });
  }
  const tokens = leadingTokens(sql);
  const first = tokens.next().value;
  if (first === undefined) {
    throw new DriverError("INVALID_REQUEST", "The statement is empty.", { field: "sql" });
  }
  const next = () => tokens.next().value?.text ?? "";
  let keyword = first.text.toUpperCase();
  const isExplain = keyword === "EXPLAIN";
  if (isExplain) {
    keyword = next().toUpperCase();
    if (keyword === "QUERY") {
      next(); // PLAN
      keyword = next().toUpperCase();
    }
    if (keyword === "EXPLAIN") refuse("nested EXPLAIN");
  }
  if (FORBIDDEN_KEYWORDS.has(keyword)) refuse(keyword);
  if (!ALLOWED_KEYWORDS.has(keyword)) {
    throw new DriverError("SQL_ERROR", `No statement begins with ${JSON.stringify(keyword)}.`, { field: "sql" });
  }
  if (keyword === "PRAGMA") assertPragmaAllowed(next);
  if (FORBIDDEN_PRAGMA_TABLE.test(sql)) refuse("pragma_optimize");
  if (keyword === "CREATE" || keyword === "ALTER") assertDefinitionAllowed(sql);
  return { keyword, isExplain, sql: sql.slice(first.start) };
}

/**
 * Checks SQL that defines objects. A table called `pragma_table_list` would stand in front of SQLite's function of that name, with
 * which programs read the schema. Names have one spelling in SQLite, so the text shows them all.
 *
 * @throws DriverError `STATEMENT_NOT_ALLOWED`.
 */
export function assertDefinitionAllowed(sql: string): void {
  if (/(?<![\p{L}\p{N}_$])pragma_/iu.test(sql)) refuse("names that begin with pragma_ in a definition");
}

/**
 * Checks the compiled program of a statement whose text was allowed.
 *
 * @param keyword the one of the text. ALTER TABLE looks through the TEMP schema for what mentions the table, and since nothing
 *   is ever created there, nothing is changed there.
 * @throws DriverError `STATEMENT_NOT_ALLOWED`.
 */
export function assertProgramAllowed(program: readonly Opcode[], keyword = ""): void {
  for (const { opcode, p1, p2, p3, p4 } of program) {
    if (FORBIDDEN_OPCODES.has(opcode)) refuse(`the operation ${opcode}`);
    if (opcode === "JournalMode" && p3 !== JOURNAL_MODE_QUERY) refuse("the operation JournalMode");
    // A TEMP table would shadow a real one of the same name for every other client of the connection.
    const writesTemp =
      (opcode === "Transaction" && p1 === TEMP_DATABASE && p2 > 0) ||
      (opcode === "OpenWrite" && p3 === TEMP_DATABASE) ||
      (opcode === "CreateBtree" && p1 === TEMP_DATABASE);
    if (writesTemp && keyword !== "ALTER") refuse("TEMP objects");
    if ((opcode === "Function" || opcode === "PureFunc") && p4 !== null) {
      const name = p4.split("(", 1)[0] ?? "";
      if (FORBIDDEN_FUNCTIONS.has(name)) refuse(`the function ${name}`);
    }
  }
}

/**
 * Opcodes are no stable interface of SQLite: proves on this build, against an empty database, that the gate still sees what it
 * must. Run once per process, before the first client statement.
 *
 * @param pragmas the names of all PRAGMAs of this build. As a table, one that takes an argument could set something.
 * @throws DriverError `INTERNAL` naming the statement that slipped through or was refused wrongly.
 */
export function selfTestStatementPolicy(explain: Explain, pragmas: readonly string[]): void {
  const isRefused = (sql: string, check: () => void): boolean => {
    try {
      check();
      return false;
    } catch (error) {
      if (error instanceof DriverError && error.reason === "STATEMENT_NOT_ALLOWED") return true;
      throw new DriverError("INTERNAL", `The statement gate cannot be tested with ${sql}.`, { cause: error });
    }
  };
  const mustRefuse = [
    "CREATE TEMP TABLE t(x)",
    "CREATE TABLE temp.t(x)",
    "CREATE VIRTUAL TABLE temp.t USING fts5(x)",
    "CREATE TEMP VIEW v AS SELECT 1",
    "BEGIN",
    "SAVEPOINT s",
    "VACUUM",
    "SELECT load_extension('x')",
  ];
  const mustAllow = [
    "SELECT 1",
    "CREATE TABLE t(x)",
    "DROP TABLE IF EXISTS t",
    "WITH t(x) AS (SELECT 1) SELECT * FROM t ORDER BY x",
  ];
  for (const sql of mustRefuse) {
    if (!isRefused(sql, () => assertProgramAllowed(explain(sql)))) {
      throw new DriverError("INTERNAL", `The statement gate does not recognise ${sql} on this build of SQLite.`);
    }
  }
  for (const sql of mustAllow) {
    if (isRefused(sql, () => assertProgramAllowed(explain(sql)))) {
      throw new DriverError("INTERNAL", `The statement gate refuses ${sql} on this build of SQLite.`);
    }
  }
  for (const name of ["table_info", ...pragmas]) {
    const sql = `SELECT 1 FROM pragma_${name} WHERE arg = 1`;
    const takesArgument = compiles(explain, sql);
    if (name === "table_info" && !takesArgument) {
      throw new DriverError("INTERNAL", `The statement gate cannot be tested with ${sql}.`);
    }
    if (takesArgument && ALLOWED_PRAGMAS[name] !== "argument" && !FORBIDDEN_PRAGMA_TABLE.test(sql)) {
      throw new DriverError("INTERNAL", `The statement gate does not know pragma_${name} of this build of SQLite.`);
    }
  }
}

function compiles(explain: Explain, sql: string): boolean {
  try {
    explain(sql);
    return true;
  } catch {
    // There is no such table, or it takes no argument.
    return false;
  }
}

function assertPragmaAllowed(nextToken: () => string): void {
  let name = nextToken();
  let next = nextToken();
  if (next === ".") {
    name = nextToken();
    next = nextToken();
  }
  const allowed = Object.hasOwn(ALLOWED_PRAGMAS, unquote(name)) ? ALLOWED_PRAGMAS[unquote(name)] : undefined;
  if (allowed === undefined) refuse(`PRAGMA ${name}`);
  const hasArgument = next === "=" || next === "(";
  if (hasArgument && (allowed === "plain" || next === "=")) refuse(`PRAGMA ${name} with a value`);
}

function unquote(name: string): string {
  const bare = /^(["'`]).*\1$/s.test(name) || /^\[.*\]$/s.test(name) ? name.slice(1, -1) : name;
  return bare.toLowerCase();
}

/**
 * The tokens at the start of a statement, without white space, comments, byte order marks and empty statements: all that SQLite's
 * tokenizer skips in front of a keyword (https://sqlite.org/src/file/src/tokenize.c).
 */
function* leadingTokens(sql: string): Generator<{ readonly text: string; readonly start: number }, void> {
  let isFirst = true;
  for (let start = 0, end = 0; start < sql.length; start = end) {
    const skipped = skippedEnd(sql, start);
    end = skipped ?? tokenEnd(sql, start);
    const text = sql.slice(start, end);
    if (skipped !== undefined || (isFirst && text === ";")) continue;
    isFirst = false;
    yield { text, start };
  }
}

/**
 * Where the white space or comment ends that begins at `start`; undefined when none does. Here and below the end is searched for:
 * a pattern for all of it would take stack for each character of a text that may have millions.
 */
function skippedEnd(sql: string, start: number): number | undefined {
  if (sql.startsWith("--", start)) return endAfter(sql, "\n", start + 2) ?? sql.length;
  if (sql.startsWith("/*", start)) return endAfter(sql, "*/", start + 2) ?? sql.length;
  const end = endOfRun(sql, /[^ \t\n\f\r\uFEFF]/g, start);
  return end === start ? undefined : end;
}

/** Where the token ends that begins at `start`: a quoted name or text, a word, or one character of any other kind. */
function tokenEnd(sql: string, start: number): number {
  const first = sql.charAt(start);
  if (first === "[") return endAfter(sql, "]", start + 1) ?? start + 1;
  if (first === '"' || first === "'" || first === "`") return quotedEnd(sql, first, start) ?? start + 1;
  return Math.max(endOfRun(sql, /[^\w$\u0080-\uFFFF]/g, start), start + 1);
}

/** Two quotes within stand for one. */
function quotedEnd(sql: string, quote: string, start: number): number | undefined {
  let end = endAfter(sql, quote, start + 1);
  while (end !== undefined && sql.charAt(end) === quote) end = endAfter(sql, quote, end + 1);
  return end;
}

function endAfter(sql: string, what: string, start: number): number | undefined {
  const at = sql.indexOf(what, start);
  return at === -1 ? undefined : at + what.length;
}

/** The first place from `start` on that has one of the characters in `others`, a global pattern. */
function endOfRun(sql: string, others: RegExp, start: number): number {
  others.lastIndex = start;
  return others.exec(sql)?.index ?? sql.length;
}

function refuse(what: string): never {
  throw new DriverError("STATEMENT_NOT_ALLOWED", `A client may not use ${what}.`, {
    field: "sql",
    hint: "The driver owns transactions, connection settings and attached files.",
  });
}
