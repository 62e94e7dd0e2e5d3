import assert from "node:assert/strict";
import { type Client, status } from "@grpc/grpc-js";
import {
  Channelz,
  GetServerRequestSchema,
  GetServerResponseSchema,
  GetServersResponseSchema,
} from "../../gen/grpc/channelz/v1/channelz_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { decode, encode, engineOf, failure, TestBench, unary } from "./support.js";

describe("grpc.channelz.v1.Channelz", () => {
  let bench: TestBench;
  let client: Client;
  beforeEach(async () => {
    bench = new TestBench();
    client = await bench.serve(engineOf({}));
  });
  afterEach(() => bench.close());

  const getServer = async (serverId: bigint) =>
    unary(client, methodDefinition(Channelz.method.getServer), encode(GetServerRequestSchema, { serverId }));

  it("counts the calls of a server", async () => {
    const listed = await unary(client, methodDefinition(Channelz.method.getServers), new Uint8Array());
    const serverId = decode(GetServersResponseSchema, listed).server.at(-1)?.ref?.serverId;
    assert.ok(serverId !== undefined);
    const { server } = decode(GetServerResponseSchema, await getServer(serverId));
    assert.equal(server?.data?.callsStarted, 2n);
  });

  it("answers NOT_FOUND for a server that is not there, and logs the method", async () => {
    const error = await failure(getServer(2n ** 40n));
    assert.equal(error.code, status.NOT_FOUND);
    assert.equal(parseStatusDetails(error.metadata)?.reason, "ENTITY_NOT_FOUND");
    assert.equal(bench.endedCalls[0]?.path, "/grpc.channelz.v1.Channelz/GetServer");
  });
});
