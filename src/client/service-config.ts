import type { ServiceConfig } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";

/**
 * The retries of calls that are safe to repeat (https://github.com/grpc/grpc/blob/master/doc/service_config.md). UNAVAILABLE: the
 * driver refused for now, and its pushback tells when to come again, or the connection broke. UNKNOWN is what the driver answers
 * as `COMMIT_OUTCOME_UNKNOWN`.
 */
export const RETRYING_SERVICE_CONFIG: ServiceConfig = {
  loadBalancingConfig: [],
  methodConfig: [
    {
      name: [{ service: DriverService.typeName }],
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 3,
        retryableStatusCodes: ["UNAVAILABLE", "UNKNOWN"],
      },
    },
  ],
};
