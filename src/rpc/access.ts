import type { PeerCertificate } from "node:tls";
import type { Metadata } from "@grpc/grpc-js";
import type { MethodName, Role } from "../engine/call.js";
import { DriverError } from "../errors.js";
import type { Listener } from "./listener.js";

/**
 * Decides what the caller may do, from what it sent and the listener it came through. Called once a call, before anything else.
 *
 * @throws DriverError `UNAUTHENTICATED`
 */
export type Authenticate = (
  metadata: Metadata,
  listener: Listener,
  /** What the client has shown in the TLS handshake, verified. */
  certificate: () => PeerCertificate | undefined,
) => Role;

/** What a method takes: a role, or nothing at all, not even to be authenticated. */
export type Access = Role | "anyone";

/** The least that each method takes. A statement of `execute` that writes is refused by the engine, which sees the statement. */
export const ACCESS_OF_METHOD: Readonly<Record<MethodName, Role>> = {
  getDriverInfo: "read-only",
  execute: "read-only",
  query: "read-only",
  executeBatch: "read-write",
  beginTransaction: "read-write",
  commitTransaction: "read-write",
  rollbackTransaction: "read-write",
  insert: "read-write",
  update: "read-write",
  delete: "read-write",
  select: "read-only",
  createTable: "read-write",
  dropTable: "read-write",
  listTables: "read-only",
  getTableInfo: "read-only",
  syncSchema: "read-write",
  registerProject: "read-write",
  listProjects: "read-only",
  indexFile: "read-write",
  indexProject: "read-write",
  listIndexingErrors: "read-only",
  searchCode: "read-only",
  findDefinitions: "read-only",
  findReferences: "read-only",
  listCallers: "read-only",
  listCallees: "read-only",
  getClassHierarchy: "read-only",
  listFileEntities: "read-only",
  recover: "read-write",
  // It writes a file on the driver's machine.
  backup: "read-write",
};

/** @throws DriverError `ROLE_NOT_ALLOWED` */
export function assertAccess(path: string, access: Access, role: Role): void {
  if (access === "read-write" && role === "read-only") {
    throw new DriverError("ROLE_NOT_ALLOWED", `${path} writes, and this client may only read.`, {
      hint: "Use a token or an address that may write.",
    });
  }
}
