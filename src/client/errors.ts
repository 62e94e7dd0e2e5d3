import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { DriverError, ERROR_DOMAIN, type Reason, STATUS_OF_REASON } from "../errors.js";

/**
 * The error that the driver sent, read from the trailers of a failed call: the same reason, message, hint, field and delay. Not
 * set when the trailers have no details of ours: then it was the transport, another server, or grpc-js itself that ended the
 * call, and the gRPC status says all there is to know.
 */
export function parseStatusDetails(trailers: Metadata): DriverError | undefined {
  const [bytes] = trailers.get("grpc-status-details-bin");
  if (!Buffer.isBuffer(bytes)) return undefined;
  try {
    return parseStatus(bytes);
  } catch {
    // Bytes that are no `google.rpc.Status` are not the driver's.
    return undefined;
  }
}

function parseStatus(bytes: Buffer): DriverError | undefined {
  const { message: sentence, details } = fromBinary(StatusSchema, bytes);
  const info = first(details.map((detail) => anyUnpack(detail, ErrorInfoSchema)));
  if (info?.domain !== ERROR_DOMAIN || !isReason(info.reason)) return undefined;
  const violation = first(details.map((detail) => anyUnpack(detail, BadRequestSchema)))?.fieldViolations[0];
  const delay = first(details.map((detail) => anyUnpack(detail, RetryInfoSchema)))?.retryDelay;
  const { hint, sqlite_code: sqliteCode } = info.metadata;
  const message = hint !== undefined && sentence.endsWith(` ${hint}`) ? sentence.slice(0, -hint.length - 1) : sentence;
  return new DriverError(info.reason, message, {
    ...(hint !== undefined && { hint }),
    ...(sqliteCode !== undefined && { sqliteCode }),
    ...(violation !== undefined && { field: violation.field }),
    ...(delay !== undefined && { retryAfterMs: durationMs(delay) }),
  });
}

function isReason(reason: string): reason is Reason {
  return Object.hasOwn(STATUS_OF_REASON, reason);
}

function first<T>(values: readonly (T | undefined)[]): T | undefined {
  return values.find((value) => value !== undefined);
}
