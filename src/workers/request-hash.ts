import { createHash } from "node:crypto";
import { toBinary } from "@bufbuild/protobuf";
import { ExecuteBatchRequestSchema, ExecuteRequestSchema } from "../../gen/code_analysis/driver/v1/sql_pb.js";
import { UpdateRequestSchema } from "../../gen/code_analysis/driver/v1/table_pb.js";
import type { WorkerLimits } from "./limits.js";
import { decodeBatch } from "./operations/batch-request.js";
import { decodeRequest } from "./operations/operation.js";

/**
 * Fingerprint of a request, equal for equal requests of one operation.
 *
 * The order of the entries of a protobuf map is not defined (https://protobuf.dev/programming-guides/encoding/#maps), and Go
 * shuffles it on purpose: a client that encodes its request again sends other bytes. So requests with a map are brought into one
 * order first.
 */
export function requestHash(operation: string, request: Uint8Array, limits: WorkerLimits): Buffer {
  const canonical = CANONICAL[operation]?.(request, limits) ?? request;
  return createHash("sha256").update(operation).update("\0").update(canonical).digest();
}

/** The operations whose requests hold a map. */
const CANONICAL: Readonly<Record<string, (request: Uint8Array, limits: WorkerLimits) => Uint8Array>> = {
  execute: (bytes) => {
    const request = decodeRequest(ExecuteRequestSchema, bytes);
    request.namedParameters = sorted(request.namedParameters);
    return toBinary(ExecuteRequestSchema, request);
  },
  executeBatch: (bytes, limits) => {
    const request = decodeBatch(bytes, limits);
    for (const statement of request.statements) statement.namedParameters = sorted(statement.namedParameters);
    return toBinary(ExecuteBatchRequestSchema, request);
  },
  update: (bytes) => {
    const request = decodeRequest(UpdateRequestSchema, bytes);
    request.set = sorted(request.set);
    return toBinary(UpdateRequestSchema, request);
  },
};

function sorted<Value>(map: Readonly<Record<string, Value>>): Record<string, Value> {
  return Object.fromEntries(Object.entries(map).sort(([a], [b]) => (a < b ? -1 : 1)));
}
