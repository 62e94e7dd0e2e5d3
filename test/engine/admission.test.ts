import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { ExecuteRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import type { CallContext } from "../../src/engine/call.js";
import { DriverError } from "../../src/errors.js";
import { sqlValue, useEngines } from "../support/engine.js";
import { workerPids } from "../support/processes.js";

const MEBIBYTE = 1024 * 1024;
const REQUEST_BYTES = 15 * MEBIBYTE;
/** So much may wait for a process. */
const MAX_BYTES = 256 * MEBIBYTE;
/** More than fit. */
const ATTEMPTS = 20;

describe("the memory for requests that a process does not read", () => {
  const start = useEngines();

  for (const [kind, sql] of [
    ["reader", "SELECT length(?)"],
    ["writer", "INSERT INTO t VALUES (length(?))"],
  ] as const) {
    it(`has a bound also when their callers go away (${kind})`, async () => {
      const test = await start({});
      await test.sql("CREATE TABLE t(x)");
      await test.sql("SELECT 1");
      const parameters = [sqlValue(Buffer.alloc(REQUEST_BYTES))];
      const request = Buffer.from(toBinary(ExecuteRequestSchema, create(ExecuteRequestSchema, { sql, parameters })));
      const send = async (signal: AbortSignal): Promise<string> => {
        const context: CallContext = {
          deadlineMs: Number.POSITIVE_INFINITY,
          signal,
          role: "read-write",
          requestId: "",
        };
        return await test.engine.unary("execute", request, context).then(
          () => "OK",
          (error: unknown) => DriverError.from(error).reason,
        );
      };
      const pids = workerPids(test.databasePath, kind);
      for (const pid of pids) process.kill(pid, "SIGSTOP");
      const answers: string[] = [];
      for (let i = 0; i < ATTEMPTS; i++) {
        const abort = new AbortController();
        const answer = send(abort.signal);
        // What is refused is refused at once.
        await new Promise((resolve) => setImmediate(resolve));
        abort.abort();
        answers.push(await answer);
      }
      for (const pid of pids) process.kill(pid, "SIGCONT");
      const taken = answers.filter((answer) => answer === "CANCELLED").length;
      assert.deepEqual(answers.slice(taken), Array(ATTEMPTS - taken).fill("OVERLOADED"));
      assert.ok(taken * REQUEST_BYTES <= MAX_BYTES + REQUEST_BYTES, `${taken} requests were taken in`);
      assert.ok(taken > 1);
    });
  }
});
