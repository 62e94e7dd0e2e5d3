import type { IndexingErrorType } from "../indexer/entities.js";
import { SQLiteSchemaManager } from "../schema/schema-manager.js";
import type { Connection } from "../sqlite/connection.js";
import { inTransaction } from "../sqlite/transaction.js";
import { type CallBound, UNBOUND } from "./call-bound.js";
import { DriverTables } from "./driver-tables.js";
import type { WorkerLimits } from "./limits.js";
import { Session } from "./session.js";

/** The session of the writer: it also has the driver's own tables, the schema, and a log. */
export class WriterSession extends Session {
  readonly schema: SQLiteSchemaManager;
  readonly tables: DriverTables;
  /** Of the exclusive operation that runs. */
  bound: CallBound = UNBOUND;
  /** Writes one line of the log at level warn; recovery writes one for each of its actions. */
  readonly log: (line: string) => void;
  /** Told of each row that is stored in `indexing_errors`. */
  readonly onIndexingError: (type: IndexingErrorType) => void;

  constructor(
    connection: Connection,
    limits: WorkerLimits,
    log: (line: string) => void,
    onIndexingError: (type: IndexingErrorType) => void = () => undefined,
  ) {
    super(connection, limits);
    this.schema = new SQLiteSchemaManager(connection);
    this.tables = new DriverTables(connection);
    this.log = log;
    this.onIndexingError = onIndexingError;
  }

  /** Runs `body`, bounded, in a transaction of its own, which counts as one commit. */
  commitAlone<T>(body: () => T): T {
    return inTransaction(this.connection, () => {
      this.commitSeq = this.tables.commitSeq() + 1n;
      const result = this.bound.run(body);
      this.tables.setCommitSeq(this.commitSeq);
      return result;
    });
  }
}
