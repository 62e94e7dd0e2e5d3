import { type ServiceError, status } from "@grpc/grpc-js";
import { DriverError, type Reason } from "../errors.js";
import { parseStatusDetails } from "./errors.js";

/** What a status means that came without the driver's own details: from grpc-js itself, a proxy, or the network. */
const REASON_OF_STATUS: Readonly<Partial<Record<status, Reason>>> = {
  [status.DEADLINE_EXCEEDED]: "DEADLINE_EXCEEDED",
  [status.CANCELLED]: "CANCELLED",
  [status.UNAUTHENTICATED]: "UNAUTHENTICATED",
  [status.UNIMPLEMENTED]: "NOT_IMPLEMENTED",
  [status.RESOURCE_EXHAUSTED]: "LIMIT_EXCEEDED",
  [status.INVALID_ARGUMENT]: "INVALID_REQUEST",
};

/** What grpc-js at the other end says of a request, before the driver sees it. */
const TOO_LARGE = /^Received message larger than max/;

/** How grpc-js begins when there was no connection to send the call on. Any other UNAVAILABLE ended a call on its way. */
const NO_CONNECTION = /^(?:No connection established|Name resolution failed|Failed to parse)/;

/** A failed call as the driver's own error, or as the nearest one when it did not come from the driver. */
export function fromCallError(error: unknown, address: string): DriverError {
  if (!isServiceError(error)) return DriverError.from(error);
  return parseStatusDetails(error.metadata) ?? fromStatus(error, address);
}

function fromStatus(cause: ServiceError, address: string): DriverError {
  const { code, details } = cause;
  if (code === status.UNAVAILABLE) return unreachable(cause, address);
  const reason = REASON_OF_STATUS[code];
  if (reason !== undefined) {
    const hint = "The driver's --max-request-bytes says how large a request may be.";
    return new DriverError(reason, details, { cause, ...(TOO_LARGE.test(details) && { hint }) });
  }
  // The status of a `DriverError` follows from its reason, so only the message can tell this one.
  const ending = `ended with ${status[code] ?? code} and no reason that this client knows`;
  return new DriverError("INTERNAL", `The call to ${address} ${ending}: ${details}`, { cause });
}

function unreachable(cause: ServiceError, address: string): DriverError {
  const { details } = cause;
  if (NO_CONNECTION.test(details)) {
    return new DriverError("DRIVER_UNREACHABLE", `No driver answers at ${address} (${connectionProblem(details)}).`, {
      hint: "Start one with: code-analysis-driver serve",
      cause,
    });
  }
  return new DriverError("DRIVER_UNREACHABLE", `The call to ${address} broke off (${details}).`, {
    hint: "It may have taken effect; a write with a request_id can be sent again and takes effect once.",
    cause,
  });
}

/** What grpc-js says of the last attempt, without what it says around it. */
function connectionProblem(details: string): string {
  const [, problem = details] = /Last error: (?:Error: )?(.*?)\. Resolution note:/.exec(details) ?? [];
  return problem;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}
