import assert from "node:assert/strict";
import { Metadata } from "@grpc/grpc-js";
import { fromCallError } from "../../src/client/call-error.js";

describe("fromCallError()", () => {
  it("takes the status for all there is when another server sends details of another form", () => {
    const metadata = new Metadata();
    metadata.set("grpc-status-details-bin", Buffer.from([0xff, 0xff, 0x01]));
    const sent = Object.assign(new Error("no"), { code: 16, details: "Who are you?", metadata });
    const error = fromCallError(sent, "localhost:1");
    assert.deepEqual([error.reason, error.message], ["UNAUTHENTICATED", "Who are you?"]);
  });
});
