import assert from "node:assert/strict";
import { mkdirSync, realpathSync, writeFileSync } from "node:fs";
import type { EngineLimits } from "../../src/engine/limits.js";
import { DriverError } from "../../src/errors.js";
import { reason, TestEngine } from "../support/engine.js";
import { useTempFolder } from "../support/temp-folder.js";

const FILES = 12;
/** What one parser is given at a time. */
const AT_THE_PARSER = 4;

describe("the queue of files", function () {
  this.timeout(60_000);
  const inFolder = useTempFolder();
  let test: TestEngine;
  let projectId: string;
  afterEach(() => test.stop());

  async function start(limits: Partial<EngineLimits>): Promise<void> {
    test = await TestEngine.start({ parsers: 1, ...limits });
    mkdirSync(inFolder("source"));
    for (let i = 0; i < FILES; i++) writeFileSync(inFolder("source", `${i}.py`), `def f${i}(): pass\n`);
    const { project } = await test.call("registerProject", { rootPath: realpathSync(inFolder("source")) });
    projectId = project?.id ?? "";
  }

  const index = (i: number, signal = new AbortController().signal) =>
    test.call("indexFile", { projectId, filePath: `${i}.py` }, { signal });

  /** What became of each call, in their order. */
  async function outcomes(calls: readonly Promise<unknown>[]): Promise<string[]> {
    const settled = await Promise.allSettled(calls);
    return settled.map((each) => (each.status === "fulfilled" ? "OK" : DriverError.from(each.reason).reason));
  }

  it("refuses on arrival what it has no room for, and is told", async () => {
    await start({ maxQueuedFiles: 8 });
    const calls = Array.from({ length: FILES }, (_, i) => index(i));
    await assert.rejects(Promise.race(calls.slice(8)), reason("OVERLOADED"));
    assert.equal((await test.engine.load()).queuedFiles, 8);
    assert.deepEqual(await outcomes(calls), [...Array(8).fill("OK"), ...Array(FILES - 8).fill("OVERLOADED")]);
    assert.equal((await test.engine.load()).queuedFiles, 0);
  });

  it("forgets a call that is cancelled while it waits, and is passed on in order", async () => {
    await start({});
    const abort = new AbortController();
    const calls = Array.from({ length: FILES }, (_, i) => index(i, i === AT_THE_PARSER ? abort.signal : undefined));
    abort.abort();
    const expected = Array.from({ length: FILES }, (_, i) => (i === AT_THE_PARSER ? "CANCELLED" : "OK"));
    assert.deepEqual(await outcomes(calls), expected);
    assert.deepEqual(await test.values("SELECT count(*) FROM files"), [BigInt(FILES - 1)]);
  });

  it("is sent away when the driver goes down, and what a parser has is indexed", async () => {
    await start({});
    const calls = Array.from({ length: FILES }, (_, i) => index(i));
    // The calls have come as far as they can without a parser.
    await new Promise((resolve) => setImmediate(resolve));
    test.engine.drain();
    const waiting = Array(FILES - AT_THE_PARSER).fill("DRAINING");
    assert.deepEqual(await outcomes(calls.slice(AT_THE_PARSER)), waiting);
    assert.deepEqual(await outcomes(calls.slice(0, AT_THE_PARSER)), Array(AT_THE_PARSER).fill("OK"));
  });

  it("is stored whatever others have filled the queue of writes with", async () => {
    await start({ maxQueuedWrites: 2 });
    await test.sql("CREATE TABLE t(x)");
    const { transactionId } = await test.call("beginTransaction", {});
    const writes = [1, 2].map(() => test.sql("INSERT INTO t VALUES (1)"));
    await assert.rejects(test.sql("INSERT INTO t VALUES (1)"), reason("OVERLOADED"));
    const single = Array.from({ length: FILES / 2 }, (_, i) => index(i));
    const whole = (async () => {
      let failed: bigint | undefined;
      for await (const { progress } of test.stream("indexProject", { projectId })) {
        failed = progress?.filesFailed;
        // All that is left is to store them.
        if (progress?.bytesRead !== 0n) void test.call("commitTransaction", { transactionId }).catch(() => undefined);
      }
      return failed;
    })();
    assert.equal(await whole, 0n);
    assert.deepEqual(await outcomes([...single, ...writes]), Array(FILES / 2 + 2).fill("OK"));
    assert.deepEqual(await test.values("SELECT count(*) FROM files"), [BigInt(FILES)]);
  });
});
