import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { Metadata, status } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { fromCallError } from "../../src/client/call-error.js";

function failure(code: number, details: string, statusDetails?: Uint8Array) {
  const metadata = new Metadata();
  if (statusDetails !== undefined) metadata.set("grpc-status-details-bin", Buffer.from(statusDetails));
  return fromCallError(Object.assign(new Error(details), { code, details, metadata }), "localhost:1");
}

describe("fromCallError()", () => {
  it("takes the status for all there is when another server sends details of another form", () => {
    const error = failure(status.UNAUTHENTICATED, "Who are you?", Buffer.from([0xff, 0xff, 0x01]));
    assert.deepEqual([error.reason, error.message], ["UNAUTHENTICATED", "Who are you?"]);
  });

  it("says which status it was when it has no reason for it: a proxy's, or that of a newer driver", () => {
    const info = create(ErrorInfoSchema, { domain: "code-analysis-driver", reason: "VIEW_NOT_FOUND" });
    const sent = create(StatusSchema, { code: 5, details: [anyPack(ErrorInfoSchema, info)] });
    for (const [error, name, details] of [
      [failure(status.PERMISSION_DENIED, "no"), "PERMISSION_DENIED", "no"],
      [failure(status.NOT_FOUND, "There is no v.", toBinary(StatusSchema, sent)), "NOT_FOUND", "There is no v."],
      [failure(99, "?"), "99", "?"],
    ] as const) {
      const message = `The call to localhost:1 ended with ${name} and no reason that this client knows: ${details}`;
      assert.deepEqual([error.reason, error.message], ["INTERNAL", message]);
    }
  });
});
