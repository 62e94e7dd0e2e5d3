/** Metadata in which a client may name its call, so that it can be found in the driver's log. */
export const REQUEST_ID_KEY = "x-request-id";

/** Long enough for a UUID or a trace id; nothing in it can break a line of a log. */
const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;
/** Calls that were given a name by the driver. */
let namedCalls = 0;

/** The name of a call in logs: what the client has sent, or one of its own. */
export function requestIdOf(sent: unknown): string {
  return typeof sent === "string" && REQUEST_ID.test(sent) ? sent : `${process.pid}-${++namedCalls}`;
}
