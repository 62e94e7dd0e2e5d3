/** A program that starts a reader, gives it a statement that never ends, reports the reader's process id and waits to be killed. */
import { create, toBinary } from "@bufbuild/protobuf";
import { ExecuteRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { WorkerProcess } from "../../src/workers/worker-process.js";
import { ENDLESS, TEST_LIMITS } from "./engine.js";

const [, , databasePath = ""] = process.argv;
const options = { databasePath, limits: { ...TEST_LIMITS, maxStatementMs: 600_000 } };
const reader = new WorkerProcess("reader", options);
await reader.ready;
const request = toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql: ENDLESS }));
void reader.call("execute", request, { deadlineMs: Number.POSITIVE_INFINITY });
// Long enough for the statement to have begun.
setTimeout(() => process.send?.(reader.pid), 200);
