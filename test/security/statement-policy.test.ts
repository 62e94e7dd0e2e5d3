import assert from "node:assert/strict";
import {
  assertProgramAllowed,
  assertTextAllowed,
  type Explain,
  type Opcode,
  selfTestStatementPolicy,
} from "../../src/security/statement-policy.js";
import { openConnection } from "../../src/sqlite/connection.js";
import { failsWith } from "../support/session.js";

/** What SQLite's tokenizer skips in front of a keyword. */
const IN_FRONT = [
  "",
  " \t\r\n\f",
  ";",
  ";;",
  " ; ; ",
  "/**/",
  "/* x */",
  "/* /* nested does not nest */",
  "/*/ still open */",
  "/***/",
  "-- line\n",
  "--\n--\n",
  "-- a\r still the comment\n",
  "\uFEFF",
  "\uFEFF;\uFEFF",
  "/* ' \" ` [ */",
  "-- '\n;/* \n */",
];

/** Between two tokens. */
const BETWEEN = [" ", "\n", "/**/", "--\n", " /* ; */ ", " \uFEFF "];

const refused = failsWith("STATEMENT_NOT_ALLOWED", "sql");

describe("assertTextAllowed()", () => {
  const forbidden = [
    "ATTACH 'x' AS y",
    "attach database 'x' as y",
    "DETACH y",
    "VACUUM",
    "VACUUM INTO 'x'",
    "BEGIN",
    "BEGIN IMMEDIATE",
    "COMMIT",
    "END",
    "end transaction",
    "ROLLBACK",
    "ROLLBACK TO request",
    "SAVEPOINT x",
    "RELEASE request",
    "PRAGMA writable_schema = 1",
    "PRAGMA writable_schema",
    "pRaGmA Foreign_Keys = 0",
    "PRAGMA foreign_keys(0)",
    "EXPLAIN PRAGMA foreign_keys = 0",
    "EXPLAIN QUERY PLAN PRAGMA foreign_keys = 0",
    "EXPLAIN ATTACH 'x' AS y",
    "EXPLAIN EXPLAIN SELECT 1",
    "EXPLAIN BEGIN",
  ];

  it("refuses what is not for clients, whatever stands in front", () => {
    for (const statement of forbidden) {
      for (const front of IN_FRONT) {
        assert.throws(() => assertTextAllowed(front + statement), refused, JSON.stringify(front + statement));
      }
    }
  });

  it("reads what has millions of characters in front of a keyword or in a name", () => {
    const long = 16_000_000;
    const fronts = [
      " ".repeat(long),
      ";".repeat(long),
      "--\n".repeat(long / 3),
      "/**/".repeat(long / 4),
      `--${"😀".repeat(long / 2)}\n`,
      `/*${"*".repeat(long)}*/`,
    ];
    for (const front of fronts) {
      assert.equal(assertTextAllowed(`${front}SELECT 1`).sql, "SELECT 1");
      assert.throws(() => assertTextAllowed(`${front}VACUUM`), refused);
    }
    const word = "a".repeat(long);
    for (const name of [word, `"${word}`, `"${word}"`, `'${"''".repeat(long / 2)}'`, `[${word}]`, `\`${word}`]) {
      assert.throws(() => assertTextAllowed(`PRAGMA ${name}`), refused);
    }
    assert.throws(() => assertTextAllowed("é".repeat(long)), failsWith("SQL_ERROR", "sql"));
  });

  it("refuses to set a PRAGMA, however it is spelled", () => {
    const names = [
      "user_version",
      '"user_version"',
      "'user_version'",
      "`user_version`",
      "[user_version]",
      "USER_Version",
    ];
    const schemas = ["", "main.", '"main".', "main . ", "temp.", "main/**/./**/"];
    const values = ["=1", " = 1", "(1)", " ( 1 )", "=-1", "='x'", "=\n1", "/**/=1", "--\n(1)"];
    for (const between of BETWEEN) {
      for (const name of names) {
        for (const schema of schemas) {
          assertTextAllowed(`PRAGMA${between}${schema}${name}`);
          for (const value of values) {
            const sql = `PRAGMA${between}${schema}${name}${value}`;
            assert.throws(() => assertTextAllowed(sql), refused, sql);
          }
        }
      }
    }
  });

  it("refuses PRAGMAs that it does not know, odd names among them", () => {
    const names = [
      "optimize",
      "wal_checkpoint",
      "wal_checkpoint(TRUNCATE)",
      "incremental_vacuum",
      "case_sensitive_like",
      "shrink_memory",
      "cache_size",
      "mmap_size",
      "locking_mode",
      "trusted_schema",
      "defer_foreign_keys",
      "ignore_check_constraints",
      "recursive_triggers",
      "reverse_unordered_selects",
      "legacy_alter_table",
      "busy_timeout",
      "query_only",
      "temp_store",
      "max_page_count",
      "nonsense",
      "",
      "main.",
      "main.main.user_version",
      "constructor",
      "__proto__",
      "hasOwnProperty",
      '"user_version',
      '""',
      '"user_version""x"',
      "user_version\u200b",
    ];
    for (const name of names) assert.throws(() => assertTextAllowed(`PRAGMA ${name}`), refused, name);
  });

  it("takes PRAGMAs that look something up, with what to look up in parentheses only", () => {
    for (const sql of [
      "PRAGMA table_info(t)",
      "PRAGMA main.index_list('i')",
      "pragma FOREIGN_KEY_CHECK",
      "PRAGMA integrity_check(5)",
    ]) {
      assertTextAllowed(sql);
    }
    for (const sql of ["PRAGMA table_info = t", "PRAGMA integrity_check=5"]) {
      assert.throws(() => assertTextAllowed(sql), refused);
    }
  });

  it("takes statements for clients, whatever stands in front, and gives them without it", () => {
    const statements = [
      "SELECT 1",
      "values (1)",
      "WITH x AS (SELECT 1) INSERT INTO t SELECT * FROM x",
      "INSERT OR ROLLBACK INTO t VALUES (1)",
      "REPLACE INTO t VALUES (1)",
      "UPDATE t SET a = 1",
      "DELETE FROM t",
      "CREATE TABLE t (a)",
      "DROP TABLE t",
      "ALTER TABLE t ADD b",
      "ANALYZE",
      "REINDEX",
      "PRAGMA user_version",
      "EXPLAIN SELECT 1",
      "explain query plan select 1",
    ];
    for (const statement of statements) {
      for (const front of IN_FRONT) assert.equal(assertTextAllowed(front + statement).sql, statement);
    }
    const { keyword, isExplain } = assertTextAllowed("/**/explain/**/query/**/plan/**/with x as (select 1) select 1");
    assert.deepEqual([keyword, isExplain], ["WITH", true]);
  });

  it("does not take a part of a longer word for a keyword", () => {
    for (const sql of [
      "SELECTX 1",
      "SELECT$ 1",
      "SELECTé",
      "\u00a0SELECT 1",
      "\u200bSELECT 1",
      "_SELECT",
      "1SELECT",
      '"SELECT" 1',
      "\vSELECT 1",
      "VACUUMX",
    ]) {
      assert.throws(() => assertTextAllowed(sql), failsWith("SQL_ERROR", "sql"), JSON.stringify(sql));
    }
    for (const sql of [
      "SELECT(1)",
      "SELECT'x'",
      "SELECT-1",
      "SELECT/**/1",
      "VALUES(1)",
      "SELECT*FROM t",
      'SELECT"a"FROM t',
    ]) {
      assertTextAllowed(sql);
    }
  });

  it("says when there is no statement", () => {
    for (const sql of ["", " ", ";", ";;", "-- x", "/* x */", "/* open", "\uFEFF", "-- x\n;/**/"]) {
      assert.throws(() => assertTextAllowed(sql), failsWith("INVALID_REQUEST", "sql"), JSON.stringify(sql));
    }
  });

  it("lets nobody define what would hide SQLite's own functions", () => {
    for (const sql of [
      "CREATE TABLE pragma_table_list (a)",
      'CREATE VIEW "Pragma_x" AS SELECT 1',
      "ALTER TABLE t RENAME TO [pragma_table_info]",
    ]) {
      assert.throws(() => assertTextAllowed(sql), refused);
    }
    assertTextAllowed("SELECT * FROM pragma_table_list");
    assertTextAllowed("CREATE TABLE my_pragma_x (a)");
  });

  it("takes little time for a text of any kind", () => {
    const size = 2_000_000;
    const texts = [
      "/*".repeat(size),
      "'".repeat(size - 1),
      '"'.repeat(size),
      "-".repeat(size),
      ";".repeat(size),
      "[".repeat(size),
      " ".repeat(size),
      "--\n".repeat(size),
      "/**/".repeat(size),
      `SELECT '${"x".repeat(size)}`,
    ];
    for (const text of texts) {
      const started = process.hrtime.bigint();
      try {
        assertTextAllowed(text);
      } catch (error) {
        if (!(error instanceof Error) || error.name !== "DriverError") throw error;
      }
      const tookMs = Number(process.hrtime.bigint() - started) / 1e6;
      assert.ok(tookMs < 2_000, `${text.slice(0, 4)}… took ${tookMs} ms`);
    }
  });
});

