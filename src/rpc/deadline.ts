import type { IncomingHttpHeaders } from "node:http2";
import type { Metadata } from "@grpc/grpc-js";
import { monotonicMs } from "../observability/clock.js";

/** The longest delay of a timer in Node.js, 24.8 days; a longer one fires at once. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;
const TIMEOUT_HEADER = "grpc-timeout";
/** As grpc-js reads it. */
const TIMEOUT = /(\d{1,8})\s*([HMSmun])/;
const MS_OF_UNIT: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const MAX_TIMEOUT_HEADER = `${Math.floor(MAX_TIMEOUT_MS / 3_600_000)}H`;
/** Metadata that carries the deadline from `pinDeadline` to `deadlineOf`; what a client sends under this name is removed. */
const DEADLINE_KEY = "driver-deadline-ms";

/**
 * Notes at which moment of the monotonic clock the `grpc-timeout` of a call that has just arrived will be over
 * (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md). grpc-js computes a time of the wall clock, and a jump of that
 * before the request has arrived as a whole would move the deadline.
 *
 * A timeout beyond 24.8 days is shortened to that: grpc-js computes with 32 bits and would end the call at once.
 */
export function pinDeadline(headers: IncomingHttpHeaders): void {
  delete headers[DEADLINE_KEY];
  const header = headers[TIMEOUT_HEADER];
  const [, amount, unit = ""] = TIMEOUT.exec(typeof header === "string" ? header : "") ?? [];
  const msOfUnit = MS_OF_UNIT[unit];
  if (msOfUnit === undefined) return;
  const timeoutMs = Number(amount) * msOfUnit;
  if (timeoutMs > MAX_TIMEOUT_MS) headers[TIMEOUT_HEADER] = MAX_TIMEOUT_HEADER;
  headers[DEADLINE_KEY] = String(monotonicMs() + Math.min(timeoutMs, MAX_TIMEOUT_MS));
}

/** The deadline of a call, on the clock of `monotonicMs()`; `Infinity` for none. */
export function deadlineOf(metadata: Metadata): number {
  const [deadline] = metadata.get(DEADLINE_KEY);
  return deadline === undefined ? Infinity : Number(deadline);
}
