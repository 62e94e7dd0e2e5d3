import type { IncomingHttpHeaders } from "node:http2";
import type { Deadline } from "@grpc/grpc-js";
import { monotonicMs } from "../observability/clock.js";

/** The longest delay of a timer in Node.js, 24.8 days; a longer one fires at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const MS_PER_HOUR = 3_600_000;
const TIMEOUT_HEADER = "grpc-timeout";
const MAX_TIMEOUT_HEADER = `${Math.floor(MAX_TIMEOUT_MS / MS_PER_HOUR)}H`;
/** The units that can exceed the limit with the eight digits that the header may have. */
const MS_OF_UNIT: Readonly<Record<string, number>> = { H: MS_PER_HOUR, M: 60_000, S: 1_000 };

/**
 * Shortens a `grpc-timeout` (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md) beyond 24.8 days to that. grpc-js
 * computes with 32 bits and would end the call at once.
 */
export function clampTimeout(headers: IncomingHttpHeaders): void {
  const timeout = headers[TIMEOUT_HEADER];
  if (typeof timeout !== "string") return;
  const msOfUnit = MS_OF_UNIT[timeout.slice(-1)];
  if (msOfUnit !== undefined && Number.parseInt(timeout, 10) * msOfUnit > MAX_TIMEOUT_MS) {
    headers[TIMEOUT_HEADER] = MAX_TIMEOUT_HEADER;
  }
}

/** A deadline of grpc-js, which is on the wall clock, on the clock of `monotonicMs()`; `Infinity` for none. */
export function toMonotonicMs(deadline: Deadline): number {
  const wallMs = deadline instanceof Date ? deadline.getTime() : deadline;
  return wallMs === Infinity ? Infinity : monotonicMs() + wallMs - Date.now();
}
