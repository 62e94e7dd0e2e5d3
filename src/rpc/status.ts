import { create, type DescMessage, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { type DriverError, ERROR_DOMAIN, withHint } from "../errors.js";

/**
 * Clients accept 8 KiB of headers (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md), names and framing
 * included, and the message goes into them up to three times: percent-encoded, and in base64 within the details. These limits,
 * counted percent-encoded, leave room.
 */
const MAX_MESSAGE_BYTES = 1_200;
const MAX_HINT_BYTES = 600;
const MAX_NAME_BYTES = 300;
/** A UTF-16 code unit becomes three bytes of UTF-8 at most, and each of those three characters when percent-encoded. */
const MAX_BYTES_PER_UNIT = 9;
const ELLIPSIS = "…";

/**
 * An error as a gRPC status with rich details (https://google.aip.dev/193): `ErrorInfo` with the reason, `BadRequest` with the
 * field at fault, `RetryInfo` and the pushback of the retry policy where a retry is worth while. The cause stays here.
 */
export function toGrpcStatus(error: DriverError): StatusObject {
  const code = status[error.status];
  const hint = error.hint === undefined ? undefined : shorten(error.hint, MAX_HINT_BYTES);
  const message = shorten(error.message, MAX_MESSAGE_BYTES);
  const sentence = withHint(message, hint);
  const details = [
    pack(ErrorInfoSchema, {
      reason: error.reason,
      domain: ERROR_DOMAIN,
      metadata: {
        ...(error.sqliteCode !== undefined && { sqlite_code: error.sqliteCode }),
        ...(hint !== undefined && { hint }),
      },
    }),
  ];
  const metadata = new Metadata();
  if (error.field !== undefined) {
    const field = shorten(error.field, MAX_NAME_BYTES);
    details.push(pack(BadRequestSchema, { fieldViolations: [{ field, description: message, reason: error.reason }] }));
  }
  if (error.retryAfterMs !== undefined) {
    const retryAfterMs = Math.max(0, Math.round(error.retryAfterMs));
    details.push(pack(RetryInfoSchema, { retryDelay: durationFromMs(retryAfterMs) }));
    metadata.set("grpc-retry-pushback-ms", String(retryAfterMs));
  }
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message: sentence, details }));
  metadata.set("grpc-status-details-bin", Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  return { code, details: sentence, metadata };
}

function pack<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Any {
  return anyPack(schema, create(schema, init));
}

/**
 * The text cut to so many bytes when percent-encoded, with an ellipsis where something is missing. Halves of surrogate pairs
 * become U+FFFD: grpc-js cannot send them and would end the process.
 */
function shorten(text: string, maxBytes: number): string {
  const wellFormed = Buffer.from(text).toString();
  if (wellFormed.length * MAX_BYTES_PER_UNIT <= maxBytes || encodeURI(wellFormed).length <= maxBytes) return wellFormed;
  let shortened = "";
  let bytes = encodeURI(ELLIPSIS).length;
  for (const character of wellFormed) {
    bytes += encodeURI(character).length;
    if (bytes > maxBytes) break;
    shortened += character;
  }
  return shortened + ELLIPSIS;
}
