import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { rename, stat } from "node:fs/promises";
import { createServer } from "node:net";
import { status } from "@grpc/grpc-js";
import { ServerReflection, ServerReflectionRequestSchema } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { encode, engineOf, execute, failure, parseListener, TestBench, unaryEngine, until } from "./support.js";

const EMPTY = new Uint8Array();

describe("RpcServer.listen()", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  it("makes a socket that only its owner can use, and removes it when it stops", async () => {
    const server = bench.server(engineOf({}));
    const umask = process.umask();
    await server.listen(parseListener(`unix:${bench.socketPath}`));
    assert.equal((await stat(bench.socketPath)).mode & 0o777, 0o600);
    assert.equal(process.umask(), umask);
    await server.stop(0);
    await assert.rejects(stat(bench.socketPath), { code: "ENOENT" });
  });

  it("takes the place of a socket that nothing answers on", async () => {
    const killed = createServer().listen(bench.socketPath);
    await once(killed, "listening");
    // Closing would remove the socket, which a process that is killed leaves behind.
    await rename(bench.socketPath, `${bench.socketPath}.left`);
    killed.close();
    await once(killed, "close");
    await rename(`${bench.socketPath}.left`, bench.socketPath);
    const client = await bench.serve(unaryEngine(async () => EMPTY));
    await execute(client, EMPTY);
  });

  it("refuses a path where another process answers", async () => {
    await bench.serve(unaryEngine(async () => EMPTY));
    await assert.rejects(bench.serve(engineOf({})), { reason: "INVALID_REQUEST", message: /another process/ });
  });

  it("refuses a path where something else than a socket is", async () => {
    writeFileSync(bench.socketPath, "precious");
    await assert.rejects(bench.serve(engineOf({})), { reason: "INVALID_REQUEST", message: /no socket/ });
  });

  it("refuses plain text to other machines", async () => {
    await assert.rejects(bench.serve(engineOf({}), {}, "0.0.0.0:0"), { reason: "INVALID_REQUEST" });
  });

  it("refuses a port that is taken", async () => {
    const server = bench.server(engineOf({}));
    const address = await server.listen(parseListener("127.0.0.1:0"));
    assert.doesNotMatch(address, /:0$/);
    await assert.rejects(bench.serve(engineOf({}), {}, address), {
      reason: "INVALID_REQUEST",
      message: /another process does/,
    });
  });
});

describe("RpcServer.stop()", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  it("lets a running call end and takes no other", async () => {
    let finish: (bytes: Uint8Array) => void = () => {};
    const server = bench.server(
      unaryEngine(
        () =>
          new Promise((resolve) => {
            finish = resolve;
          }),
      ),
    );
    const client = bench.connect(await server.listen(parseListener(`unix:${bench.socketPath}`)));
    const idle = finish;
    const running = execute(client, EMPTY);
    await until(() => finish !== idle);
    const stopped = server.stop(10_000);
    assert.equal((await failure(execute(client, EMPTY))).code, status.UNAVAILABLE);
    finish(EMPTY);
    await running;
    await stopped;
  });

  it("waits for no stream of requests, which its client may never end, but answers it", async () => {
    const server = bench.server(unaryEngine(async () => EMPTY));
    const client = bench.connect(await server.listen(parseListener(`unix:${bench.socketPath}`)));
    const { path, requestSerialize, responseDeserialize } = methodDefinition(
      ServerReflection.method.serverReflectionInfo,
    );
    const stream = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
    stream.write(encode(ServerReflectionRequestSchema, { messageRequest: { case: "listServices", value: "" } }));
    await once(stream, "data");
    const ended = failure(once(stream, "end"));
    // Longer than a test may take.
    await server.drain(600_000);
    const error = await ended;
    assert.equal(error.code, status.UNAVAILABLE);
    assert.equal(parseStatusDetails(error.metadata)?.reason, "DRAINING");
    assert.deepEqual(
      bench.endedCalls.map((call) => call.error?.reason),
      ["DRAINING"],
    );
  });

  it("cancels what still runs when the time is up", async () => {
    const server = bench.server(
      unaryEngine((_request, { signal }) => new Promise((_, reject) => signal.addEventListener("abort", reject))),
    );
    const client = bench.connect(await server.listen(parseListener(`unix:${bench.socketPath}`)));
    const running = failure(execute(client, EMPTY));
    await execute(client, EMPTY, { deadline: new Date(Date.now() + 20) }).catch(() => {});
    await server.stop(50);
    assert.ok([status.UNAVAILABLE, status.CANCELLED].includes((await running).code));
    assert.equal(bench.endedCalls.length, 2);
  });
});
