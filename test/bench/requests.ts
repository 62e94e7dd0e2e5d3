import { create, toBinary } from "@bufbuild/protobuf";
import { ExecuteRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import type { RawClient } from "./raw-client.js";

export const EXECUTE = "/code_analysis.driver.v1.DriverService/Execute";

/** The only method of `echo-server.js`. */
export const ECHO = "/bench.Echo/Echo";

/** The table that the benchmarks of SQL write and read. */
export const BENCH_TABLE = "CREATE TABLE IF NOT EXISTS bench_rows (id INTEGER PRIMARY KEY, name TEXT, score REAL)";

/** An encoded `ExecuteRequest`. */
export function statement(sql: string, ...values: (string | number | bigint)[]): Buffer {
  const parameters = values.map((value) =>
    typeof value === "string"
      ? ({ kind: { case: "textValue", value } } as const)
      : typeof value === "bigint"
        ? ({ kind: { case: "integerValue", value } } as const)
        : ({ kind: { case: "realValue", value } } as const),
  );
  return Buffer.from(toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql, parameters })));
}

/** A single-row insert. */
export const INSERT = statement("INSERT INTO bench_rows (name, score) VALUES (?, ?)", "a name", 1.5);

/** A look-up of one of `rows` rows by its key, another one for each `index`. */
export function pointRead(index: number, rows: number): Buffer {
  return statement("SELECT id, name, score FROM bench_rows WHERE id = ?", BigInt(1 + ((index * 7919) % rows)));
}

/** Makes the table, with `rows` rows in it. */
export async function fillTable(client: RawClient, rows: number): Promise<void> {
  await client.unary(EXECUTE, statement(BENCH_TABLE));
  const fill = `INSERT INTO bench_rows (name, score) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT ${rows}) SELECT 'name of row ' || i, i * 0.5 FROM n`;
  await client.unary(EXECUTE, statement(fill));
}
