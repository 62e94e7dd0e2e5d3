import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { QueryRequestSchema, QueryResponseSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { DRIVER, ServerProcess } from "./child.js";
import { RawClient } from "./raw-client.js";
import { ECHO, EXECUTE, fillTable, INSERT, pointRead } from "./requests.js";
import { type Contender, callsPerSecond, compare, type Ratio } from "./rounds.js";

const IN_FLIGHT = 64;
const CALLS = 6_000;
const STREAM_ROWS = 300_000;
const ROUNDS = 5;

const QUERY = "/code_analysis.driver.v1.DriverService/Query";

const STREAM_SQL = `SELECT id, name, score FROM bench_rows ORDER BY id LIMIT ${STREAM_ROWS}`;

/** Durable inserts, point reads and streamed rows of a driver, as ratios to a bare echo and to SQLite in process. */
export async function benchSql(folder: string): Promise<Ratio[]> {
  const databasePath = join(folder, "sql.db");
  const echoServer = await ServerProcess.start(
    new URL("./echo-server.js", import.meta.url),
    `unix:${folder}/echo.sock`,
  );
  const driver = await ServerProcess.start(
    DRIVER,
    ...["serve", "--db", databasePath, "--listen", `unix:${folder}/driver.sock`, "--log-level", "error"],
  );
  const echoClient = new RawClient(echoServer.address);
  const client = new RawClient(driver.address);
  try {
    await fillTable(client, STREAM_ROWS);
    const echo: Contender = {
      name: "bare grpc-js echo",
      run: () => callsPerSecond(CALLS, IN_FLIGHT, () => echoClient.unary(ECHO, INSERT)),
    };
    const inserts: Contender = {
      name: `durable single-row inserts, ${IN_FLIGHT} in flight`,
      run: () => callsPerSecond(CALLS, IN_FLIGHT, () => client.unary(EXECUTE, INSERT)),
    };
    const reads: Contender = {
      name: `point reads, ${IN_FLIGHT} in flight`,
      run: () => callsPerSecond(CALLS, IN_FLIGHT, (index) => client.unary(EXECUTE, pointRead(index, STREAM_ROWS))),
    };
    const stream: Contender = { name: "rows streamed by Query", run: () => streamedRowsPerSecond(client) };
    return [
      await compare(inserts, echo, ROUNDS),
      await compare(
        inserts,
        inProcess("commits", join(folder, "commits.db"), "one commit per insert in process"),
        ROUNDS,
      ),
      await compare(reads, echo, ROUNDS),
      await compare(stream, inProcess("rows", databasePath, "rows of raw() in process"), ROUNDS),
    ];
  } finally {
    echoClient.close();
    client.close();
    await Promise.all([driver.stop(), echoServer.stop()]);
  }
}

async function streamedRowsPerSecond(client: RawClient): Promise<number> {
  const request = Buffer.from(toBinary(QueryRequestSchema, create(QueryRequestSchema, { sql: STREAM_SQL })));
  const messages: Buffer[] = [];
  const started = performance.now();
  await client.stream(QUERY, request, (message) => messages.push(message));
  const seconds = (performance.now() - started) / 1_000;
  const rows = messages.reduce((sum, message) => sum + fromBinary(QueryResponseSchema, message).rows.length, 0);
  if (rows !== STREAM_ROWS) throw new Error(`the stream had ${rows} rows instead of ${STREAM_ROWS}`);
  return rows / seconds;
}

/** better-sqlite3 without driver, in a process of its own: the architecture keeps it out of this one. */
function inProcess(what: "commits" | "rows", databasePath: string, name: string): Contender {
  const script = new URL("./in-process.js", import.meta.url).pathname;
  return {
    name,
    run: async () => {
      const { stdout, stderr } = spawnSync(process.execPath, [script, what, databasePath, STREAM_SQL], {
        encoding: "utf8",
      });
      const rate = Number(stdout);
      if (!(rate > 0)) throw new Error(`in-process.js ${what}: ${stderr}`);
      return rate;
    },
  };
}
