import type { Connection } from "../sqlite/connection.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import type { TableDiff } from "./diff.js";
import { type Column, findColumn, keyOf, type Table } from "./model.js";
import type { RowFinding } from "./plan.js";
import { rowidName } from "./rebuild.js";

/** The name under which a projection carries the key of a row: no identifier that a person would choose. */
const ROW_KEY = '"row key of the migration"';
/** The alias of a projection, for conditions with subqueries of their own. */
export const PROJECTION = '"projected row"';

const CONVERTED = '"converted rows of the migration"';

/** One term of a key: an expression over the wanted columns and how it is compared. */
export interface KeyTerm {
  readonly sql: string;
  readonly collation: string;
}

/** How many rowids a finding shows. */
export const MAX_SAMPLES = 5;

/**
 * The rows of a live table as the wanted table will see them, before anything is changed: its columns by their new names, new
 * ones with their default, generated ones computed. Values keep their old types.
 */
export class ProjectedRows {
  readonly #connection: Connection;
  readonly #sql: string;
  /** Expression for the key of a row in the live table, as text. */
  readonly key: string;
  /** The live table, qualified. */
  readonly source: string;
  readonly #sourceName: (column: string) => string;
  readonly #rowid: string | undefined;

  /** @param sourceName the live name of a column that a hint renames; identity otherwise. */
  constructor(connection: Connection, { from, to }: TableDiff, sourceName: (column: string) => string) {
    this.#connection = connection;
    this.#sourceName = sourceName;
    this.#rowid = rowidName(from);
    this.source = inMain(from.name);
    this.key = rowKeyOf(from, sourceName);
    const kept = to.columns.filter((column) => column.generated === undefined);
    const values = kept.map((column) => {
      const source = findColumn(from, column.name);
      const value =
        source === undefined ? `(${column.defaultValue ?? "NULL"})` : quoteIdentifier(sourceName(source.name));
      return `${value} AS ${quoteIdentifier(column.name)}`;
    });
    const computed = to.columns.flatMap(({ name, generated }) =>
      generated === undefined ? [] : [`(${generated.expression}) AS ${quoteIdentifier(name)}`],
    );
    const base = `SELECT ${[`${this.key} AS ${ROW_KEY}`, ...values].join(", ")} FROM ${this.source}`;
    this.#sql =
      computed.length === 0
        ? `(${base}) AS ${PROJECTION}`
        : `(SELECT *, ${computed.join(", ")} FROM (${base})) AS ${PROJECTION}`;
  }

  /** The live name of a column, quoted. */
  sourceColumn(name: string): string {
    return quoteIdentifier(this.#sourceName(name));
  }

  /** Conditions that together select every row of the live table once, each about `size` rows; one for all without rowids. */
  *batches(size: number): Generator<string> {
    if (this.#rowid === undefined) return yield "true";
    const bound = this.#connection
      .prepare<[bigint], bigint>(
        `SELECT ${this.#rowid} FROM ${this.source} WHERE ${this.#rowid} > ? ORDER BY 1 LIMIT 1 OFFSET ${size - 1}`,
      )
      .safeIntegers()
      .pluck();
    let after = -(2n ** 63n);
    // The smallest rowid of all is not greater than itself.
    let condition = "true";
    for (let upTo = bound.get(after); upTo !== undefined; upTo = bound.get(after)) {
      yield `${condition} AND ${this.#rowid} <= ${upTo}`;
      condition = `${this.#rowid} > ${upTo}`;
      after = upTo;
    }
    yield condition;
  }

  /** How many rows satisfy `condition`, which uses the wanted columns, and which ones. */
  find(condition: string): Omit<RowFinding, "message"> {
    return this.#sample(`SELECT ${ROW_KEY} AS key FROM ${this.#sql} WHERE ${condition}`);
  }

  /** The groups of rows that are equal in `terms`, one sample row each; rows with a NULL among them are never equal. */
  findDuplicates(terms: readonly KeyTerm[], where?: string): Omit<RowFinding, "message"> {
    return this.#duplicatesIn(this.#sql, terms, where);
  }

  /**
   * `findDuplicates` among the values as the wanted `columns`, which are all that `terms` and `where` use, will hold them:
   * `'1'` and `'01'` are one integer. Copies these columns into a temporary table, because an affinity cannot be asked for in an
   * expression.
   */
  findConvertedDuplicates(
    columns: readonly Column[],
    terms: readonly KeyTerm[],
    where?: string,
  ): Omit<RowFinding, "message"> {
    const names = columns.map(({ name }) => quoteIdentifier(name));
    const declared = columns.map(({ affinity }, index) => `${names[index]} ${affinity}`);
    this.#connection.exec(`CREATE TEMP TABLE ${CONVERTED} (${[ROW_KEY, ...declared].join(", ")})`);
    try {
      this.#connection.exec(`INSERT INTO temp.${CONVERTED} SELECT ${[ROW_KEY, ...names].join(", ")} FROM ${this.#sql}`);
      return this.#duplicatesIn(`temp.${CONVERTED}`, terms, where);
    } finally {
      this.#connection.exec(`DROP TABLE temp.${CONVERTED}`);
    }
  }

  #duplicatesIn(source: string, terms: readonly KeyTerm[], where = "true"): Omit<RowFinding, "message"> {
    const notNull = terms.map(({ sql }) => `(${sql}) IS NOT NULL`).join(" AND ");
    const group = terms.map(({ sql, collation }) => `(${sql}) COLLATE ${quoteIdentifier(collation)}`).join(", ");
    return this.#sample(
      `SELECT max(${ROW_KEY}) AS key FROM ${source} WHERE ${notNull} AND (${where}) GROUP BY ${group} HAVING count(*) > 1`,
    );
  }

  #sample(query: string): Omit<RowFinding, "message"> {
    const rows = this.#connection.prepare<[], number>(`SELECT count(*) FROM (${query})`).pluck().get() ?? 0;
    if (rows === 0) return { rows, sampleRowids: [] };
    const sampleRowids = this.#connection
      .prepare<[], string>(`SELECT CAST(key AS TEXT) FROM (${query}) LIMIT ${MAX_SAMPLES}`)
      .pluck()
      .all();
    return { rows, sampleRowids };
  }
}

function rowKeyOf(table: Table, sourceName: (column: string) => string): string {
  const rowid = rowidName(table);
  if (rowid !== undefined) return rowid;
  const keys = table.primaryKey?.columns.map(({ term }) => `quote(${quoteIdentifier(sourceName(term))})`) ?? [];
  return keys.length === 0 ? "NULL" : keys.join(" || ',' || ");
}

/** `key` of a column in SQL over a projection. */
export function columnTerm(table: Table, name: string): string {
  return quoteIdentifier(findColumn(table, name)?.name ?? keyOf(name));
}
