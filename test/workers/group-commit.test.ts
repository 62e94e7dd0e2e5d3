import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  ExecuteRequestSchema,
  type ExecuteResponse,
  ExecuteResponseSchema,
} from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { DriverError, type Reason } from "../../src/errors.js";
import { monotonicMs } from "../../src/observability/clock.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { fromSqliteError } from "../../src/sqlite/errors.js";
import { CommitFailedError } from "../../src/sqlite/transaction.js";
import type { DriverTables } from "../../src/workers/driver-tables.js";
import { type Failpoints, GroupCommit, type Outcome, type PendingWrite } from "../../src/workers/group-commit.js";
import { execute } from "../../src/workers/operations/sql.js";
import { StatementGuard } from "../../src/workers/watchdog.js";
import { WriterSession } from "../../src/workers/writer-session.js";
import { TEST_LIMITS } from "../support/engine.js";
import { useTempFolder } from "../support/temp-folder.js";

const SCHEMA = `
  CREATE TABLE note(id INTEGER PRIMARY KEY, text TEXT UNIQUE NOT NULL);
  INSERT INTO note(text) VALUES ('taken');
  CREATE TABLE strict_note(text TEXT UNIQUE ON CONFLICT ROLLBACK);
  INSERT INTO strict_note VALUES ('taken');
  CREATE TABLE parent(id INTEGER PRIMARY KEY);
  CREATE TABLE child(parent_id INTEGER REFERENCES parent(id) DEFERRABLE INITIALLY DEFERRED);
  CREATE TABLE watched(x);
  CREATE TRIGGER no_watched BEFORE INSERT ON watched BEGIN SELECT RAISE(ROLLBACK, 'never'); END;
  CREATE TABLE big(data BLOB);`;

/** A real database with a group commit on it, and a second connection that sees what is committed. */
class Bench {
  readonly connection: Connection;
  readonly observer: Connection;
  readonly guard = new StatementGuard();
  readonly tables: DriverTables;
  readonly commits: GroupCommit;
  #lastId = 0;

  constructor(path: string, failpoints: Failpoints = {}) {
    this.connection = openConnection(path, { role: "writer" });
    this.connection.exec(SCHEMA);
    this.observer = openConnection(path, { role: "reader" });
    const session = new WriterSession(this.connection, TEST_LIMITS, () => undefined);
    this.tables = session.tables;
    this.commits = new GroupCommit(session, this.guard, failpoints);
  }

  write(sql: string, options: { requestId?: string; deadlineMs?: number } = {}): PendingWrite {
    const { requestId = "", deadlineMs = Number.POSITIVE_INFINITY } = options;
    const request = Buffer.from(toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql, requestId })));
    return { id: ++this.#lastId, operation: "execute", deadlineMs, request, run: execute };
  }

  note(text: string): PendingWrite {
    return this.write(`INSERT INTO note(text) VALUES ('${text}')`);
  }

  notes(): { id: number; text: string }[] {
    return this.observer.prepare("SELECT id, text FROM note WHERE text <> 'taken' ORDER BY id").all() as {
      id: number;
      text: string;
    }[];
  }

  count(table: string): number {
    return this.observer.prepare(`SELECT count(*) FROM ${table}`).pluck().get() as number;
  }

  close(): void {
    this.observer.close();
    this.connection.close();
  }
}

function responseOf(outcome: Outcome | undefined): ExecuteResponse {
  assert.ok(outcome !== undefined && "response" in outcome, `a response, not ${JSON.stringify(outcome)}`);
  return fromBinary(ExecuteResponseSchema, outcome.response);
}

function reasonOf(outcome: Outcome | undefined): Reason {
  assert.ok(outcome !== undefined && "error" in outcome, "an error");
  return outcome.error.reason;
}

