import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { DriverError } from "../../errors.js";
import type { Session } from "../session.js";
import type { WriterSession } from "../writer-session.js";

/** Answers one request. Runs inside a savepoint on the writer and in autocommit on a reader; opens no transaction itself. */
export type UnaryOperation = (session: Session, request: Uint8Array) => Uint8Array;

/** Answers one request that only the writer can; runs inside a savepoint of the current transaction. */
export type WriteOperation = (session: WriterSession, request: Uint8Array) => Uint8Array;

/** Answers one request on the writer outside of group commits, and controls transactions itself. */
export type ExclusiveOperation = (session: WriterSession, request: Uint8Array) => Uint8Array;

/** Answers one request with many messages, each made when it is pulled. Reads only. */
export type StreamOperation = (session: Session, request: Uint8Array) => Iterator<Uint8Array>;

/**
 * Messages inside each other in a request: a `Condition` of depth 64 has two for each level, and the generated code stops at 100
 * unless told otherwise.
 */
const MAX_NESTED_MESSAGES = 160;

/**
 * Decodes a request.
 *
 * @throws DriverError `INVALID_REQUEST` when the bytes are no such message.
 */
export function decodeRequest<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  try {
    return fromBinary(schema, bytes, { recursionLimit: MAX_NESTED_MESSAGES });
  } catch (cause) {
    throw new DriverError("INVALID_REQUEST", `The request is not a valid ${schema.typeName} message.`, { cause });
  }
}
