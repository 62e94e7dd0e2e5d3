import { DriverError } from "../errors.js";
import type { Connection } from "../sqlite/connection.js";
import { fromSqliteError } from "../sqlite/errors.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { inSnapshot, inTransaction } from "../sqlite/transaction.js";
import { BUILT_IN_SCHEMA, wantedModel, wantedObjects } from "./built-in-schema.js";
import { describeDrift } from "./drift.js";
import { findFullTextLinks } from "./full-text.js";
import { inspectSchema } from "./introspection.js";
import { keyOf, temporaryName } from "./model.js";
import { type RecoveryLog, recover } from "./recovery.js";
import type { RecoveryReport } from "./recovery-report.js";
import { compileErrors } from "./references.js";
import { hashSchema } from "./schema-hash.js";
import { listTables, readTableInfo, type TableInfo, type TableSummary } from "./table-info.js";
import type { WantedObject } from "./wanted-schema.js";

/** What `createMissing` did. */
export interface CreationReport {
  /** Tables and virtual tables that were created, in that order. */
  readonly createdTables: readonly string[];
  /** What was created with them or for itself, each as `index idx_files_path`. */
  readonly createdObjects: readonly string[];
}

/** What `syncSchema` did and what it left to `config_cli schema`. */
export interface SyncReport extends CreationReport {
  /** What still differs from the wanted schema; one line each. Only `config_cli schema` changes it. */
  readonly drift: readonly string[];
}

/**
 * The schema part of the driver: introspection, recovery on connect, and the creation of what is missing. It never alters,
 * drops or renames a table that has rows; migrating is the business of `config_cli` alone.
 */
export class SQLiteSchemaManager {
  readonly #connection: Connection;
  readonly #wantedSql: string;
  #hash: { readonly version: number; readonly value: string } | undefined;

  /**
   * @param connection a writable connection; it stays the caller's.
   * @param wantedSql CREATE statements; default: the built-in schema.
   */
  constructor(connection: Connection, wantedSql: string = BUILT_IN_SCHEMA) {
    this.#connection = connection;
    this.#wantedSql = wantedSql;
  }

