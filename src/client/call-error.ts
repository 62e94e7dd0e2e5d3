import { type ServiceError, status } from "@grpc/grpc-js";
import { DriverError, type Reason } from "../errors.js";
import { parseStatusDetails } from "./errors.js";

/** What a status means that came without the driver's own details: from grpc-js itself, a proxy, or the network. */
const REASON_OF_STATUS: Readonly<Partial<Record<status, Reason>>> = {
  [status.UNAVAILABLE]: "DRIVER_UNREACHABLE",
  [status.DEADLINE_EXCEEDED]: "DEADLINE_EXCEEDED",
  [status.CANCELLED]: "CANCELLED",
  [status.UNAUTHENTICATED]: "UNAUTHENTICATED",
  [status.UNIMPLEMENTED]: "NOT_IMPLEMENTED",
  [status.RESOURCE_EXHAUSTED]: "LIMIT_EXCEEDED",
  [status.INVALID_ARGUMENT]: "INVALID_REQUEST",
};

/** What grpc-js at the other end says of a request, before the driver sees it. */
const TOO_LARGE = /^Received message larger than max/;

/** A failed call as the driver's own error, or as the nearest one when it did not come from the driver. */
export function fromCallError(error: unknown, address: string): DriverError {
  if (!isServiceError(error)) return DriverError.from(error);
  const sent = parseStatusDetails(error.metadata);
  if (sent !== undefined) return sent;
  const reason = REASON_OF_STATUS[error.code] ?? "INTERNAL";
  if (reason === "DRIVER_UNREACHABLE") {
    return new DriverError(reason, `No driver answers at ${address} (${connectionProblem(error.details)}).`, {
      hint: "Start one with: code-analysis-driver serve",
      cause: error,
    });
  }
  const hint = TOO_LARGE.test(error.details)
    ? "The driver's --max-request-bytes says how large a request may be."
    : undefined;
  return new DriverError(reason, error.details, { cause: error, ...(hint !== undefined && { hint }) });
}

/** What grpc-js says of the last attempt, without what it says around it. */
function connectionProblem(details: string): string {
  const [, problem = details] = /Last error: (?:Error: )?(.*?)\. Resolution note:/.exec(details) ?? [];
  return problem;
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}