/** Requests that end, or can end, more than themselves. */
const POISONS: readonly { title: string; sql: string; reason: Reason; prepare?: (connection: Connection) => void }[] = [
  {
    title: "INSERT OR ROLLBACK",
    sql: "INSERT OR ROLLBACK INTO note(text) VALUES ('taken')",
    reason: "CONSTRAINT_UNIQUE",
  },
  {
    title: "INSERT OR ROLLBACK that had inserted a row before",
    sql: "INSERT OR ROLLBACK INTO note(text) VALUES ('half'), ('taken')",
    reason: "CONSTRAINT_UNIQUE",
  },
  {
    title: "ON CONFLICT ROLLBACK of the table",
    sql: "INSERT INTO strict_note VALUES ('taken')",
    reason: "CONSTRAINT_UNIQUE",
  },
  { title: "RAISE(ROLLBACK) in a trigger", sql: "INSERT INTO watched VALUES (1)", reason: "CONSTRAINT_TRIGGER" },
  {
    title: "a deferred foreign key that fails at COMMIT",
    sql: "INSERT INTO child VALUES (404)",
    reason: "CONSTRAINT_FOREIGN_KEY",
  },
  {
    title: "a full database",
    sql: "INSERT INTO big VALUES (zeroblob(4000000))",
    reason: "DISK_FULL",
    prepare: (connection) => {
      const pages = connection.pragma("page_count", { simple: true }) as number;
      connection.pragma(`max_page_count = ${pages + 50}`);
    },
  },
  { title: "an ordinary constraint", sql: "INSERT INTO note(text) VALUES ('taken')", reason: "CONSTRAINT_UNIQUE" },
  { title: "a syntax error", sql: "INSERT INTO note(text VALUES ('x')", reason: "SQL_ERROR" },
];

const BATCH_SIZES = [1, 3];

