import { messageOf } from "../errors.js";
import { monotonicMs } from "./clock.js";

/** A call that has ended, as it is traced. */
export interface TracedCall {
  /** `/package.Service/Method` */
  readonly path: string;
  /** The `traceparent` that the client sent, if any (https://www.w3.org/TR/trace-context/#traceparent-header). */
  readonly traceparent: string | undefined;
  readonly durationMs: number;
  /** The gRPC status as a number. */
  readonly code: number;
  /** Why it failed; undefined for status OK. */
  readonly reason: string | undefined;
  readonly requestId: string;
}

/** Sends a span for every call to an OpenTelemetry collector. */
export interface Tracing {
  onCall(call: TracedCall): void;
  /** Sends what has not been sent yet; gives up after two seconds, for the driver is about to end. */
  close(): Promise<void>;
}

/** Statuses that are a server's error (https://opentelemetry.io/docs/specs/semconv/rpc/grpc/). */
const SERVER_ERRORS: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15]);
const EXPORT_TIMEOUT_MS = 2_000;
/** A collector that is away fails every few seconds, and need not be complained of that often. */
const COMPLAINT_INTERVAL_MS = 60_000;

/**
 * Loads the OpenTelemetry libraries, which a driver without tracing does not need, and connects them to `endpoint`, which takes
 * OTLP over HTTP: `http://localhost:4318/v1/traces`. A collector that is not there costs spans, never a call.
 *
 * Spans carry names and statuses; no SQL text, no value and no path.
 *
 * @param onLost - Told why spans were lost, once a minute at most.
 */
export async function createTracing(
  endpoint: string,
  driverVersion: string,
  onLost: (why: string) => void,
): Promise<Tracing> {
  const [api, { parseTraceParent, setGlobalErrorHandler }, { OTLPTraceExporter }, { resourceFromAttributes }, sdk] =
    await Promise.all([
      import("@opentelemetry/api"),
      import("@opentelemetry/core"),
      import("@opentelemetry/exporter-trace-otlp-http"),
      import("@opentelemetry/resources"),
      import("@opentelemetry/sdk-trace-base"),
    ]);
  let complainedMs = Number.NEGATIVE_INFINITY;
  // The exporter drops what the collector does not take and tells nobody else.
  setGlobalErrorHandler((error) => {
    if (monotonicMs() - complainedMs < COMPLAINT_INTERVAL_MS) return;
    complainedMs = monotonicMs();
    onLost(messageOf(error));
  });
  const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: EXPORT_TIMEOUT_MS });
  const provider = new sdk.BasicTracerProvider({
    resource: resourceFromAttributes({ "service.name": "code-analysis-driver", "service.version": driverVersion }),
    spanProcessors: [new sdk.BatchSpanProcessor(exporter, { exportTimeoutMillis: EXPORT_TIMEOUT_MS })],
  });
  const tracer = provider.getTracer("code-analysis-driver", driverVersion);
  // Spans have times of day; durations are measured on the clock that nobody moves.
  const dayMsOfMonotonic = Date.now() - monotonicMs();
  return {
    onCall({ path, traceparent, durationMs, code, reason, requestId }) {
      const parent = traceparent === undefined ? null : parseTraceParent(traceparent);
      const root = api.ROOT_CONTEXT;
      const [service = "", method = ""] = path.slice(1).split("/");
      const endMs = dayMsOfMonotonic + monotonicMs();
      const span = tracer.startSpan(
        `${service}/${method}`,
        {
          kind: api.SpanKind.SERVER,
          startTime: endMs - durationMs,
          attributes: {
            "rpc.system": "grpc",
            "rpc.service": service,
            "rpc.method": method,
            "rpc.grpc.status_code": code,
            "request.id": requestId,
            ...(reason !== undefined && { "error.type": reason }),
          },
        },
        parent === null ? root : api.trace.setSpanContext(root, { ...parent, isRemote: true }),
      );
      if (SERVER_ERRORS.has(code)) span.setStatus({ code: api.SpanStatusCode.ERROR });
      span.end(endMs);
    },
    close: () => provider.shutdown(),
  };
}
