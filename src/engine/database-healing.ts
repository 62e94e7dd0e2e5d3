import { DriverError, type Reason, type SerializedDriverError } from "../errors.js";
import type { IndexingErrorType } from "../indexer/entities.js";
import { decodeMessage, encodeMessage, type InspectedTables } from "../workers/index-messages.js";
import type { CallContext } from "./call.js";
import { fileFailure } from "./parsers.js";
import type { EngineLog } from "./worker-log.js";
import type { Writer } from "./writer.js";

const EMPTY = Buffer.alloc(0);

/**
 * Failures of the database that another try soon would meet again, as opposed to those of a file, of the request, or of the
 * moment (a full queue, a lock, a deadline); what a temporary table can be behind.
 */
const DATABASE_REASONS: ReadonlySet<Reason> = new Set<Reason>([
  "SQL_ERROR",
  "TEMP_TABLE_STATE",
  "CONSTRAINT_UNIQUE",
  "CONSTRAINT_FOREIGN_KEY",
  "CONSTRAINT_CHECK",
  "CONSTRAINT_NOT_NULL",
  "CONSTRAINT_TRIGGER",
  "CONSTRAINT_DATATYPE",
  "INTERNAL",
]);

/** What is being indexed, for the log and for `indexing_errors`. */
export interface FileOfCall {
  readonly projectId: string;
  /** Not set for what concerns the whole project. */
  readonly path?: string;
  readonly caller: "IndexFile" | "IndexProject";
}

/** A file that could not be indexed; its failure is stored. */
export class FileFailedError extends DriverError {
  readonly type: IndexingErrorType;

  constructor(type: IndexingErrorType, { reason, message, ...options }: SerializedDriverError) {
    super(reason, message, options);
    this.type = type;
  }
}

/** What indexing does when the database fails: a migration that another program left half done is undone, once. */
export class DatabaseHealing {
  readonly #writer: Writer;
  readonly #log: EngineLog;

  constructor(writer: Writer, log: EngineLog) {
    this.#writer = writer;
    this.#log = log;
  }

  /**
   * Runs `attempt`. A failure of the database is stored and, when the database is or was between two statements of a migration,
   * logged; recovery is then run, and `attempt` once more.
   *
   * @throws FileFailedError a failure of the database that is stored; everything else as `attempt` threw it.
   */
  async run<T>(file: FileOfCall, context: CallContext, attempt: () => Promise<T>): Promise<T> {
    let failure: DriverError;
    try {
      return await attempt();
    } catch (thrown) {
      if (!isDatabaseFailure(thrown)) throw thrown;
      failure = DriverError.from(thrown);
    }
    const isTemporary = await this.#isTemporary(failure, context);
    const { requestId } = context;
    const fields = { project: file.projectId, file: file.path, caller: file.caller, requestId };
    if (isTemporary) this.#log("error", `[index_file] temp_files-related failure: ${failure.message}`, fields);
    const isStored = await this.#storeDatabaseFailure(file, failure, context);
    if (!isTemporary) throw isStored ? new FileFailedError("db_error", failure.toJSON()) : failure;
    if (isStored) {
      this.#log("error", `[indexing_errors] Stored temp_files-related failure: ${failure.message}`, fields);
    }

    try {
      await this.#writer.recover(EMPTY, context, "store");
      const result = await attempt();
      this.#log("info", "[index_file] succeeded after recovery", fields);
      return result;
    } catch (thrown) {
      const { message } = DriverError.from(thrown);
      this.#log("error", `[index_file] failed again after recovery: ${message}`, fields);
      if (!isDatabaseFailure(thrown)) throw thrown;
      const error = new DriverError("TEMP_TABLE_STATE", message, {
        hint: "A migration was interrupted and recovery could not undo it; run `config_cli doctor`.",
        cause: thrown,
      });
      throw isStored ? new FileFailedError("db_error", error.toJSON()) : error;
    }
  }

  async #isTemporary({ message }: DriverError, context: CallContext): Promise<boolean> {
    const answer = await this.#writer.store("inspectTempTables", encodeMessage({ message }), context);
    return decodeMessage<InspectedTables>(answer).isTemporary;
  }

  async #storeDatabaseFailure({ projectId, path }: FileOfCall, error: DriverError, context: CallContext) {
    if (path === undefined) return false;
    try {
      await this.#writer.store("storeFailure", encodeMessage(fileFailure(projectId, path, "db_error", error)), context);
      return true;
    } catch (storeError) {
      const reason = DriverError.from(storeError).message;
      this.#log("error", "[indexing_errors] the failure could not be stored", {
        project: projectId,
        file: path,
        reason,
        requestId: context.requestId,
      });
      return false;
    }
  }
}

function isDatabaseFailure(thrown: unknown): boolean {
  return !(thrown instanceof FileFailedError) && DATABASE_REASONS.has(DriverError.from(thrown).reason);
}