describe("GroupCommit", () => {
  const path = useTempFolder();
  let bench: Bench;
  const openBench = (failpoints?: Failpoints): Bench => {
    bench = new Bench(path("test.db"), failpoints);
    return bench;
  };
  afterEach(() => bench.close());

  it("commits many writes as one, with the same number, and answers each", () => {
    const { commits, tables, note, notes } = bindAll(openBench());
    const before = tables.commitSeq();
    const writes = [note("a"), note("b"), note("c")];
    const outcomes = commits.run(writes);
    const answers = writes.map(({ id }) => responseOf(outcomes.get(id)));
    assert.deepEqual(
      answers.map(({ commitSeq }) => commitSeq),
      [before + 1n, before + 1n, before + 1n],
    );
    assert.deepEqual(
      notes().map(({ text }) => text),
      ["a", "b", "c"],
    );
    assert.equal(tables.commitSeq(), before + 1n);
  });

  for (const poison of POISONS) {
    for (const size of BATCH_SIZES) {
      for (let position = 0; position < size; position++) {
        it(`fails only the bad one: ${poison.title}, ${position + 1} of ${size}`, () => {
          const { commits, connection, write, note, notes, count } = bindAll(openBench());
          poison.prepare?.(connection);
          const bad = write(poison.sql);
          const writes = Array.from({ length: size }, (_, index) => (index === position ? bad : note(`n${index}`)));
          const outcomes = commits.run(writes);

          assert.equal(reasonOf(outcomes.get(bad.id)), poison.reason);
          const good = writes.filter((it) => it !== bad);
          const answered = good.map(({ id }) => Number(responseOf(outcomes.get(id)).lastInsertRowid));
          assert.deepEqual(
            notes().map(({ id }) => id),
            answered,
            "the rows of the database are those that were answered",
          );
          assert.deepEqual(
            notes().map(({ text }) => text),
            writes.flatMap((it, index) => (it === bad ? [] : [`n${index}`])),
          );
          for (const table of ["child", "watched", "big"]) assert.equal(count(table), 0);
          assert.ok(!connection.inTransaction);
        });
      }
    }
  }

  it("fails each of several bad ones, of every kind, alone, and keeps the good ones between them", () => {
    const { commits, write, note, notes } = bindAll(openBench());
    const poisons = POISONS.filter(({ prepare }) => prepare === undefined);
    const bad = poisons.map(({ sql }) => write(sql));
    const good = poisons.map((_, index) => note(`good ${index}`));
    const outcomes = commits.run(bad.flatMap((it, index) => [it, good[index] ?? it]));
    assert.deepEqual(
      bad.map(({ id }) => reasonOf(outcomes.get(id))),
      poisons.map(({ reason }) => reason),
    );
    assert.equal(notes().length, good.length);
    for (const { id } of good) responseOf(outcomes.get(id));
  });

  it("runs no good write more than twice however many bad ones follow", () => {
    const { commits, write, connection, notes } = bindAll(openBench());
    let runs = 0;
    connection.function("counted", { deterministic: false, directOnly: false }, (text: unknown) => {
      runs++;
      return text;
    });
    const good = Array.from({ length: 20 }, (_, index) =>
      write(`INSERT INTO note(text) VALUES (counted('g${index}'))`),
    );
    const bad = Array.from({ length: 20 }, () => write("INSERT OR ROLLBACK INTO note(text) VALUES ('taken')"));
    commits.run([...good, ...bad]);
    assert.equal(notes().length, good.length);
    assert.ok(runs <= 2 * good.length, `${runs} runs of ${good.length} writes`);
  });

  it("does not run a write whose deadline has passed", () => {
    const { commits, write, note, notes } = bindAll(openBench());
    const late = write("INSERT INTO note(text) VALUES ('late')", { deadlineMs: monotonicMs() - 1 });
    const outcomes = commits.run([note("a"), late, note("b")]);
    assert.equal(reasonOf(outcomes.get(late.id)), "DEADLINE_EXCEEDED");
    assert.deepEqual(
      notes().map(({ text }) => text),
      ["a", "b"],
    );
  });

  it("shows nothing to others before COMMIT, and has answered nothing by then", () => {
    let seen = -1;
    const { commits, note, notes } = bindAll(
      openBench({
        beforeCommit: () => {
          seen = bench.notes().length;
        },
      }),
    );
    const outcomes = commits.run([note("a"), note("b")]);
    assert.equal(seen, 0);
    assert.equal(outcomes.size, 2);
    assert.equal(notes().length, 2);
  });

  it("answers nobody when COMMIT fails with an I/O error", () => {
    const { commits, connection, note, notes } = bindAll(
      openBench({
        beforeCommit: () => {
          throw sqliteError(bench.connection, "SQLITE_IOERR_FSYNC");
        },
      }),
    );
    assert.throws(() => commits.run([note("a"), note("b")]), CommitFailedError);
    assert.deepEqual(notes(), []);
    assert.ok(!connection.inTransaction);
  });

  it("does not run a write again when the process stumbles between COMMIT and the answer", () => {
    let isFirst = true;
    const { commits, note, notes } = bindAll(
      openBench({
        afterCommitBeforeAck: () => {
          if (!isFirst) return;
          isFirst = false;
          throw new DriverError("INTERNAL", "stumbled");
        },
      }),
    );
    assert.throws(() => commits.run([note("a"), note("b")]), /stumbled/);
    assert.deepEqual(
      notes().map(({ text }) => text),
      ["a", "b"],
    );
  });

  it("answers a disk that fills up at COMMIT to each write alone", () => {
    let failures = 0;
    const { commits, note, notes } = bindAll(
      openBench({
        beforeCommit: () => {
          if (failures++ < 3) throw sqliteError(bench.connection, "SQLITE_FULL");
        },
      }),
    );
    const writes = [note("a"), note("b"), note("c")];
    const outcomes = commits.run(writes);
    // The whole batch was refused, then the first two alone, then there was room again.
    assert.deepEqual(
      writes.map(({ id }) => (outcomes.get(id) !== undefined && "error" in (outcomes.get(id) ?? {}) ? "failed" : "ok")),
      ["failed", "failed", "ok"],
    );
    assert.deepEqual(
      notes().map(({ text }) => text),
      ["c"],
    );
  });

  it("gives the first answer to a repeated request_id, within a batch and later", () => {
    const { commits, write, notes } = bindAll(openBench());
    const sql = "INSERT INTO note(text) VALUES ('once')";
    const [first, second, later] = [1, 2, 3].map(() => write(sql, { requestId: "r1" })) as [
      PendingWrite,
      PendingWrite,
      PendingWrite,
    ];
    const outcomes = commits.run([first, second]);
    const repeated = commits.run([later]);
    const answer = responseOf(outcomes.get(first.id));
    assert.deepEqual(responseOf(outcomes.get(second.id)), answer);
    assert.deepEqual(responseOf(repeated.get(later.id)), answer);
    assert.equal(notes().length, 1);
  });

  it("remembers the answer of the run that was committed, not of one that went down with a neighbour", () => {
    const { commits, write, note, notes } = bindAll(openBench());
    const kept = write("INSERT INTO note(text) VALUES ('kept')", { requestId: "r1" });
    // Before: one good write and the poison, so that the second run has other numbers than the first.
    const outcomes = commits.run([note("a"), kept, write("INSERT OR ROLLBACK INTO note(text) VALUES ('taken')")]);
    const again = write("INSERT INTO note(text) VALUES ('kept')", { requestId: "r1" });
    const answer = responseOf(commits.run([again]).get(again.id));
    assert.deepEqual(answer, responseOf(outcomes.get(kept.id)));
    assert.equal(notes().filter(({ text }) => text === "kept").length, 1);
  });

  it("runs a request_id again whose request has failed", () => {
    const { commits, connection, write, notes } = bindAll(openBench());
    const sql = "INSERT INTO note(text) VALUES ('taken')";
    const first = write(sql, { requestId: "r1" });
    assert.equal(reasonOf(commits.run([first]).get(first.id)), "CONSTRAINT_UNIQUE");
    connection.exec("DELETE FROM note");
    const second = write(sql, { requestId: "r1" });
    responseOf(commits.run([second]).get(second.id));
    assert.equal(notes().length, 0);
    assert.equal(bench.count("note"), 1);
  });

  it("does not run a request again whose large answer is no longer kept", () => {
    const { commits, write, count } = bindAll(openBench());
    const large = (i: number) =>
      write(`INSERT INTO note(text) VALUES ('${i}') RETURNING zeroblob(900000)`, { requestId: `large ${i}` });
    for (let i = 0; i < 80; i += 10) {
      const writes = Array.from({ length: 10 }, (_, j) => large(i + j));
      const outcomes = commits.run(writes);
      for (const { id } of writes) responseOf(outcomes.get(id));
    }
    const before = count("note");
    const [oldest, newest] = [large(0), large(79)];
    const outcomes = commits.run([oldest, newest]);
    assert.equal(reasonOf(outcomes.get(oldest.id)), "ANSWER_NOT_KEPT");
    assert.equal(responseOf(outcomes.get(newest.id)).rows.length, 1);
    assert.equal(count("note"), before);
  });

  it("loses acknowledged writes in the naive form, which does not look whether the transaction is still open", () => {
    const { connection, write, note, notes } = bindAll(openBench());
    const writes = [note("a"), note("b"), write("INSERT OR ROLLBACK INTO note(text) VALUES ('taken')"), note("c")];
    const acknowledged = naiveGroupCommit(connection, writes);
    assert.deepEqual(acknowledged, [true, true, false, true]);
    assert.deepEqual(
      notes().map(({ text }) => text),
      ["c"],
      "a and b were acknowledged and are lost",
    );
  });
});

