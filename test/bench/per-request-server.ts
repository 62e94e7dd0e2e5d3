/**
 * `per-request-server.js DATABASE ADDRESS`: a driver as it is without group commit. It runs each `Execute` in the process that
 * serves, and SQLite commits it before it is answered.
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import Database from "better-sqlite3";
import { ExecuteRequestSchema, ExecuteResponseSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { serveUnary } from "./raw-server.js";
import { BENCH_TABLE, EXECUTE } from "./requests.js";

const [path = "", address = ""] = process.argv.slice(2);
const database = new Database(path);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = FULL");
database.exec(BENCH_TABLE);
const statements = new Map<string, Database.Statement>();

serveUnary(EXECUTE, address, (bytes) => {
  const { sql, parameters } = fromBinary(ExecuteRequestSchema, bytes);
  const statement = statements.get(sql) ?? database.prepare(sql);
  statements.set(sql, statement);
  const { changes, lastInsertRowid } = statement.run(parameters.map(({ kind }) => kind.value));
  const response = create(ExecuteResponseSchema, {
    affectedRows: BigInt(changes),
    lastInsertRowid: BigInt(lastInsertRowid),
  });
  return Buffer.from(toBinary(ExecuteResponseSchema, response));
});
