import { inspectRecoveryState } from "../../schema/recovery-states.js";
import { SQLiteSchemaManager } from "../../schema/schema-manager.js";
import { fromSqliteError } from "../../sqlite/errors.js";
import { inSnapshot } from "../../sqlite/transaction.js";
import { encodeMessage } from "../index-messages.js";
import type { Session } from "../session.js";
import type { UnaryOperation } from "./operation.js";

/** The schema of the database at this moment. */
export interface SchemaState {
  /** `hashSchema` of it. */
  readonly schemaHash: string;
  /** Managed tables that a migration has left in between, and recovery has not brought back. */
  readonly unresolvedTables: readonly string[];
}

const managers = new WeakMap<Session, SQLiteSchemaManager>();

/** Answers a `SchemaState`. The schema is read again only when its version has changed, so this costs next to nothing. */
export const schemaState: UnaryOperation = (session) => {
  const manager = managers.get(session) ?? new SQLiteSchemaManager(session.connection);
  managers.set(session, manager);
  try {
    return encodeMessage(
      inSnapshot(
        session.connection,
        (): SchemaState => ({
          schemaHash: manager.schemaHash(),
          unresolvedTables: inspectRecoveryState(session.connection, manager.managedTables)
            .filter(({ action }) => action !== "none")
            .map(({ table }) => table),
        }),
      ),
    );
  } catch (error) {
    throw fromSqliteError(error);
  }
};
