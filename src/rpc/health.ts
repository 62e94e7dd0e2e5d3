import { EventEmitter, once } from "node:events";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  HealthCheckRequestSchema,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
  type Health as HealthService,
  HealthCheckResponse_ServingStatus as ServingStatus,
} from "../../gen/grpc/health/v1/health_pb.js";
import { DriverError, draining } from "../errors.js";
import { decodeRequest } from "./decode.js";
import type { Handlers } from "./service-definition.js";

export { ServingStatus };

const CHANGE = "change";

/**
 * `grpc.health.v1.Health` (https://github.com/grpc/grpc/blob/master/doc/health-checking.md). Each service has a status, the
 * empty name stands for the whole process, and all are NOT_SERVING until set.
 */
export class Health {
  readonly #statuses: Map<string, ServingStatus>;
  readonly #changes = new EventEmitter().setMaxListeners(0);
  #isClosed = false;

  /** @param services full names of the services */
  constructor(services: readonly string[]) {
    this.#statuses = new Map(["", ...services].map((service) => [service, ServingStatus.NOT_SERVING]));
  }

  /** Sets the status of all services, which is that of the database they share, and tells who watches them. */
  setStatus(status: ServingStatus): void {
    for (const service of this.#statuses.keys()) this.#statuses.set(service, status);
    this.#changes.emit(CHANGE);
  }

  /** Ends all streams that watch, which would never end by themselves, after they have sent the last status. */
  close(): void {
    this.#isClosed = true;
    this.#changes.emit(CHANGE);
  }

  readonly handlers: Handlers<typeof HealthService> = {
    check: {
      kind: "unary",
      run: async (request) => {
        const { service } = decodeRequest(HealthCheckRequestSchema, request);
        const status = this.#statuses.get(service);
        if (status === undefined) {
          throw new DriverError("SERVICE_NOT_FOUND", `The driver serves no ${service}.`, { field: "service" });
        }
        return encodeStatus(status);
      },
    },
    list: {
      kind: "unary",
      run: async () => {
        const statuses = [...this.#statuses].map(([service, status]) => [service, { status }]);
        return toBinary(
          HealthListResponseSchema,
          create(HealthListResponseSchema, { statuses: Object.fromEntries(statuses) }),
        );
      },
    },
    watch: {
      kind: "server_streaming",
      run: (request, { signal }) => this.#watch(decodeRequest(HealthCheckRequestSchema, request).service, signal),
    },
  };

  async *#watch(service: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
    let sent: ServingStatus | undefined;
    while (!signal.aborted) {
      const status = this.#statuses.get(service) ?? ServingStatus.SERVICE_UNKNOWN;
      if (status !== sent) {
        sent = status;
        yield encodeStatus(status);
      } else if (this.#isClosed) {
        throw draining();
      } else {
        await once(this.#changes, CHANGE, { signal });
      }
    }
  }
}

function encodeStatus(status: ServingStatus): Uint8Array {
  return toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status }));
}
