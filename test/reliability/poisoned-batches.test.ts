import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ExecuteBatchRequestSchema,
  ExecuteBatchResponseSchema,
  ExecuteRequestSchema,
  ExecuteResponseSchema,
} from "../../gen/code_analysis/driver/v1/sql_pb.js";
import type { Reason } from "../../src/errors.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { fromSqliteError } from "../../src/sqlite/errors.js";
import { GroupCommit, type Outcome, type PendingWrite } from "../../src/workers/group-commit.js";
import { execute, executeBatch } from "../../src/workers/operations/sql.js";
import { StatementGuard } from "../../src/workers/watchdog.js";
import { WriterSession } from "../../src/workers/writer-session.js";
import { TEST_LIMITS } from "../support/engine.js";
import { Random } from "../support/random.js";
import { hashTable } from "../support/snapshot.js";
import { useTempFolder } from "../support/temp-folder.js";
import { amount, report, SEED } from "./experiment.js";

const SCHEMA = `
  CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT UNIQUE NOT NULL, n INTEGER DEFAULT 0);
  INSERT INTO note(text) VALUES ('taken');
  CREATE TABLE strict_note(text TEXT UNIQUE ON CONFLICT ROLLBACK);
  INSERT INTO strict_note VALUES ('taken');
  CREATE TABLE parent(id INTEGER PRIMARY KEY);
  CREATE TABLE child(parent_id INTEGER REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED);
  CREATE TABLE watched(x);
  CREATE TRIGGER no_watched BEFORE INSERT ON watched BEGIN SELECT RAISE(ROLLBACK, 'never'); END;
  CREATE TABLE big(data BLOB);`;
const TABLES = ["note", "strict_note", "parent", "child", "watched", "big"];
/** Room for the notes, and none for a value of this size. */
const SPARE_PAGES = 2_000;
const TOO_LARGE_BYTES = SPARE_PAGES * 4_096;

/** The statements of a request: several are an ExecuteBatch. `{}` is a text that nobody else writes. */
type Kind = readonly string[];

const KINDS: Readonly<Record<string, Kind>> = {
  "an insert": ["INSERT INTO note(text) VALUES ('{}')"],
  "an update": ["UPDATE note SET n = n + 1"],
  "a batch": [
    "INSERT INTO note(text) VALUES ('{}')",
    "DELETE FROM note WHERE text = '{}'",
    "UPDATE note SET n = n + 1",
  ],
  "OR ROLLBACK": ["INSERT OR ROLLBACK INTO note(text) VALUES ('taken')"],
  "OR ROLLBACK after a row": ["INSERT OR ROLLBACK INTO note(text) VALUES ('{}'), ('taken')"],
  "OR FAIL after a row": ["INSERT OR FAIL INTO note(text) VALUES ('{}'), ('taken')"],
  "ON CONFLICT ROLLBACK": ["INSERT INTO strict_note VALUES ('taken')"],
  "RAISE(ROLLBACK)": ["INSERT INTO watched VALUES (1)"],
  "a deferred foreign key": ["INSERT INTO child VALUES (404)"],
  "a full database": [`INSERT INTO big VALUES (zeroblob(${TOO_LARGE_BYTES}))`],
  "a constraint": ["INSERT INTO note(text) VALUES ('taken')"],
  "a syntax error": ["INSERT INTO note(text VALUES ('{}')"],
  "OR ROLLBACK in a batch": [
    "INSERT INTO note(text) VALUES ('{}')",
    "INSERT OR ROLLBACK INTO note(text) VALUES ('taken')",
  ],
  "a deferred foreign key in a batch": ["INSERT INTO note(text) VALUES ('{}')", "INSERT INTO child VALUES (404)"],
};
const NAMES = Object.keys(KINDS);

/** What a request came to: the rows that it changed, or why it failed. */
type Answer = { readonly affected: number } | { readonly reason: Reason };