/** What one writes first: a savepoint for each request and one COMMIT. Answers which requests are acknowledged. */
function naiveGroupCommit(connection: Connection, writes: readonly PendingWrite[]): boolean[] {
  const session = new WriterSession(connection, TEST_LIMITS, () => undefined);
  connection.exec("BEGIN IMMEDIATE");
  const acknowledged = writes.map(({ run, request }) => {
    connection.exec("SAVEPOINT request");
    try {
      run(session, request);
      connection.exec("RELEASE request");
      return true;
    } catch {
      if (connection.inTransaction) connection.exec("ROLLBACK TO request; RELEASE request");
      return false;
    }
  });
  if (connection.inTransaction) connection.exec("COMMIT");
  return acknowledged;
}

/** An error as better-sqlite3 raises it, with the code of a fault that is hard to cause. */
function sqliteError(connection: Connection, code: string): unknown {
  try {
    connection.exec("not SQL");
  } catch (error) {
    return Object.assign(error as object, { code });
  }
  throw fromSqliteError(new Error("unreachable"));
}

function bindAll(bench: Bench) {
  return {
    commits: bench.commits,
    connection: bench.connection,
    tables: bench.tables,
    write: bench.write.bind(bench),
    note: bench.note.bind(bench),
    notes: bench.notes.bind(bench),
    count: bench.count.bind(bench),
  };
}
