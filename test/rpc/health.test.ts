import assert from "node:assert/strict";
import { once } from "node:events";
import { type Client, status } from "@grpc/grpc-js";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
  Health as HealthService,
} from "../../gen/grpc/health/v1/health_pb.js";
import { parseStatusDetails } from "../../src/client/errors.js";
import { ServingStatus } from "../../src/rpc/health.js";
import type { RpcServer } from "../../src/rpc/server.js";
import { methodDefinition } from "../../src/rpc/service-definition.js";
import { decode, encode, engineOf, failure, isServiceError, parseListener, TestBench, unary } from "./support.js";

const SERVICE = "code_analysis.driver.v1.DriverService";

describe("grpc.health.v1.Health", () => {
  let bench: TestBench;
  let server: RpcServer;
  let client: Client;
  beforeEach(async () => {
    bench = new TestBench();
    server = bench.server(engineOf({}));
    client = bench.connect(await server.listen(parseListener(`unix:${bench.socketPath}`)));
  });
  afterEach(() => bench.close());

  const check = async (service: string) => {
    const answer = await unary(
      client,
      methodDefinition(HealthService.method.check),
      encode(HealthCheckRequestSchema, { service }),
    );
    return decode(HealthCheckResponseSchema, answer).status;
  };

  const watch = (service: string) => {
    const { path, requestSerialize, responseDeserialize } = methodDefinition(HealthService.method.watch);
    const request = encode(HealthCheckRequestSchema, { service });
    return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
  };

  const next = async (stream: ReturnType<typeof watch>) => {
    const [message]: unknown[] = await once(stream, "data");
    assert.ok(message instanceof Uint8Array);
    return decode(HealthCheckResponseSchema, message).status;
  };

  it("is NOT_SERVING until set, for the process and for the service", async () => {
    for (const service of ["", SERVICE]) assert.equal(await check(service), ServingStatus.NOT_SERVING);
    server.health.setStatus(ServingStatus.SERVING);
    for (const service of ["", SERVICE]) assert.equal(await check(service), ServingStatus.SERVING);
  });

  it("answers NOT_FOUND for a service that it does not know", async () => {
    const error = await failure(check("no.such.Service"));
    assert.equal(error.code, status.NOT_FOUND);
    assert.equal(parseStatusDetails(error.metadata)?.field, "service");
  });

  it("answers INVALID_ARGUMENT for bytes that are no request", async () => {
    const error = await failure(unary(client, methodDefinition(HealthService.method.check), Buffer.of(0x0a, 0x7f)));
    assert.equal(error.code, status.INVALID_ARGUMENT);
    assert.equal(parseStatusDetails(error.metadata)?.reason, "INVALID_REQUEST");
  });

  it("lists all statuses", async () => {
    const answer = await unary(client, methodDefinition(HealthService.method.list), new Uint8Array());
    const { statuses } = decode(HealthListResponseSchema, answer);
    assert.deepEqual(Object.keys(statuses).sort(), ["", SERVICE]);
  });

  it("tells watchers the status at once and then each change", async () => {
    const stream = watch(SERVICE);
    assert.equal(await next(stream), ServingStatus.NOT_SERVING);
    for (const changed of [ServingStatus.SERVING, ServingStatus.NOT_SERVING, ServingStatus.SERVING]) {
      server.health.setStatus(changed);
      assert.equal(await next(stream), changed);
    }
    stream.on("error", () => {}).cancel();
  });

  it("tells watchers of a service that it does not know so, and keeps the stream", async () => {
    const stream = watch("no.such.Service");
    assert.equal(await next(stream), ServingStatus.SERVICE_UNKNOWN);
    stream.on("error", () => {}).cancel();
  });

  it("ends watching streams when the server stops, after NOT_SERVING", async () => {
    server.health.setStatus(ServingStatus.SERVING);
    const stream = watch("");
    assert.equal(await next(stream), ServingStatus.SERVING);
    const ended = once(stream, "error");
    const last = next(stream);
    const startedMs = performance.now();
    await server.stop(30_000);
    assert.ok(performance.now() - startedMs < 10_000);
    assert.equal(await last, ServingStatus.NOT_SERVING);
    const [error]: unknown[] = await ended;
    assert.ok(isServiceError(error));
    assert.equal(error.code, status.UNAVAILABLE);
    assert.equal(parseStatusDetails(error.metadata)?.reason, "DRAINING");
  });
});
