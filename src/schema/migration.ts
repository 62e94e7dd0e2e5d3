import { DriverError } from "../errors.js";
import { type Connection, setPragma } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { quoteIdentifier } from "../sqlite/identifiers.js";
import { commitOpen, rewriteHeader } from "../sqlite/transaction.js";
import { allowFlag } from "./consent.js";
import { fingerprintSchema, readDataVersion } from "./dependents.js";
import { keyOf } from "./model.js";
import { type MigrationPlan, type Operation, type Step, statusOf } from "./plan.js";
import { inspectRows } from "./preflight.js";
import { assertProven, type Remembered, rebuiltTables, rememberState } from "./proof.js";
import { sourceNames } from "./renames.js";

/** Where a running migration is. */
export interface MigrationProgress {
  readonly operation: Operation;
  /** From 1. */
  readonly position: number;
  readonly operations: number;
  /** Rows copied so far of the table that is being rebuilt, and all of them. */
  readonly rows?: { readonly done: number; readonly total: number };
}

export interface ApplyOptions {
  /** Called when an operation begins and after every chunk of a copy. What it throws ends the migration like an error. */
  readonly onProgress?: (progress: MigrationProgress) => void;
  /** Asked before every statement and every chunk; `true` rolls back and throws `CANCELLED`. */
  readonly shouldStop?: () => boolean;
  /** Called before every statement, chunk, proof and COMMIT with its text: the place for failpoints of tests. */
  readonly onStep?: (sql: string) => void;
  /** Rows that a copy moves between two questions to `shouldStop`. Default: 50,000, about a tenth of a second. */
  readonly chunkRows?: number;
}

/** What a migration did. */
export interface MigrationResult {
  readonly operations: number;
  readonly durationMs: number;
  /** Rows of every rewritten table, by name. */
  readonly copiedRows: ReadonlyMap<string, number>;
  /** Foreign-key violations that were there before and still are. */
  readonly knownViolations: readonly string[];
  /** Unused bytes inside the file before and after; VACUUM would return them. */
  readonly freeBytes: { readonly before: number; readonly after: number };
}

const DEFAULT_CHUNK_ROWS = 50_000;

/** Negative is KiB: 256 MiB keep the upper pages of a large table and of the index that is being built; 8 MiB halve the speed. */
const WRITING_CACHE_SIZE = -262_144;

/** A scan comes to every page once: 4 MiB stay in the processor's caches, where 256 MiB of fresh memory take twice the time. */
const SCANNING_CACHE_SIZE = -4_096;

/**
 * Carries out `plan` in one transaction: all of it happens or nothing. Foreign keys are switched off before BEGIN, because a
 * rename or a DROP would act on them (https://sqlite.org/lang_altertable.html §7), and everything is proven before COMMIT.
 * The connection must be the caller's own, with no transaction and no open cursor; its PRAGMAs are as before afterwards.
 *
 * @throws DriverError `INVALID_REQUEST` when the plan cannot be applied or the connection is in use, `DATABASE_BUSY`,
 *   `CANCELLED`, or what the failing statement or proof says; the database is unchanged in each case.
 */
export function applyMigration(
  connection: Connection,
  plan: MigrationPlan,
  options: ApplyOptions = {},
): MigrationResult {
  try {
    assertApplicable(connection, plan);
    const startedAt = performance.now();
    const before = freeBytes(connection);
    const run = () => withPragmas(connection, plan, () => applyInTransaction(connection, plan, options));
    const copiedRows = plan.operations.length === 0 ? new Map<string, number>() : run();
    return {
      operations: plan.operations.length,
      durationMs: performance.now() - startedAt,
      copiedRows,
      knownViolations: [...plan.knownViolations].map(([key, { rowids }]) => `${key} in ${rowids.length} rows`),
      freeBytes: { before, after: freeBytes(connection) },
    };
  } catch (error) {
    throw fromSqliteError(error);
  }
}

function assertApplicable(connection: Connection, plan: MigrationPlan): void {
  const status = statusOf(plan);
  if (connection.inTransaction) {
    throw new DriverError("INVALID_REQUEST", "The migration cannot run inside a transaction.", {
      hint: "Foreign keys cannot be switched off there; commit or roll back first.",
    });
  }
  if (connection.readonly) {
    throw new DriverError("DATABASE_READ_ONLY", `The database ${connection.name} is open for reading only.`);
  }
  if (status === "blocked") {
    throw new DriverError("INVALID_REQUEST", plan.problems[0]?.message ?? "The plan has problems.", {
      hint: plan.problems[0]?.hint ?? "Correct the database or the wanted schema.",
    });
  }
  if (status === "needs-consent") {
    const missing = plan.consents.filter((consent) => !consent.isAllowed);
    throw new DriverError("INVALID_REQUEST", missing[0]?.message ?? "The plan needs consent.", {
      hint: `Allow it: ${missing.map(({ id }) => allowFlag(id)).join(" ")}`,
    });
  }
}

