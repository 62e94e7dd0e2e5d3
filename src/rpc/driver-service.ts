import type { DriverService } from "../../gen/code_analysis/driver/v1/driver_service_pb.js";
import type { Engine, StreamMethodName, UnaryMethodName } from "../engine/call.js";
import type { Handlers, ServerStreamHandler, UnaryHandler } from "./service-definition.js";

/** Every method of `DriverService`, passed to the engine as it comes. */
export function createDriverHandlers(engine: Engine): Handlers<typeof DriverService> {
  const unary = (method: UnaryMethodName): UnaryHandler => ({
    kind: "unary",
    run: (request, context) => engine.unary(method, request, context),
  });
  const stream = (method: StreamMethodName): ServerStreamHandler => ({
    kind: "server_streaming",
    run: (request, context) => engine.stream(method, request, context),
  });
  return {
    getDriverInfo: unary("getDriverInfo"),
    execute: unary("execute"),
    query: stream("query"),
    executeBatch: unary("executeBatch"),
    beginTransaction: unary("beginTransaction"),
    commitTransaction: unary("commitTransaction"),
    rollbackTransaction: unary("rollbackTransaction"),
    insert: unary("insert"),
    update: unary("update"),
    delete: unary("delete"),
    select: stream("select"),
    createTable: unary("createTable"),
    dropTable: unary("dropTable"),
    listTables: unary("listTables"),
    getTableInfo: unary("getTableInfo"),
    syncSchema: unary("syncSchema"),
    registerProject: unary("registerProject"),
    listProjects: unary("listProjects"),
    indexFile: unary("indexFile"),
    indexProject: stream("indexProject"),
    listIndexingErrors: unary("listIndexingErrors"),
    searchCode: unary("searchCode"),
    findDefinitions: unary("findDefinitions"),
    findReferences: unary("findReferences"),
    listCallers: unary("listCallers"),
    listCallees: unary("listCallees"),
    getClassHierarchy: unary("getClassHierarchy"),
    listFileEntities: unary("listFileEntities"),
    recover: unary("recover"),
    backup: stream("backup"),
  };
}
