import type { Config } from "../config/config.js";
import type { DriverEngine } from "../engine/driver-engine.js";
import { type EngineObserver, noObserver } from "../engine/observer.js";
import type { Logger } from "../observability/logger.js";
import { Metrics } from "../observability/metrics.js";
import { createTracing } from "../observability/tracing.js";
import type { EndedCall } from "../rpc/served-call.js";
import { VERSION } from "./version.js";

/** Everything that is told of calls and of the engine: the log, and what the options switch on. */
export interface Observability {
  readonly observer: EngineObserver;
  readonly onCall: (call: EndedCall) => void;
  /** Null unless `--metrics-listen` is set. */
  readonly metrics: Metrics | null;
  close(): Promise<void>;
}

/** @param engineOf - The engine that is observed; asked for when somebody reads the metrics. */
export async function openObservability(
  config: Config,
  logger: Logger,
  engineOf: () => DriverEngine,
): Promise<Observability> {
  const readGauges = async () => ({ ...(await engineOf().load()), ...engineOf().health.status });
  const metrics = config.metricsListen === undefined ? null : await Metrics.create(readGauges);
  const tracing =
    config.traceEndpoint === undefined
      ? null
      : await createTracing(config.traceEndpoint, VERSION, (reason) => logger.warn("spans were lost", { reason }));
  return {
    observer: metrics ?? noObserver,
    metrics,
    onCall: (call) => {
      logCall(logger, call);
      metrics?.onCall(call.path, call.error?.status ?? "OK", call.durationMs);
      tracing?.onCall({
        path: call.path,
        traceparent: textOf(call.metadata.get("traceparent")[0]),
        durationMs: call.durationMs,
        code: call.code,
        reason: call.error?.reason,
        requestId: call.requestId,
      });
    },
    close: async () => {
      await tracing?.close().catch((error: unknown) => logger.warn("the last traces were not sent", { err: error }));
    },
  };
}

function logCall(logger: Logger, call: EndedCall): void {
  // A defect of ours; everything else is between the client and its request.
  const isDefect = call.error?.reason === "INTERNAL";
  if (!isDefect && !logger.isEnabled("debug")) return;
  const { path: method, code, error, requestId } = call;
  const fields = { method, code, durationMs: Math.round(call.durationMs * 1_000) / 1_000, requestId };
  if (isDefect) logger.error(`call failed: ${error?.message}`, { ...fields, err: error });
  else logger.debug("call", { ...fields, ...(error !== undefined && { reason: error.reason }) });
}

function textOf(value: string | Buffer | undefined): string | undefined {
  return typeof value === "string" ? value : undefined;
}
