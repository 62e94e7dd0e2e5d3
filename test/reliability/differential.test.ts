import assert from "node:assert/strict";
import { fromValue, toValue } from "../../src/client/values.js";
import { DriverError } from "../../src/errors.js";
import { type Connection, openConnection } from "../../src/sqlite/connection.js";
import { fromSqliteError } from "../../src/sqlite/errors.js";
import { DriverProcess, killDrivers } from "../driver/driver-process.js";
import { Random } from "../support/random.js";
import { useTempFolder } from "../support/temp-folder.js";
import { amount, report, SEED } from "./experiment.js";
import { RandomSql, SCHEMA, TABLE_NAMES } from "./random-sql.js";

const STATEMENTS = amount(300, 12_000);
const READS_AT_ONCE = 8;
const WRITES_BETWEEN = 4;

/** What a statement answers, in one form for both: rows with the type of each value, or what SQLite said. */
type Answer = { readonly rows: readonly string[][]; readonly affected: number } | { readonly error: string };

describe("generated SQL through gRPC", function () {
  this.timeout(3_600_000);
  const inFolder = useTempFolder();
  afterEach(killDrivers);

  it(`answers what better-sqlite3 answers in this process: ${STATEMENTS} statements (seed ${SEED})`, async () => {
    const driver = await DriverProcess.start(inFolder(), { args: ["--log-level", "error"] });
    const direct = openConnection(inFolder("direct.db"), { role: "writer" });
    direct.exec(SCHEMA);
    for (const sql of SCHEMA.split(";").filter((it) => it.trim() !== "")) await driver.execute(sql);
    const generator = new RandomSql(new Random(SEED));
    const counts = { rows: 0, errors: 0, writes: 0 };
    for (let done = 0; done < STATEMENTS; ) {
      // Reads do not disturb each other; a write is alone.
      const reads = Array.from({ length: READS_AT_ONCE }, () => generator.select());
      const answers = await Promise.all(
        reads.map((it, index) => ask(driver, it, index % 2 === 0 ? "execute" : "query")),
      );
      for (const [index, read] of reads.entries()) compare(read, answers[index], tell(direct, read));
      for (let i = 0; i < WRITES_BETWEEN; i++) {
        const write = generator.write();
        compare(write, await ask(driver, write, "execute"), tell(direct, write));
        counts.writes++;
      }
      done += READS_AT_ONCE + WRITES_BETWEEN;
    }
    for (const table of TABLE_NAMES) {
      const all = { sql: `SELECT rowid, * FROM ${table} ORDER BY rowid`, parameters: [] };
      compare(all, await ask(driver, all, "query"), tell(direct, all));
    }
    direct.close();
    report(
      `${STATEMENTS} statements, ${counts.writes} of them writes: ${counts.rows} rows and ${counts.errors} errors, all the same`,
    );

    function compare(statement: SqlStatement, actual: Answer | undefined, expected: Answer): void {
      assert.deepEqual(
        actual,
        expected,
        `${statement.sql}\n${JSON.stringify(statement.parameters.map(String))} (seed ${SEED})`,
      );
      if ("error" in expected) counts.errors++;
      else counts.rows += expected.rows.length;
    }
  });
});

type SqlStatement = ReturnType<RandomSql["select"]>;

async function ask(
  driver: DriverProcess,
  { sql, parameters }: SqlStatement,
  way: "execute" | "query",
): Promise<Answer> {
  const request = { sql, parameters: parameters.map(toValue) };
  try {
    if (way === "execute") {
      const { rows, affectedRows } = await driver.client.execute(request);
      return {
        rows: rows.map(({ values }) => values.map((it) => written(fromValue(it), it.kind.case === "realValue"))),
        affected: Number(affectedRows),
      };
    }
    const all: string[][] = [];
    for await (const { rows } of driver.client.query(request)) {
      all.push(...rows.map(({ values }) => values.map((it) => written(fromValue(it), it.kind.case === "realValue"))));
    }
    return { rows: all, affected: 0 };
  } catch (error) {
    return { error: sentence(DriverError.from(error)) };
  }
}

function tell(connection: Connection, { sql, parameters }: SqlStatement): Answer {
  try {
    const statement = connection.prepare(sql).safeIntegers(true);
    const bound = parameters.map((it) =>
      typeof it === "number" && Number.isSafeInteger(it) && !Object.is(it, -0) ? BigInt(it) : it,
    );
    if (!statement.reader) return { rows: [], affected: statement.run(...bound).changes };
    const rows = statement.raw(true).all(...bound) as (null | bigint | number | string | Buffer)[][];
    const affected = statement.readonly ? 0 : Number(connection.prepare("SELECT changes()").pluck().get());
    return { rows: rows.map((row) => row.map((it) => written(it, typeof it === "number"))), affected };
  } catch (error) {
    return { error: sentence(fromSqliteError(error)) };
  }
}

/** The type and the exact value. */
function written(value: null | bigint | number | string | Uint8Array, isReal: boolean): string {
  if (value === null) return "null";
  if (value instanceof Uint8Array) return `blob ${Buffer.from(value).toString("hex")}`;
  if (typeof value === "string") return `text ${JSON.stringify(Buffer.from(value).toString())}`;
  if (isReal) return `real ${Object.is(value, -0) ? "-0" : String(value)}`;
  return `integer ${value}`;
}

/** The reason, and SQLite's own code where a statement failed while it ran. */
function sentence({ reason, sqliteCode }: DriverError): string {
  return reason === "SQL_ERROR" ? reason : `${reason} ${sqliteCode ?? ""}`;
}