describe("assertProgramAllowed()", () => {
  const op = (opcode: string, p1 = 0, p2 = 0, p3 = 0, p4: string | null = null): Opcode => ({
    addr: 0,
    opcode,
    p1,
    p2,
    p3,
    p4,
    p5: 0,
  });

  it("refuses what would end the driver's transaction, reconfigure it or reach outside", () => {
    const forbidden = [
      op("AutoCommit", 1),
      op("Savepoint"),
      op("Vacuum"),
      op("Checkpoint"),
      op("IncrVacuum"),
      op("JournalMode", 0, 1, 0),
      op("JournalMode", 0, 1, 5),
      op("Function", 0, 0, 0, "sqlite_attach(3)"),
      op("PureFunc", 0, 0, 0, "load_extension(1)"),
      op("Transaction", 1, 1),
      op("OpenWrite", 0, 1, 1),
      op("CreateBtree", 1, 2),
    ];
    for (const opcode of forbidden) {
      assert.throws(() => assertProgramAllowed([op("Init"), opcode, op("Halt")]), refused, opcode.opcode);
    }
  });

  it("takes what reads TEMP, asks for the journal mode, or alters a table", () => {
    assertProgramAllowed([op("Transaction", 1, 0), op("OpenRead", 0, 1, 1), op("JournalMode", 0, 1, -1)]);
    assertProgramAllowed([op("Transaction", 1, 1), op("OpenWrite", 0, 1, 1)], "ALTER");
  });
});