/** The PRAGMAs that a migration needs; put back in `finally` because legacy_alter_table survives even a ROLLBACK. */
function pragmasFor({ operations }: MigrationPlan) {
  const isWriting = operations.some(({ cost }) => cost === "sort" || cost === "rewrite");
  return [
    { name: "foreign_keys", value: 0 },
    { name: "legacy_alter_table", value: 0 },
    { name: "cache_size", value: isWriting ? WRITING_CACHE_SIZE : SCANNING_CACHE_SIZE },
    // A REPLACE of a copy must not fire what it does not fire elsewhere.
    { name: "recursive_triggers", value: 0 },
  ];
}

function withPragmas<T>(connection: Connection, plan: MigrationPlan, body: () => T): T {
  const pragmas = pragmasFor(plan);
  const old = pragmas.map(({ name }) => ({ name, value: Number(connection.pragma(name, { simple: true })) }));
  try {
    for (const pragma of pragmas) setPragma(connection, pragma);
    return body();
  } finally {
    for (const pragma of old) setPragma(connection, pragma);
  }
}

function applyInTransaction(connection: Connection, plan: MigrationPlan, options: ApplyOptions): Map<string, number> {
  const run = new Run(connection, plan, options);
  run.step("BEGIN IMMEDIATE", () => connection.exec("BEGIN IMMEDIATE"));
  try {
    assertWritable(connection);
    if (fingerprintSchema(connection) !== plan.baseFingerprint) {
      throw new DriverError("DATABASE_BUSY", "The schema changed after the plan was made.", { hint: "Plan again." });
    }
    assertSameRows(connection, plan);
    const before = rememberState(connection, plan);
    const statistics = rememberStatistics(connection, plan);
    for (const [index, operation] of plan.operations.entries()) run.operation(operation, index + 1, before);
    restoreStatistics(connection, statistics);
    run.step("-- prove", () => assertProven(connection, plan, before));
    run.step("COMMIT", () => commitOpen(connection, () => connection.exec("COMMIT")));
    return run.copiedRows;
  } catch (error) {
    // SQLite may have rolled back by itself, for example when the disk is full.
    if (connection.inTransaction) connection.exec("ROLLBACK");
    throw error;
  }
}

/** BEGIN IMMEDIATE succeeds on a file or in a directory that may not be written; the first write does not, even of the same value. */
function assertWritable(connection: Connection): void {
  try {
    rewriteHeader(connection);
  } catch (error) {
    const { reason, message, hint, sqliteCode } = fromSqliteError(error);
    throw new DriverError(reason, `The database ${connection.name} cannot be written: ${message}.`, {
      cause: error,
      ...(hint !== undefined && { hint }),
      ...(sqliteCode !== undefined && { sqliteCode }),
    });
  }
}

/** What others wrote after the plan was made may be lost or changed in a way that nobody has allowed: look again, if they wrote. */
function assertSameRows(connection: Connection, plan: MigrationPlan): void {
  if (readDataVersion(connection) === plan.dataVersion) return;
  const now = inspectRows(connection, plan.diff, sourceNames(plan.renames), plan.isOptimistic);
  const allowed = new Set(plan.consents.map(({ id }) => id));
  const unexpected = now.problems[0] ?? now.consents.find(({ id }) => !allowed.has(id));
  if (unexpected === undefined) return;
  throw new DriverError("DATABASE_BUSY", `Rows were written after the plan was made: ${unexpected.message}`, {
    hint: "Plan again.",
  });
}

/** One run of a plan. */
class Run {
  readonly copiedRows = new Map<string, number>();
  readonly #connection: Connection;
  readonly #plan: MigrationPlan;
  readonly #options: ApplyOptions;

  constructor(connection: Connection, plan: MigrationPlan, options: ApplyOptions) {
    this.#connection = connection;
    this.#plan = plan;
    this.#options = options;
  }

  step(sql: string, body: () => unknown): void {
    this.#options.onStep?.(sql);
    if (this.#options.shouldStop?.()) {
      throw new DriverError("CANCELLED", "The migration was interrupted; nothing was changed.");
    }
    body();
  }

