import type { UnaryOperation } from "./operation.js";
import { listIndexingErrors, listProjects } from "./project.js";
import { schemaState } from "./schema-state.js";
import {
  findDefinitions,
  findReferences,
  getClassHierarchy,
  listCallees,
  listCallers,
  listFileEntities,
  searchCode,
} from "./search.js";
import { TRANSACTION_READ_OPERATIONS } from "./tables.js";

/** Operations that only read, as a reader runs them. In a file of its own: the writer starts faster without them. */
export const READ_OPERATIONS: Readonly<Record<string, UnaryOperation>> = {
  ...TRANSACTION_READ_OPERATIONS,
  listProjects,
  listIndexingErrors,
  searchCode,
  findDefinitions,
  findReferences,
  listCallers,
  listCallees,
  getClassHierarchy,
  listFileEntities,
  schemaState,
};
