import { realpath, stat } from "node:fs/promises";
import { create, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, durationMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  BeginTransactionRequestSchema,
  BeginTransactionResponseSchema,
  RollbackTransactionResponseSchema,
} from "../../gen/code_analysis/driver/v1/transaction_pb.js";
import { codeOf, DriverError } from "../errors.js";
import { decodeMessage } from "../workers/index-messages.js";
import { decodeRequest } from "../workers/operations/operation.js";
import type { SchemaState } from "../workers/operations/schema-state.js";
import { RequestField, stringField } from "../workers/request-fields.js";
import type { WorkerProcess } from "../workers/worker-process.js";
import { Backups } from "./backups.js";
import type { CallContext, Engine, MethodName, StreamMethodName, UnaryMethodName } from "./call.js";
import { driverInfo, type EngineLoad } from "./driver-info.js";
import { EngineHealth } from "./health.js";
import { Indexing } from "./indexing.js";
import type { EngineLimits } from "./limits.js";
import { type EngineObserver, noObserver } from "./observer.js";
import { Parsers } from "./parsers.js";
import { Readers } from "./readers.js";
import { Snapshots } from "./snapshots.js";
import { Transactions } from "./transactions.js";
import type { EngineLog } from "./worker-log.js";
import { Writer, type WriterObserver } from "./writer.js";

export interface EngineOptions {
  /** Absolute path of the database file; created when missing. */
  readonly databasePath: string;
  readonly driverVersion: string;
  readonly limits: EngineLimits;
  /** What `startWriterProcess` has started for them. Default: it is started now. */
  readonly writerProcess?: WorkerProcess;
  readonly log: EngineLog;
  /** The engine cannot go on: the writer cannot be started again. */
  readonly onFatal: (error: DriverError) => void;
  /** Default: nobody. */
  readonly observer?: EngineObserver;
}

const EMPTY = Buffer.alloc(0);
/** How long the answer of `GetDriverInfo` waits for a reader, in milliseconds; who monitors a driver wants an answer when it is busy. */
const SCHEMA_PATIENCE_MS = 1_000;
/** How long closing may take, in milliseconds; the WAL that is copied has some tens of megabytes at most. */
const CLOSE_TIMEOUT_MS = 5_000;

type UnaryHandler = (request: Buffer, context: CallContext) => Promise<Uint8Array>;
type StreamHandler = (request: Buffer, context: CallContext) => AsyncIterable<Uint8Array>;

/**
 * How a statement that most likely only reads begins, after white space and comments. A wrong guess costs a detour over a reader,
 * or the turn of a write, never a wrong answer.
 */
const READING_STATEMENT = /^(?:\s|--[^\n]*\n|\/\*(?:[^*]|\*(?!\/))*\*\/)*(?:SELECT|VALUES|WITH|EXPLAIN|PRAGMA)\b/i;
/** So much of a statement is looked at. */
const MAX_LEADING_CHARACTERS = 2_000;

/** The engine of the driver process: one writer, some readers and parsers, and the rules which call goes where. */
export class DriverEngine implements Engine {
  readonly health = new EngineHealth();
  readonly #options: EngineOptions;
  readonly #startedAtMs = Date.now();
  readonly #writer: Writer;
  readonly #snapshots = new Snapshots();
  readonly #readers: Readers;
  readonly #parsers: Parsers;
  readonly #backups: Backups;
  readonly #transactions: Transactions;
  readonly #indexing: Indexing;
  readonly #unary: Readonly<Record<UnaryMethodName, UnaryHandler>>;
  readonly #streams: Readonly<Record<StreamMethodName, StreamHandler>>;
  #isDraining = false;
  #firstSchemaState: Promise<SchemaState> | undefined;
  #lastSchemaState: SchemaState | undefined;
  /** The last reader that was asked for the schema did not tell it. */
  #isSchemaOutdated = false;

  constructor(options: EngineOptions) {
    const { databasePath, limits, log } = options;
    this.#options = options;
    const observer: WriterObserver = {
      onServing: (isServing, detail) => this.#setServing(isServing, detail),
      onTransactionLost: (error) => this.#transactions.lost(error),
      onUnresolvedProjects: (projectIds) => this.#indexing.connectLeftovers(projectIds),
      events: options.observer ?? noObserver,
      onFatal: (error) => {
        this.#setServing(false, error.message);
        this.#isDraining = true;
        options.onFatal(error);
      },
    };
    this.#writer = new Writer(databasePath, limits, log, observer, options.writerProcess);
    this.#readers = new Readers(databasePath, limits, log, this.#snapshots, (error) =>
      this.#setServing(false, error.message),
    );
    this.#parsers = new Parsers(databasePath, limits, log);
    this.#backups = new Backups(databasePath, log, this.#snapshots);
    this.#transactions = new Transactions(this.#writer, limits);
    this.#indexing = new Indexing(this.#parsers, this.#writer, limits, log);