describe("a batch of writes", function () {
  this.timeout(3_600_000);
  const path = useTempFolder();
  let texts = 0;

  it(`answers and changes what its requests do alone, one after another (seed ${SEED})`, () => {
    const random = new Random(SEED);
    const batch = open(path("batch.db"));
    const alone = open(path("alone.db"));
    const commits = new GroupCommit(new WriterSession(batch, TEST_LIMITS, () => undefined), new StatementGuard());
    new WriterSession(alone, TEST_LIMITS, () => undefined);
    limitPages(batch);
    limitPages(alone);
    const sequences = [
      ...random.sample(sequencesUpTo(3), amount(150, Number.POSITIVE_INFINITY)),
      ...Array.from({ length: amount(50, 1_000) }, () =>
        Array.from({ length: 4 + random.below(9) }, () => random.pick(NAMES)),
      ),
    ];
    for (const sequence of sequences) {
      const requests = sequence.map((name) => (KINDS[name] ?? []).map(withText));
      const answers = runTogether(commits, requests);
      const expected = requests.map((statements) => runAlone(alone, statements));
      assert.deepEqual(answers, expected, sequence.join(", "));
      assert.deepEqual(contents(batch), contents(alone), sequence.join(", "));
      // Few rows keep the comparison quick.
      for (const connection of [batch, alone]) connection.exec("DELETE FROM note WHERE text <> 'taken'");
    }
    report(`${sequences.length} batches of ${NAMES.length} kinds of request: 0 other answers, 0 other rows`);
    batch.close();
    alone.close();
  });

  /** Each statement gets a text of its own, and the statements of a request the same. */
  function withText(statement: string): string {
    return statement.replace("{}", `text ${statement.startsWith("DELETE") ? texts : ++texts}`);
  }
});

function open(path: string): Connection {
  const connection = openConnection(path, { role: "writer" });
  connection.exec(SCHEMA);
  return connection;
}

/** After everything else that the driver creates. */
function limitPages(connection: Connection): void {
  const pages = Number(connection.pragma("page_count", { simple: true }));
  connection.pragma(`max_page_count = ${pages + SPARE_PAGES}`);
}

function sequencesUpTo(length: number): string[][] {
  if (length === 0) return [];
  const shorter = sequencesUpTo(length - 1);
  const longest = shorter.filter((sequence) => sequence.length === length - 1);
  return [
    ...shorter,
    ...(length === 1 ? [[]] : longest).flatMap((sequence) => NAMES.map((name) => [...sequence, name])),
  ];
}

let lastId = 0;

function runTogether(commits: GroupCommit, requests: readonly Kind[]): Answer[] {
  const writes = requests.map((statements): PendingWrite => {
    const [sql = ""] = statements;
    const isBatch = statements.length > 1;
    const bytes = isBatch
      ? toBinary(
          ExecuteBatchRequestSchema,
          create(ExecuteBatchRequestSchema, { statements: statements.map((it) => ({ sql: it })) }),
        )
      : toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql }));
    const operation = isBatch ? "executeBatch" : "execute";
    const run = isBatch ? executeBatch : execute;
    return { id: ++lastId, operation, deadlineMs: Number.POSITIVE_INFINITY, request: Buffer.from(bytes), run };
  });
  const outcomes = commits.run(writes);
  return writes.map(({ id, operation }) => answerOf(outcomes.get(id), operation));
}

function answerOf(outcome: Outcome | undefined, operation: string): Answer {
  assert.ok(outcome !== undefined);
  if ("error" in outcome) return { reason: outcome.error.reason };
  if (operation === "execute")
    return { affected: Number(fromBinary(ExecuteResponseSchema, outcome.response).affectedRows) };
  const { results } = fromBinary(ExecuteBatchResponseSchema, outcome.response);
  return { affected: results.reduce((sum, { affectedRows }) => sum + Number(affectedRows), 0) };
}

/** A transaction for each request, as SQLite does it for whoever is alone. */
function runAlone(connection: Connection, statements: Kind): Answer {
  try {
    connection.exec("BEGIN");
    const affected = statements.reduce((sum, sql) => sum + connection.prepare(sql).run().changes, 0);
    connection.exec("COMMIT");
    return { affected };
  } catch (error) {
    if (connection.inTransaction) connection.exec("ROLLBACK");
    return { reason: fromSqliteError(error).reason };
  }
}

function contents(connection: Connection): unknown {
  return TABLES.map((table) => hashTable(connection, table));
}
