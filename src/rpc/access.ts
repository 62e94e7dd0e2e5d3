import { randomBytes } from "node:crypto";
import type { IncomingHttpHeaders } from "node:http2";
import type { PeerCertificate } from "node:tls";
import type { Metadata } from "@grpc/grpc-js";
import type { MethodName, Role } from "../engine/call.js";
import { DriverError, draining } from "../errors.js";
import type { Listener } from "./listener.js";

/**
 * Decides what the caller may do, from what it sent and the listener it came through. Called once a call, before anything else.
 *
 * @throws DriverError `UNAUTHENTICATED`
 */
export type Authenticate = (
  /** The header of this name, https://www.rfc-editor.org/rfc/rfc6750#section-2.1. */
  authorization: string | undefined,
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

/**
 * Metadata that carries the role from `pinRole` to `roleOf`. No client knows this name: in the moment between the binding of a socket
 * and the gate in front of it, a header of a known name would be believed.
 */
const ROLE_KEY = `driver-role-${randomBytes(16).toString("hex")}`;

/** Notes what the caller may do, which its headers have told, for the time when its request has arrived. */
export function pinRole(headers: IncomingHttpHeaders, role: Role): void {
  headers[ROLE_KEY] = role;
}

/**
 * What the caller may do.
 *
 * @throws DriverError `DRAINING` for a call that came before there was a gate to pass
 */
export function roleOf(metadata: Metadata): Role {
  const [role] = metadata.get(ROLE_KEY);
  if (role === "read-only" || role === "read-write") return role;
  throw draining("The driver is starting.");
}
