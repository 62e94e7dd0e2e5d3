import assert from "node:assert/strict";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import type { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { createDriverHandlers } from "../../src/rpc/driver-service.js";
import type { Handlers, ServerStreamHandler, UnaryHandler } from "../../src/rpc/service-definition.js";
import { engineOf } from "./support.js";

const unary: UnaryHandler = { kind: "unary", run: async () => new Uint8Array() };
const stream: ServerStreamHandler = {
  kind: "server_streaming",
  run: async function* () {
    yield new Uint8Array();
  },
};

describe("DriverService", () => {
  it("has a handler of the right kind for each method", () => {
    const handlers = createDriverHandlers(engineOf({}));
    assert.deepEqual(
      Object.entries(handlers).map(([name, { kind }]) => [name, kind]),
      DriverService.methods.map(({ localName, methodKind }) => [localName, methodKind]),
    );
  });

  it("does not compile without one, or with one of the wrong kind", () => {
    const complete: Handlers<typeof Health> = { check: unary, list: unary, watch: stream };
    // @ts-expect-error a handler is missing
    const incomplete: Handlers<typeof Health> = { check: unary, watch: stream };
    // @ts-expect-error a handler is of the wrong kind
    const wrongKind: Handlers<typeof Health> = { check: unary, list: unary, watch: unary };
    // @ts-expect-error there is no such method
    const unknownMethod: Handlers<typeof Health> = { check: unary, list: unary, watch: stream, chekc: unary };
    // The compiler has reported every expected error that did not come.
    assert.ok(complete && incomplete && wrongKind && unknownMethod);
  });

  it("has the fields that are read without decoding a request at the same place in every request", () => {
    const numbers = { transaction_id: 14, request_id: 15 } as const;
    let found = 0;
    for (const { input } of DriverService.methods) {
      for (const [name, number] of Object.entries(numbers)) {
        const field = input.fields.find((candidate) => candidate.name === name);
        if (field === undefined) continue;
        found++;
        assert.equal(field.number, number, `${input.typeName}.${name}`);
      }
    }
    assert.ok(found > 0);
    for (const { input } of [DriverService.method.execute, DriverService.method.query]) {
      assert.equal(input.field.sql?.number, 1, input.typeName);
    }
  });
});
