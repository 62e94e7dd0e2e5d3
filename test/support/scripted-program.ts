/**
 * The program `code-analysis-driver` with a scripted driver in the place of the engine, as a process of its own: for tests of
 * commands, signals and exit codes. Every `execute` that says `hang` runs until the driver is stopped.
 */
import { fileURLToPath } from "node:url";
import { IndexPhase } from "../../gen/code_analysis/driver/v1/index_pb.js";
import { EntityKind } from "../../gen/code_analysis/driver/v1/search_pb.js";
import { type StartDriver, serve } from "../../src/bin/serve.js";
import { runProgram } from "../../src/cli/code-analysis-driver/program.js";
import { toValue } from "../../src/client/values.js";
import { DriverError } from "../../src/errors.js";
import { type Script, startScriptedDriver } from "./scripted-driver.js";

const SNIPPET = "def öffnen(path):\n    return open(path)";

const script: Script = {
  getDriverInfo: () => ({ driverVersion: "0.0.0-test" }),
  registerProject: ({ rootPath }) => ({ project: { id: "p1", rootPath, name: "demo" }, created: true }),
  async *indexProject({ projectId }) {
    if (projectId !== "p1") throw new DriverError("PROJECT_NOT_FOUND", `There is no project ${projectId}.`);
    yield { progress: { phase: IndexPhase.SCANNING, filesTotal: 2n } };
    const failure = {
      filePath: "bad.bin",
      errorType: "binary",
      message: "It has a NUL byte on line 1.",
      isIndexed: false,
    };
    yield { progress: { phase: IndexPhase.INDEXING, filesTotal: 7n, filesDone: 1n }, failures: [failure] };
    yield {
      progress: {
        phase: IndexPhase.DONE,
        filesTotal: 7n,
        filesDone: 7n,
        filesIndexed: 2n,
        filesFailed: 1n,
        filesSkipped: 4n,
        bytesRead: 99n,
      },
      failures: [
        { filePath: "half.py", errorType: "syntax_error", message: "unexpected ) in line 7", isIndexed: true, line: 7 },
      ],
      summary: {
        counts: { classes: 4n, methods: 1_234n },
        filesByLanguage: { python: 1n, "": 1n },
        filesWithProblems: 1n,
        duration: { seconds: 1n, nanos: 500_000_000 },
      },
    };
  },
  async *query({ sql, parameters }) {
    if (!sql.startsWith("SELECT"))
      throw new DriverError("STATEMENT_NOT_ALLOWED", "Query only reads.", { field: "sql" });
    if (sql === "SELECT bad")
      throw new DriverError("SQL_ERROR", "no such column: bad", { field: "sql", hint: "Name another." });
    const columns = [{ name: "id" }, { name: "name" }, { name: "id" }];
    yield { columns, rows: [{ values: [toValue(1), toValue("ünï\u001b[2J"), parameters[0] ?? toValue(null)] }] };
    yield { rows: [{ values: [toValue(2n ** 63n - 1n), toValue(new Uint8Array([1, 255])), toValue(0.5)] }] };
  },
  execute: ({ sql }) => {
    if (sql === "hang") {
      process.stderr.write("a statement hangs\n");
      return new Promise<never>(() => {});
    }
    return { affectedRows: 3n, lastInsertRowid: 2n ** 60n };
  },
  searchCode: ({ query, pageSize }) => ({
    hits:
      query === "nothing"
        ? []
        : [
            {
              filePath: "io/file.py",
              line: 12,
              endLine: 13,
              entity: { kind: EntityKind.METHOD, id: 5n },
              entityName: "öffnen",
              className: "File",
              snippet: SNIPPET,
              snippetLine: 12,
              matches: [{ start: 4, end: 4 + Buffer.byteLength("öffnen") }],
              language: "python",
              score: pageSize,
            },
          ],
    nextPageToken: query === "more" ? "t" : "",
  }),
};

const startDriver: StartDriver = async (config, logger) => {
  if (config.maxStreams === 13)
    throw new DriverError("DATABASE_BUSY", "Another driver has the database open.", { hint: "Stop it." });
  const drivers = await Promise.all(config.listen.map((address) => startScriptedDriver(address, script)));
  return {
    addresses: drivers.map(({ address }) => address),
    failed: config.maxStreams === 14 ? Promise.resolve(new Error("the disk is gone")) : new Promise<never>(() => {}),
    async stop(drainTimeoutMs) {
      logger.info("stopping", { drainTimeoutMs });
      // A drain that a test can see: it never comes to its end by itself.
      if (config.maxStreams === 15) await new Promise(() => setInterval(() => {}, 1_000));
      for (const driver of drivers) driver.close();
    },
  };
};

const interruption = new AbortController();
const interrupt = () => interruption.abort();
process.on("SIGINT", interrupt);
process.exit(
  await runProgram(process.argv.slice(2), {
    version: "0.0.0-test",
    terminal: process,
    environment: process.env,
    programPath: fileURLToPath(import.meta.url),
    signal: interruption.signal,
    serve: (config) => {
      process.off("SIGINT", interrupt);
      return serve(config, startDriver, process);
    },
  }),
);
