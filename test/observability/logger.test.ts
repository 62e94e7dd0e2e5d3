import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  createLogger,
  type LogFields,
  type Logger,
  type LogLevel,
  silentLogger,
} from "../../src/observability/logger.js";

describe("createLogger()", () => {
  function record(level: LogLevel, log: (logger: Logger) => void): LogFields[] {
    const lines: string[] = [];
    log(createLogger({ level, isPretty: false, write: (line) => lines.push(line) }));
    return lines.map((line) => JSON.parse(line));
  }

  it("writes one JSON object a line, with time, level, message and fields", () => {
    const [first, ...rest] = record("info", (logger) => logger.warn("low on disk", { freeBytes: 12 }));
    assert.deepEqual(rest, []);
    const { time, ...others } = first ?? {};
    assert.deepEqual(others, { level: "warn", msg: "low on disk", freeBytes: 12 });
    assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000);
  });

  it("leaves out what is below its level", () => {
    const log = (logger: Logger) => {
      logger.debug("a");
      logger.info("b");
      logger.error("c");
    };
    const messages = (level: LogLevel) => record(level, log).map(({ msg }) => msg);
    assert.deepEqual(messages("debug"), ["a", "b", "c"]);
    assert.deepEqual(messages("error"), ["c"]);
    assert.deepEqual(messages("silent"), []);
    log(silentLogger.child({}));
  });

  it("adds the fields of a child to each record", () => {
    const [only] = record("info", (logger) => logger.child({ worker: "writer" }).info("up", { pid: 7 }));
    assert.equal(only?.worker, "writer");
    assert.equal(only?.pid, 7);
  });

  it("redacts tokens and bound values at any depth", () => {
    const [only] = record("info", (logger) =>
      logger.child({ token: "s1" }).info("refused Bearer abc.def-9=", {
        call: { metadata: { Authorization: "Bearer s2" }, statements: [{ sql: "SELECT ?", parameters: ["s3"] }] },
        header: "authorization: bearer s4",
        rowid: 2n ** 63n - 1n,
      }),
    );
    const written = JSON.stringify(only);
    for (const secret of ["s1", "s2", "s3", "s4", "abc.def-9"]) assert.ok(!written.includes(secret), secret);
    assert.equal(only?.msg, "refused Bearer [redacted]");
    assert.equal(only?.rowid, "9223372036854775807");
    assert.match(written, /SELECT \?/);
  });

  it("writes errors with their cause", () => {
    const err = new Error("outer", { cause: new Error("inner") });
    const [only] = record("info", (logger) => logger.error("failed", { err }));
    assert.match(JSON.stringify(only?.err), /outer.*inner/);
  });

  it("writes to stderr before it returns, so that a crash loses nothing", () => {
    const url = new URL("../../src/observability/logger.js", import.meta.url);
    const script = `import { createLogger } from "${url}"; createLogger({ level: "info" }).info("last words"); process.abort();`;
    assert.throws(
      () => execFileSync(process.execPath, ["--input-type=module", "--eval", script], { stdio: "pipe" }),
      (error) =>
        error instanceof Error && "stderr" in error && /^\{.*"msg":"last words".*\}$/m.test(String(error.stderr)),
    );
  });

  it("writes for people when asked to", () => {
    const lines: string[] = [];
    const logger = createLogger({ level: "info", isPretty: true, write: (line) => lines.push(line) });
    logger.info("up", { workers: 7 });
    assert.match(lines.join(""), /INFO.*up[\s\S]*workers.*7/);
  });
});
