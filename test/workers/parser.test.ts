import assert from "node:assert/strict";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { monotonicMs } from "../../src/observability/clock.js";
import { SQLiteSchemaManager } from "../../src/schema/schema-manager.js";
import { openConnection } from "../../src/sqlite/connection.js";
import {
  decodeFileResults,
  encodeMessage,
  FileResultKind,
  type IndexFilesRequest,
  type ScanProjectRequest,
} from "../../src/workers/index-messages.js";
import { type CallOptions, WorkerProcess } from "../../src/workers/worker-process.js";
import { reason, TEST_LIMITS } from "../support/engine.js";
import { until, untilAtWork } from "../support/processes.js";
import { useTempFolder } from "../support/temp-folder.js";

const FOREVER = { deadlineMs: Number.POSITIVE_INFINITY };
const HANG_ON = "never to be parsed";
const HANGING_PARSER = new URL("../support/hanging-parser.js", import.meta.url).href;
/** More than the operating system takes at once. */
const LARGE = `# ${"x".repeat(4_000_000)}\n`;

describe("a parser that is at work while calls wait for it", function () {
  this.timeout(60_000);
  const path = useTempFolder();
  let parser: WorkerProcess;

  beforeEach(() => {
    const connection = openConnection(path("test.db"), { role: "writer" });
    new SQLiteSchemaManager(connection).prepare({ log: () => undefined });
    connection.prepare("INSERT INTO projects (id, root_path) VALUES ('p', ?)").run(path("source"));
    connection.close();
    mkdirSync(path("source"));
    const { env } = process;
    process.env = { ...env, HANG_ON, HANG_UNTIL: path("go"), NODE_OPTIONS: `--import=${HANGING_PARSER}` };
    parser = new WorkerProcess("parser", {
      databasePath: path("test.db"),
      limits: { ...TEST_LIMITS, maxParseMs: 5_000 },
    });
    process.env = env;
  });
  afterEach(async () => {
    parser.kill();
    await parser.exited;
  });

  /** Calls that are made before the process is up reach it together. */
  async function index(name: string, content: string, signal?: AbortSignal): Promise<FileResultKind | undefined> {
    writeFileSync(path("source", name), content);
    const request: IndexFilesRequest = {
      projectId: "p",
      paths: [name],
      force: false,
      isPartOfProject: false,
      isReconciling: false,
    };
    const options = signal === undefined ? FOREVER : { ...FOREVER, signal };
    for await (const message of parser.stream("indexFiles", encodeMessage(request), options)) {
      for (const { kind } of decodeFileResults(message)) return kind;
    }
    return undefined;
  }

  it("lets an answer leave, however large it is, before it begins with the next call", async () => {
    const first = index("large.py", LARGE);
    const second = index("hangs.py", `"${HANG_ON}"\n`);
    second.catch(() => undefined);
    assert.equal(await first, FileResultKind.STORE);
  });

  it("does nothing of a waiting call that was cancelled meanwhile", async () => {
    const abort = new AbortController();
    const first = index("first.py", `"${HANG_ON}"\n`);
    const cancelled = index("cancelled.py", `"${HANG_ON}"\n`, abort.signal);
    const third = index("third.py", "def third(): pass\n");
    await parser.ready;
    await untilAtWork(parser.pid ?? 0);
    abort.abort();
    await assert.rejects(cancelled, reason("CANCELLED"));
    await until("the parser is told", () => parser.bufferedBytes === 0);
    await go(1);
    assert.deepEqual(await Promise.all([first, third]), [FileResultKind.STORE, FileResultKind.STORE]);
  });

  describe("and scans", () => {
    function scan(options: CallOptions): Promise<Buffer> {
      return parser.call(
        "scanProject",
        encodeMessage({ projectId: "p", paths: [] } satisfies ScanProjectRequest),
        options,
      );
    }

    /** More than are walked in one turn. */
    function fill(directory: string): void {
      mkdirSync(path("source", directory));
      for (let i = 0; i < 300; i++) writeFileSync(path("source", directory, `${i}.py`), "");
    }

    it("ends a scan that is cancelled", async () => {
      const abort = new AbortController();
      mkdirSync(path("source", HANG_ON));
      fill(`${HANG_ON}/files`);
      mkdirSync(path("source", HANG_ON, "later"));
      const cancelled = scan({ ...FOREVER, signal: abort.signal });
      const second = index("second.py", "def second(): pass\n");
      await parser.ready;
      await untilAtWork(parser.pid ?? 0);
      abort.abort();
      await assert.rejects(cancelled, reason("CANCELLED"));
      await until("the parser is told", () => parser.bufferedBytes === 0);
      await go(2);
      assert.equal(await second, FileResultKind.STORE);
    });

    it("is ended with a scan that does not come back from a directory, once its deadline is over", async () => {
      mkdirSync(path("source", HANG_ON));
      await assert.rejects(scan({ deadlineMs: monotonicMs() + 500 }), reason("DEADLINE_EXCEEDED"));
      await parser.exited;
    });
  });

  /** Ends this many hangs. */
  async function go(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      writeFileSync(path("go"), "");
      await until("it goes on", () => !existsSync(path("go")));
    }
  }
});
