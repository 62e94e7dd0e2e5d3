import type { ServiceConfig } from "@grpc/grpc-js";
import { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";

/**
 * Methods that may be repeated when the connection broke and nobody knows whether they ran: all that only read, and those whose
 * second run finds the work done. Writes are not among them; their callers repeat them with a `request_id`.
 */
const IDEMPOTENT_METHODS: readonly (keyof typeof DriverService.method)[] = [
  "getDriverInfo",
  "query",
  "select",
  "listTables",
  "getTableInfo",
  "syncSchema",
  "registerProject",
  "listProjects",
  "indexFile",
  "indexProject",
  "listIndexingErrors",
  "searchCode",
  "findDefinitions",
  "findReferences",
  "listCallers",
  "listCallees",
  "getClassHierarchy",
  "listFileEntities",
  "recover",
];

/** The client's retries (https://github.com/grpc/grpc/blob/master/doc/service_config.md); the driver's pushback counts more. */
export const SERVICE_CONFIG: ServiceConfig = {
  loadBalancingConfig: [],
  methodConfig: [
    {
      name: IDEMPOTENT_METHODS.map((name) => ({
        service: DriverService.typeName,
        method: DriverService.method[name].name,
      })),
      retryPolicy: {
        maxAttempts: 4,
        initialBackoff: "0.1s",
        maxBackoff: "2s",
        backoffMultiplier: 3,
        retryableStatusCodes: ["UNAVAILABLE"],
      },
    },
  ],
};
