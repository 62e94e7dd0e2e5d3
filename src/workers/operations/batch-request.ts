import { type ExecuteBatchRequest, ExecuteBatchRequestSchema } from "../../../gen/code_analysis/driver/v1/sql_pb.js";
import { DriverError } from "../../errors.js";
import type { WorkerLimits } from "../limits.js";
import { countField } from "../request-fields.js";
import { decodeRequest } from "./operation.js";

/**
 * Decodes a batch, after its statements were counted: one can be two bytes of the request, and millions of objects take seconds and
 * gigabytes.
 *
 * @throws DriverError `LIMIT_EXCEEDED`, or `INVALID_REQUEST` when the bytes are no such message
 */
export function decodeBatch(bytes: Uint8Array, { maxBatchStatements }: WorkerLimits): ExecuteBatchRequest {
  const count = countField(bytes, ExecuteBatchRequestSchema.field.statements.number);
  if (count > maxBatchStatements) {
    const message = `The batch has ${count} statements; at most ${maxBatchStatements} are allowed.`;
    throw new DriverError("LIMIT_EXCEEDED", message, { field: "statements" });
  }
  return decodeRequest(ExecuteBatchRequestSchema, bytes);
}