  operation(operation: Operation, position: number, before: Remembered): void {
    const progress = { operation, position, operations: this.#plan.operations.length };
    this.#options.onProgress?.(progress);
    try {
      for (const step of operation.steps) this.#execute(step, progress, before);
    } catch (error) {
      throw explain(error, operation);
    }
  }

  #execute({ sql, copy }: Step, progress: MigrationProgress, before: Remembered): void {
    if (copy === undefined) {
      this.step(sql, () => this.#connection.exec(sql));
      return;
    }
    const table = progress.operation.table ?? "";
    const total = before.counts.get(table) ?? 0;
    let done = 0;
    const moved = (rows: number) => {
      done += rows;
      this.#options.onProgress?.({ ...progress, rows: { done, total } });
    };
    if (copy.rowid === undefined) this.step(sql, () => moved(this.#connection.prepare(sql).run().changes));
    else this.#copyInChunks(sql, copy.source, copy.rowid, moved);
    if (done !== total) {
      throw new DriverError("INTERNAL", `Only ${done} of ${total} rows of ${table} were copied.`);
    }
    this.copiedRows.set(progress.operation.object, done);
  }

  /** Chunks are ranges of rowids, so that each begins where the last ended without looking at a row twice. */
  #copyInChunks(sql: string, source: string, rowid: string, moved: (rows: number) => void): void {
    const chunkRows = this.#options.chunkRows ?? DEFAULT_CHUNK_ROWS;
    const from = `main.${quoteIdentifier(source)}`;
    const boundary = (after: string) =>
      this.#connection
        .prepare<[number], bigint>(`SELECT ${rowid} FROM ${from} ${after} ORDER BY ${rowid} LIMIT 1 OFFSET ?`)
        .safeIntegers()
        .pluck()
        .get(chunkRows - 1);
    let range = "";
    for (let last = boundary(""); last !== undefined; last = boundary(`WHERE ${rowid} > ${last}`)) {
      const chunk = `${sql} WHERE ${range}${rowid} <= ${last}`;
      this.step(chunk, () => moved(this.#connection.prepare(chunk).run().changes));
      range = `${rowid} > ${last} AND `;
    }
    const rest = range === "" ? sql : `${sql} WHERE ${range}true`;
    this.step(rest, () => moved(this.#connection.prepare(rest).run().changes));
  }
}

function explain(error: unknown, operation: Operation): DriverError {
  const known = fromSqliteError(error);
  if (error instanceof DriverError) return error;
  return new DriverError(known.reason, `${operation.kind} ${operation.object} failed: ${known.message}.`, {
    hint: known.hint ?? "The migration was rolled back; nothing was changed.",
    cause: error,
    ...(known.sqliteCode !== undefined && { sqliteCode: known.sqliteCode }),
  });
}

/** Rows of sqlite_stat1 and sqlite_stat4 (https://sqlite.org/fileformat2.html#stat1tab), which DROP INDEX deletes. */
interface Statistics {
  readonly table: string;
  readonly rows: readonly Readonly<Record<string, unknown>>[];
}

function rememberStatistics(connection: Connection, plan: MigrationPlan): Statistics[] {
  const rebuilt = rebuiltTables(plan);
  return ["sqlite_stat1", "sqlite_stat4"].flatMap((table) => {
    const exists = connection.prepare("SELECT 1 FROM main.sqlite_schema WHERE name = ?").get(table);
    if (exists === undefined || rebuilt.size === 0) return [];
    const all = connection.prepare<[], Record<string, unknown>>(`SELECT * FROM main.${table}`).safeIntegers().all();
    return [{ table, rows: all.filter((row) => rebuilt.has(keyOf(String(row.tbl)))) }];
  });
}

function restoreStatistics(connection: Connection, statistics: readonly Statistics[]): void {
  for (const { table, rows } of statistics) {
    for (const tbl of new Set(rows.map((row) => row.tbl)))
      connection.prepare(`DELETE FROM main.${table} WHERE tbl = ?`).run(tbl);
    for (const row of rows) {
      const columns = Object.keys(row);
      connection
        .prepare(
          `INSERT INTO main.${table} (${columns.join(", ")}) SELECT ${columns.map(() => "?").join(", ")} ` +
            "WHERE ? IS NULL OR EXISTS (SELECT 1 FROM main.sqlite_schema WHERE name = ?)",
        )
        .run(...Object.values(row), row.idx, row.idx);
    }
  }
}

function freeBytes(connection: Connection): number {
  const pages = Number(connection.pragma("freelist_count", { simple: true }));
  return pages * Number(connection.pragma("page_size", { simple: true }));
}
