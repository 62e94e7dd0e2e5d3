import type { DescMessage, DescMethod, MessageShape } from "@bufbuild/protobuf";
import type { MethodName } from "./calls.js";

/**
 * Methods that only read, and those whose second run finds the work done: to repeat them changes nothing. `beginTransaction` is
 * not one of them: a transaction whose id got lost with the answer would keep other writers waiting until its lease ends, and a
 * second one would wait behind it.
 */
const IDEMPOTENT_METHODS: ReadonlySet<string> = new Set<MethodName>([
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
]);

/** The fields that decide whether a request may be repeated; not every request has them. */
type Fields = MessageShape<DescMessage> & { requestId?: string; readonly transactionId?: string };

/**
 * Makes a write repeatable: gives it a `request_id` when it has none and may have one. Inside a transaction only the commit may;
 * the transaction is repeated as a whole or not at all.
 */
export function addRequestId(method: DescMethod, message: Fields, createId: () => string): void {
  const isPartOfTransaction = Boolean(message.transactionId) && method.localName !== "commitTransaction";
  if (message.requestId === "" && !isPartOfTransaction) message.requestId = createId();
}

/** True when the call may be sent again although nobody knows whether it ran. */
export function isRepeatable(method: DescMethod, message: Fields): boolean {
  return IDEMPOTENT_METHODS.has(method.localName) || Boolean(message.requestId);
}
