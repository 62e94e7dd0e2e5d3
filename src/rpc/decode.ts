import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { DriverError } from "../errors.js";

/**
 * A request as a message.
 *
 * @throws DriverError `INVALID_REQUEST` for bytes that are no message of this type
 */
export function decodeRequest<Desc extends DescMessage>(schema: Desc, request: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, request);
  } catch (cause) {
    throw new DriverError("INVALID_REQUEST", `The request is no ${schema.typeName}.`, { cause });
  }
}