  /** The tables that recovery watches over. */
  get managedTables(): string[] {
    return wantedObjects(this.#wantedSql)
      .filter(({ type }) => type === "table")
      .map(({ name }) => name);
  }

  /** @throws DriverError `TABLE_NOT_FOUND`. */
  getTableInfo(table: string): TableInfo {
    return inSnapshot(this.#connection, () => readTableInfo(this.#connection, table));
  }

  listTables(): TableSummary[] {
    return listTables(this.#connection);
  }

  /** Hash of the normalised live schema (`hashSchema`); read again only after the schema changed. */
  schemaHash(): string {
    return inSnapshot(this.#connection, () => {
      const version = Number(this.#connection.pragma("schema_version", { simple: true }));
      if (this.#hash?.version !== version) this.#hash = { version, value: hashSchema(inspectSchema(this.#connection)) };
      return this.#hash.value;
    });
  }

  /** Recovery for the managed tables; see `recover`. */
  recover(options: { readonly log?: RecoveryLog } = {}): RecoveryReport {
    return recover(this.#connection, this.managedTables, options);
  }

  /**
   * What a connect does before anything else: recovery, then the missing tables, then, when tables were created that
   * something already referred to by a temporary name, recovery again. The recovery report covers both.
   */
  prepare(options: { readonly log?: RecoveryLog } = {}): {
    readonly recovery: RecoveryReport;
    readonly creation: CreationReport;
  } {
    const first = this.recover(options);
    const creation = this.createMissing();
    if (creation.createdTables.length === 0) return { recovery: first, creation };
    const second = this.recover(options);
    const again = new Set(second.tables.map(({ table }) => keyOf(table)));
    return {
      recovery: {
        isChanged: first.isChanged || second.isChanged,
        needsAttention: second.needsAttention,
        missingTables: second.missingTables,
        tables: [...first.tables.filter(({ table }) => !again.has(keyOf(table))), ...second.tables],
      },
      creation,
    };
  }

  /**
   * `createMissing`, and what else separates the database from the wanted schema.
   *
   * @param wantedSql CREATE statements instead of those of the constructor.
   */
  syncSchema(wantedSql: string = this.#wantedSql): SyncReport {
    const created = this.createMissing(wantedSql);
    return { ...created, drift: describeDrift(inspectSchema(this.#connection), wantedModel(wantedSql)) };
  }

  /**
   * Creates the wanted tables that do not exist, with their indexes and triggers, and missing views and virtual tables, in one
   * transaction. What exists under a wanted name stays as it is. Idempotent; two processes at once are safe; with nothing
   * missing it takes no lock.
   *
   * @param wantedSql CREATE statements instead of those of the constructor.
   * @param commit runs its argument in the transaction, for a caller who has something to add to it.
   * @throws DriverError `SQL_ERROR` when the wanted schema is wrong or does not fit what exists, `TEMP_TABLE_STATE` when a
   *   missing table stands under its temporary name, `DATABASE_BUSY` …; nothing is created then.
   */
  createMissing(
    wantedSql: string = this.#wantedSql,
    commit: <T>(body: () => T) => T = (body) => inTransaction(this.#connection, body),
  ): CreationReport {
    const wanted = wantedObjects(wantedSql);
    try {
      if (this.#missing(wanted).length === 0) return { createdTables: [], createdObjects: [] };
      // Another process may have created them meanwhile: what is missing is decided under the lock.
      const created = commit(() => {
        const missing = this.#missing(wanted);
        for (const object of missing) this.#create(object, wantedSql);
        return missing;
      });
      return {
        createdTables: created.filter(isTable).map(({ name }) => name),
        createdObjects: created.filter((object) => !isTable(object)).map(({ type, name }) => `${type} ${name}`),
      };
    } catch (error) {
      throw fromSqliteError(error);
    }
  }

  /** What `createMissing` has to create, in an order in which it can be created. */
  #missing(wanted: readonly WantedObject[]): WantedObject[] {
    const rows = this.#connection
      .prepare<[], { type: string; name: string }>("SELECT type, name FROM main.sqlite_schema")
      .all();
    // Tables, views and indexes share one name space; triggers have their own.
    const relations = new Set(rows.filter(({ type }) => type !== "trigger").map(({ name }) => keyOf(name)));
    const triggers = new Set(rows.filter(({ type }) => type === "trigger").map(({ name }) => keyOf(name)));
    const missing = (kind: WantedObject["type"]) =>
      wanted.filter(({ type, name }) => type === kind && !relations.has(keyOf(name)));

    const tables = missing("table");
    const existing = new Set(rows.filter(({ type }) => type === "table").map(({ name }) => keyOf(name)));
    for (const { name } of tables) assertNotUnderTemporaryName(name, existing);
    const views = missing("view");
    const owners = new Set([...tables, ...views].map(({ name }) => keyOf(name)));
    const isOfNewOwner = ({ table }: { table: string }) => owners.has(keyOf(table));
    return [
      ...tables,
      ...missing("virtual"),
      ...missing("index").filter(isOfNewOwner),
      ...views,
      ...wanted.filter(
        (object) => object.type === "trigger" && isOfNewOwner(object) && !triggers.has(keyOf(object.name)),
      ),
    ];
  }

  #create({ type, name, sql }: WantedObject, wantedSql: string): void {
    this.#connection.exec(sql);
    if (type === "view") {
      // SQLite notices only when the view is used; a broken view also blocks every later RENAME.
      const [problem] = compileErrors(this.#connection, { type, name, owner: name });
      if (problem !== undefined)
        throw new DriverError("SQL_ERROR", `The view ${name} does not fit the database: ${problem}.`);
    }
    // The rows that are there already must be found too; and removing a row that is not in the index would corrupt it.
    if (type === "virtual" && findFullTextLinks(wantedModel(wantedSql)).some(({ table }) => table === name)) {
      this.#connection.exec(`INSERT INTO ${inMain(name)} (${quoteIdentifier(name)}) VALUES ('rebuild')`);
    }
  }
}

function isTable({ type }: WantedObject): boolean {
  return type === "table" || type === "virtual";
}

function assertNotUnderTemporaryName(table: string, existing: ReadonlySet<string>): void {
  const temporary = temporaryName(table);
  if (!existing.has(keyOf(temporary))) return;
  throw new DriverError("TEMP_TABLE_STATE", `The table ${table} is missing while ${temporary} exists.`, {
    hint: "A migration was interrupted; run recovery, or `config_cli doctor` when recovery leaves it.",
  });
}