describe("selfTestStatementPolicy()", () => {
  let explain: Explain;
  let pragmas: string[];
  before(() => {
    const connection = openConnection(":memory:", { role: "writer" });
    explain = (sql) => connection.prepare(`EXPLAIN ${sql}`).all() as Opcode[];
    pragmas = connection.prepare("SELECT name FROM pragma_pragma_list").pluck().all() as string[];
  });

  it("is content with this build of SQLite", () => {
    assert.ok(pragmas.includes("optimize"));
    selfTestStatementPolicy(explain, pragmas);
  });

  const otherBuilds: Readonly<Record<string, (sql: string) => readonly Opcode[]>> = {
    "gives its opcodes other names": (sql) =>
      explain(sql).map((line) => ({ ...line, opcode: line.opcode.toLowerCase() })),
    "numbers its databases otherwise": (sql) => explain(sql).map((line) => ({ ...line, p1: line.p1 + 1 })),
    "takes SAVEPOINT for nothing": (sql) => (sql.startsWith("SAVEPOINT") ? [] : explain(sql)),
    "asks for the journal mode in every statement": (sql) => [
      ...explain(sql),
      { addr: 0, opcode: "JournalMode", p1: 0, p2: 0, p3: 0, p4: null, p5: 0 },
    ],
    "explains nothing": () => {
      throw new Error("no EXPLAIN");
    },
    "has one more PRAGMA that is a table with an argument": (sql) =>
      sql.includes("pragma_user_version") ? [] : explain(sql),
  };
  for (const [what, explainOther] of Object.entries(otherBuilds)) {
    it(`fails on a build that ${what}`, () => {
      assert.throws(() => selfTestStatementPolicy(explainOther, pragmas), {
        reason: "INTERNAL",
        message: /^The statement gate/,
      });
    });
  }
});