    // What a method needs decides where it goes: `write` runs in a group commit, `read` on a reader, both in the transaction
    // that the request names. Exclusive operations of the writer are writes here; it gives them the connection to themselves.
    const write = (method: MethodName): UnaryHandler => this.#write.bind(this, method);
    const read = (method: MethodName): UnaryHandler => this.#read.bind(this, method);
    const readStream = (method: MethodName): StreamHandler => this.#readStream.bind(this, method);
    this.#unary = {
      getDriverInfo: (_request, context) => this.#driverInfo(context),
      execute: (request, context) => this.#execute(request, context),
      executeBatch: write("executeBatch"),
      beginTransaction: (request, context) => this.#beginTransaction(request, context),
      commitTransaction: (request, context) =>
        this.#transactions.commit(stringField(request, RequestField.TRANSACTION_ID), request, context),
      rollbackTransaction: (request) => this.#rollbackTransaction(request),
      insert: write("insert"),
      update: write("update"),
      delete: write("delete"),
      createTable: write("createTable"),
      dropTable: write("dropTable"),
      listTables: read("listTables"),
      getTableInfo: read("getTableInfo"),
      syncSchema: write("syncSchema"),
      recover: (request, context) => this.#writer.recover(request, context),
      registerProject: write("registerProject"),
      listProjects: read("listProjects"),
      indexFile: (request, context) => this.#indexing.indexFile(request, context),
      listIndexingErrors: read("listIndexingErrors"),
      searchCode: read("searchCode"),
      findDefinitions: read("findDefinitions"),
      findReferences: read("findReferences"),
      listCallers: read("listCallers"),
      listCallees: read("listCallees"),
      getClassHierarchy: read("getClassHierarchy"),
      listFileEntities: read("listFileEntities"),
    };
    this.#streams = {
      query: readStream("query"),
      select: readStream("select"),
      indexProject: (request, context) => this.#indexing.indexProject(request, context),
      backup: (request, context) => this.#backups.backup(request, context),
    };
  }

  /**
   * Resolves when the database is open, recovered and complete.
   *
   * @throws DriverError why it cannot be.
   */
  async start(): Promise<void> {
    await this.#writer.started;
    this.health.set(true, "serving");
    // Starts the first reader too, so that the first read does not wait for it.
    this.#firstSchemaState = this.#readSchemaState(new AbortController().signal);
    this.#firstSchemaState.catch((error: unknown) => {
      if (!this.#isDraining)
        this.#options.log("warn", "the schema could not be read", { reason: DriverError.from(error).message });
    });
  }

  unary(method: UnaryMethodName, request: Buffer, context: CallContext): Promise<Uint8Array> {
    return this.#unary[method](request, context);
  }

  stream(method: StreamMethodName, request: Buffer, context: CallContext): AsyncIterable<Uint8Array> {
    return this.#streams[method](request, context);
  }

  /** How busy it is at this moment. */
  async load(): Promise<EngineLoad> {
    const oldestSnapshotAgeMs = this.#snapshots.oldestAgeMs;
    return {
      queuedWrites: this.#writer.queueLength,
      queuedReads: this.#readers.queueLength,
      queuedFiles: this.#indexing.queueLength,
      openTransactions: this.#transactions.count,
      walBytes: await walBytes(this.#options.databasePath),
      oldestSnapshotAgeMs,
    };
  }

  /** True once the driver is going down. */
  get isDraining(): boolean {
    return this.#isDraining;
  }

  /** From now on health says that the driver is going down, and nothing waits any more; running calls go on. */
  drain(): void {
    this.#isDraining = true;
    this.health.set(false, "shutting down");
    this.#writer.drain();
    this.#readers.drain();
    this.#parsers.drain();
  }

  /**
   * Ends what still runs, rolls back what is open, checkpoints the WAL and ends every worker process. Whoever waits for the end of
   * the driver has other plans: a writer that is not done soon is ended, which loses nothing that was acknowledged.
   */
  async close(): Promise<void> {
    this.#isDraining = true;
    const overdue = setTimeout(() => this.#writer.kill(), CLOSE_TIMEOUT_MS);
    this.#writer.drain();
    const workers = [this.#readers, this.#parsers, this.#backups];
    await Promise.all([this.#transactions.close(), ...workers.map((each) => each.close())]);
    await this.#writer.close();
    clearTimeout(overdue);
  }

  /** Ends every worker process at once; what was acknowledged is on disk. */
  kill(): void {
    this.#writer.kill();
    void this.#readers.close();
    void this.#parsers.close();
    void this.#backups.close();
  }

  #setServing(isServing: boolean, detail: string): void {
    // What is going down does not come back.
    if (!this.#isDraining) this.health.set(isServing, detail);
  }

  #write(method: MethodName, request: Buffer, context: CallContext): Promise<Uint8Array> {
    const transactionId = stringField(request, RequestField.TRANSACTION_ID);
    return transactionId === ""
      ? this.#writer.write(method, request, context)
      : this.#transactions.call(transactionId, method, request, context);
  }

  #read(method: MethodName, request: Buffer, context: CallContext): Promise<Uint8Array> {
    const transactionId = stringField(request, RequestField.TRANSACTION_ID);
    return transactionId === ""
      ? this.#readers.call(method, request, context)
      : this.#transactions.call(transactionId, method, request, context);
  }

  #readStream(method: MethodName, request: Buffer, context: CallContext): AsyncIterable<Uint8Array> {
    const transactionId = stringField(request, RequestField.TRANSACTION_ID);
    return transactionId === ""
      ? this.#readers.stream(method, request, context)
      : this.#transactions.stream(transactionId, method, request, context);
  }

  async #execute(request: Buffer, context: CallContext): Promise<Uint8Array> {
    const isInTransaction = stringField(request, RequestField.TRANSACTION_ID) !== "";
    const mayOnlyRead = context.role === "read-only";
    if (!isInTransaction && (mayOnlyRead || isLikelyRead(request))) {
      try {
        return await this.#readers.call("execute", request, context);
      } catch (error) {
        const isWrite = error instanceof DriverError && error.reason === "DATABASE_READ_ONLY";
        if (!isWrite) throw error;
        if (mayOnlyRead) throw new DriverError("ROLE_NOT_ALLOWED", "A read-only client may not run this statement.");
      }
    }
    return await this.#write("execute", request, context);
  }

  async #beginTransaction(request: Buffer, context: CallContext): Promise<Uint8Array> {
    const { ttl } = decodeRequest(BeginTransactionRequestSchema, request);
    const { id, ttlMs } = await this.#transactions.begin(ttl === undefined ? null : durationMs(ttl), context);
    return toBinary(
      BeginTransactionResponseSchema,
      create(BeginTransactionResponseSchema, {
        transactionId: id,
        ttl: durationFromMs(ttlMs),
        expiresAt: timestampFromMs(Date.now() + ttlMs),
      }),
    );
  }

  async #rollbackTransaction(request: Buffer): Promise<Uint8Array> {
    await this.#transactions.rollback(stringField(request, RequestField.TRANSACTION_ID));
    return toBinary(RollbackTransactionResponseSchema, create(RollbackTransactionResponseSchema));
  }

  async #readSchemaState(signal: AbortSignal): Promise<SchemaState> {
    const context = { deadlineMs: Number.POSITIVE_INFINITY, signal };
    return decodeMessage<SchemaState>(await this.#readers.ask("schemaState", EMPTY, context));
  }

  /** The schema of now; when no reader can tell soon, because all are busy for example, what the last one said. */
  async #currentSchemaState({ signal }: CallContext): Promise<SchemaState> {
    this.#lastSchemaState ??= await this.#firstSchemaState?.catch(() => undefined);
    const last = this.#lastSchemaState;
    if (last === undefined) return await this.#readSchemaState(signal);
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), SCHEMA_PATIENCE_MS);
    try {
      const now = await this.#readSchemaState(AbortSignal.any([signal, patience.signal]));
      this.#lastSchemaState = now;
      this.#isSchemaOutdated = false;
      return now;
    } catch (error) {
      if (signal.aborted) throw error;
      const reason = patience.signal.aborted
        ? `No reader was free within ${SCHEMA_PATIENCE_MS} ms.`
        : DriverError.from(error).message;
      // Who monitors a driver asks again and again.
      if (!this.#isSchemaOutdated) this.#options.log("warn", "the schema could not be read", { reason });
      this.#isSchemaOutdated = true;
      return last;
    } finally {
      clearTimeout(timer);
    }
  }

  async #driverInfo(context: CallContext): Promise<Uint8Array> {
    const { sqliteVersion } = await this.#writer.started;
    return driverInfo({
      ...this.#options,
      sqliteVersion,
      schema: await this.#currentSchemaState(context),
      lastRecovery: this.#writer.lastRecovery,
      startedAtMs: this.#startedAtMs,
      processes: { writers: 1, readers: this.#readers.count, parsers: this.#parsers.count },
      load: await this.load(),
      health: this.health.status,
    });
  }
}

/** The length of the WAL, beside the file that a link leads to; 0 for none: SQLite removes an empty one. */
async function walBytes(databasePath: string): Promise<number> {
  try {
    return (await stat(`${await realpath(databasePath)}-wal`)).size;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return 0;
    throw error;
  }
}

function isLikelyRead(request: Buffer): boolean {
  return READING_STATEMENT.test(stringField(request, RequestField.SQL).slice(0, MAX_LEADING_CHARACTERS));
}
