import assert from "node:assert/strict";
import { type Client, Metadata, status } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { DriverError } from "../../src/errors.js";
import { ACCESS_OF_METHOD } from "../../src/rpc/access.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { engineOf, execute, failure, parseListener, TestBench, unary, unaryEngine } from "./support.js";

const EMPTY = new Uint8Array();

describe("access", () => {
  let bench: TestBench;
  beforeEach(() => {
    bench = new TestBench();
  });
  afterEach(() => bench.close());

  const authenticate = (role: string | undefined) => {
    if (role === "read-only" || role === "read-write") return role;
    throw new DriverError("UNAUTHENTICATED", "The call has no token.");
  };
  const as = (role: string) => {
    const metadata = new Metadata();
    metadata.set("authorization", role);
    return metadata;
  };
  const call = (client: Client, path: string, metadata: Metadata) =>
    unary(client, { ...methodDefinition(DriverService.method.execute), path }, EMPTY, metadata);

  it("is asked for before the engine, reflection and channelz, not before health", async () => {
    const client = await bench.serve(engineOf({}), { authenticate });
    for (const path of [
      "/code_analysis.driver.v1.DriverService/Execute",
      "/code_analysis.driver.v1.DriverService/Query",
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      "/grpc.channelz.v1.Channelz/GetServers",
    ]) {
      const error = await failure(call(client, path, new Metadata()));
      assert.equal(error.code, status.UNAUTHENTICATED, path);
      assert.equal(parseStatusDetails(error.metadata)?.reason, "UNAUTHENTICATED");
    }
    await call(client, "/grpc.health.v1.Health/Check", new Metadata());
    await call(client, "/grpc.channelz.v1.Channelz/GetServers", as("read-only"));
  });

  it("is given to a client that may only read for the methods that read, and its role reaches the engine", async () => {
    const roles: string[] = [];
    const client = await bench.serve(
      {
        unary: async (_method, _request, { role }) => {
          roles.push(role);
          return EMPTY;
        },
        stream: async function* (_method, _request, { role }) {
          roles.push(role);
          yield EMPTY;
        },
      },
      { authenticate },
    );
    for (const method of DriverService.methods) {
      const definition = methodDefinition(method);
      const isAllowed = Object.entries(ACCESS_OF_METHOD).some(
        ([name, role]) => name === method.localName && role === "read-only",
      );
      const result = unary(client, definition, EMPTY, as("read-only"));
      if (isAllowed) await result;
      else assert.equal((await failure(result)).code, status.PERMISSION_DENIED, method.name);
    }
    assert.ok(roles.length > 0 && roles.every((role) => role === "read-only"));
    await execute(client, EMPTY, { metadata: as("read-write") });
    assert.equal(roles.at(-1), "read-write");
  });

  it("is decided with the listener that the call came through", async () => {
    const kinds: string[] = [];
    const server = bench.server(
      unaryEngine(async () => EMPTY),
      {
        authenticate: (_authorization, listener) => {
          kinds.push(listener.kind);
          return "read-write";
        },
      },
    );
    for (const address of [`unix:${bench.socketPath}`, "127.0.0.1:0"]) {
      await execute(bench.connect(await server.listen(parseListener(address))), EMPTY);
    }
    assert.deepEqual(kinds, ["unix", "tcp"]);
  });
});
