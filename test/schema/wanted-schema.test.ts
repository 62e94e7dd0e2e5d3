import assert from "node:assert/strict";
import { BUILT_IN_SCHEMA, wantedObjects } from "../../src/schema/built-in-schema.js";
import { normalizeSql, tokenize } from "../../src/schema/tokens.js";
import { objectsOf, readTrustedObjects, readWantedSchema, splitStatements } from "../../src/schema/wanted-schema.js";

describe("readWantedSchema()", () => {
  const mistakes: readonly [name: string, sql: string, message: RegExp][] = [
    ["a superfluous comma", "CREATE TABLE t (\n  a,\n  b,,\n  c);", /line 3, column 5: near ",": syntax error/],
    ["a misspelt keyword", "-- first\n\nCREATE TABL t (a);", /line 3, column 1: only CREATE TABLE/],
    ["a repeated column", "CREATE TABLE t (a,\n b,\n a);", /line 3, column 2: duplicate column name: a/],
    ["a repeated table", "CREATE TABLE t (a);\nCREATE TABLE T (a);", /line 2, column 1: table T already exists/],
    ["an unknown column", "CREATE TABLE t (a CHECK (\n zz > 1));", /line 2, column 2: no such column: zz/],
    ["a missing parenthesis", "CREATE TABLE t (a,\n b", /line 2, column 3: incomplete input/],
    ["a statement that is no CREATE", "CREATE TABLE t (a);\n  DROP TABLE t;", /line 2, column 3: only CREATE TABLE/],
    ["a TEMP table", "CREATE TEMP TABLE t (a);", /line 1, column 1: only CREATE TABLE/],
    [
      "a SELECT in place of columns",
      "CREATE TABLE IF NOT EXISTS t\n AS SELECT 1;",
      /line 2, column 2: a table is declared/,
    ],
    [
      "a text that is not closed",
      "CREATE TABLE t (a,\n b TEXT DEFAULT 'open);\nCREATE TABLE u (a);\n",
      /line 2, column 17: the text or name that begins with 'open\); is not closed\.$/,
    ],
    ["a name that is not closed", 'CREATE TABLE t (a,\n "b);', /line 2, column 2: unrecognized token: ""b\);"/],
    ["an unknown table", "CREATE TABLE t (a);\nCREATE INDEX i ON u (a);", /line 2, column 1: no such table: main\.u/],
  ];
  for (const [name, sql, message] of mistakes) {
    it(`says where ${name} stands`, () => {
      assert.throws(
        () => readWantedSchema(sql),
        (error: Error) => message.test(error.message) || assert.fail(error.message),
      );
    });
  }

  it("takes AS where it is no SELECT that makes the table", () => {
    const sql = 'CREATE TABLE "as" (a, "as", b AS (a + 1)); CREATE TABLE t (a CHECK (CAST(a AS TEXT) > 0));';
    assert.deepEqual([...readWantedSchema(sql).tables.keys()], ["as", "t"]);
  });

  it("takes an empty text for an empty schema", () => {
    assert.equal(readWantedSchema(" -- nothing\n/* at all */ ;;").tables.size, 0);
  });
});

describe("readTrustedObjects() and objectsOf()", () => {
  const sql = `${BUILT_IN_SCHEMA}
    CREATE VIEW v AS SELECT 1 AS a;
    CREATE TRIGGER files AFTER DELETE ON projects BEGIN SELECT 1; END;
    CREATE TRIGGER of_view INSTEAD OF INSERT ON v BEGIN SELECT 1; END;`;

  it("names what the model has, and nothing else", () => {
    const model = readWantedSchema(sql);
    const objects = readTrustedObjects(sql);
    const known = { table: model.tables, virtual: model.virtualTables, index: model.indexes, view: model.views };
    for (const [kind, all] of Object.entries({ ...known, trigger: model.triggers })) {
      const sqlOf = (entries: Iterable<{ name: string; sql: string }>) =>
        [...entries].map((entry) => `${entry.name}: ${entry.sql}`).sort();
      assert.deepEqual(sqlOf(objects.filter(({ type }) => type === kind)), sqlOf(all.values()), kind);
    }
    const tables = objects.filter(({ type }) => type === "trigger").map(({ table }) => table);
    assert.deepEqual(tables, ["projects", "v"]);
  });

  it("says where a mistake stands", () => {
    assert.throws(() => wantedObjects("CREATE TABLE t (a,, b)"), /line 1, column 19/);
  });

  it("are the same", () => {
    const byName = (a: { name: string; type: string }, b: { name: string; type: string }) =>
      `${a.type} ${a.name}` < `${b.type} ${b.name}` ? -1 : 1;
    assert.deepEqual(readTrustedObjects(sql).sort(byName), objectsOf(readWantedSchema(sql)).sort(byName));
  });
});

describe("splitStatements()", () => {
  it("keeps the body of a trigger together", () => {
    const sql = `CREATE TABLE t (a DEFAULT ';'); CREATE TRIGGER x AFTER INSERT ON t BEGIN
      SELECT CASE WHEN 1 THEN CASE 2 WHEN 2 THEN 3 END END; DELETE FROM t; END; CREATE VIEW v AS SELECT ';' -- ;
      ;`;
    assert.deepEqual(
      splitStatements(sql).map((statement) => statement[1]?.value),
      ["table", "trigger", "view"],
    );
  });
});

describe("tokenize()", () => {
  it("reads every kind of token as SQLite does", () => {
    const sql = `a "b""c" [d e] \`f\` 'g''h' x'0A' 1.5e-3 0xFF ?1 :n @n $n <= || -> -- comment\n/* more */ é_1`;
    assert.deepEqual(
      tokenize(sql).map(({ kind, value }) => `${kind} ${value}`),
      [
        "word a",
        'quoted b"c',
        "quoted d e",
        "quoted f",
        "string g'h",
        "blob x'0a'",
        "number 1.5e-3",
        "number 0xff",
        "variable ?1",
        "variable :n",
        "variable @n",
        "variable $n",
        "operator <=",
        "operator ||",
        "operator ->",
        "word é_1",
      ],
    );
  });

  it("never fails and never loses its place", () => {
    for (const sql of ["'open", '"open', "[open", "/* open", "x'0", "", "\u0000\u0001", "1.2.3", "a'b\"c"]) {
      const tokens = tokenize(sql);
      assert.ok(
        tokens.every((token, index) => token.end > token.start && token.start >= (tokens[index - 1]?.end ?? 0)),
        sql,
      );
    }
  });

  it("normalises names and operators but no string", () => {
    assert.equal(
      normalizeSql(tokenize(`FILES."Size"  <> 'A  B' AND "order"==[a b]`), "files"),
      `size != 'A  B' and "order" = "a b"`,
    );
  });
});
