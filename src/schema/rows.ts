import type { Connection } from "../sqlite/connection.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import type { TableDiff } from "./diff.js";
import { type Column, findColumn, keyOf, type Table } from "./model.js";
import type { RowFinding } from "./plan.js";
import { isBackfilled, rowidName } from "./rebuild.js";
import { nameOf, tokenize } from "./tokens.js";

/** Which rows a question concerns. */
type Finding = Omit<RowFinding, "message">;

/** The name under which a projection carries the key of a row: no identifier that a person would choose. */
const ROW_KEY = '"row key of the migration"';
/** The alias of a projection, for conditions with subqueries of their own. */
export const PROJECTION = '"projected row"';

const COPY_NAME = '"converted rows of the migration"';
const COPY = `temp.${COPY_NAME} AS ${PROJECTION}`;

/** One term of a key: an expression over the wanted columns and how it is compared. */
export interface KeyTerm {
  readonly sql: string;
  readonly collation: string;
}

/** How many rowids a finding shows. */
export const MAX_SAMPLES = 5;

/** Rows that are converted at a time. */
const BATCH_ROWS = 50_000;

/**
 * The rows of a live table as the wanted table will hold them, before anything is changed: columns by their new names, new ones
 * with their default, NULLs replaced where that is going to happen, values converted, generated columns computed.
 *
 * An affinity cannot be asked for in an expression, so where a question uses a column whose values are not simply the live
 * ones, these columns are copied into a temporary table that declares them as wanted.
 */
export class ProjectedRows {
  readonly #connection: Connection;
  readonly #from: Table;
  readonly #to: Table;
  /** Expression for the key of a row in the live table, as text. */
  readonly key: string;
  /** The live table, qualified. */
  readonly source: string;
  readonly #sourceName: (column: string) => string;
  readonly #rowid: string | undefined;

  /** @param sourceName the live name of a column that a hint renames; identity otherwise. */
  constructor(
    connection: Connection,
    { from, to }: Pick<TableDiff, "from" | "to">,
    sourceName: (column: string) => string,
  ) {
    this.#connection = connection;
    this.#from = from;
    this.#to = to;
    this.#sourceName = sourceName;
    this.#rowid = rowidName(from);
    this.source = inMain(from.name);
    this.key = rowKeyOf(from, sourceName);
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

  /** How many rows of the live table have NULL in the column, and which ones. */
  findNulls(column: string): Finding {
    return this.#sample(`SELECT ${this.key} AS key FROM ${this.source} WHERE ${this.sourceColumn(column)} IS NULL`);
  }

  /** How many rows satisfy `condition`, which uses the wanted columns, and which ones. */
  find(condition: string): Finding {
    const used = this.#columnsIn([condition]);
    const matching = (rows: string) => `SELECT ${ROW_KEY} AS key FROM ${rows} WHERE ${condition}`;
    if (!used.some((column) => this.#isRewritten(column)))
      return this.#sample(matching(this.#projection(used, "true")));
    return this.#withCopy(used, () => {
      const found = { rows: 0, sampleRowids: [] as string[] };
      for (const batch of this.batches(BATCH_ROWS)) {
        this.#fillCopy(used, batch);
        const { rows, sampleRowids } = this.#sample(matching(COPY));
        found.rows += rows;
        found.sampleRowids.push(...sampleRowids.slice(0, MAX_SAMPLES - found.sampleRowids.length));
        this.#connection.exec(`DELETE FROM temp.${COPY_NAME}`);
      }
      return found;
    });
  }

  /** The groups of rows that are equal in `terms`, one sample row each; rows with a NULL among them are never equal. */
  findDuplicates(terms: readonly KeyTerm[], where = "true"): Finding {
    const used = this.#columnsIn([...terms.map(({ sql }) => sql), where]);
    const notNull = terms.map(({ sql }) => `(${sql}) IS NOT NULL`).join(" AND ");
    const group = terms.map(({ sql, collation }) => `(${sql}) COLLATE ${quoteIdentifier(collation)}`).join(", ");
    const duplicates = (rows: string) =>
      `SELECT max(${ROW_KEY}) AS key FROM ${rows} WHERE ${notNull} AND (${where}) GROUP BY ${group} HAVING count(*) > 1`;
    if (!used.some((column) => this.#isRewritten(column)))
      return this.#sample(duplicates(this.#projection(used, "true")));
    return this.#withCopy(used, () => {
      this.#fillCopy(used, "true");
      return this.#sample(duplicates(COPY));
    });
  }

  /** The wanted columns that `texts` mention and that have other values than the live ones. */
  rewrittenColumns(texts: readonly string[]): Column[] {
    return this.#columnsIn(texts).filter((column) => this.#isRewritten(column));
  }

  /** True when values of a wanted column are not simply those of a live one. */
  #isRewritten(column: Column): boolean {
    const old = findColumn(this.#from, column.name);
    if (old === undefined || column.generated !== undefined || old.generated !== undefined) return true;
    return old.affinity !== column.affinity || old.collation !== column.collation || isBackfilled(old, column);
  }

  /** The wanted columns that `texts` mention, and those from which mentioned ones are computed; a few more do no harm. */
  #columnsIn(texts: readonly string[]): Column[] {
    const words = new Set<string>();
    const add = (text: string) => {
      for (const token of tokenize(text)) words.add(keyOf(nameOf(token)));
    };
    texts.forEach(add);
    const isUsed = ({ name }: Column) => words.has(keyOf(name));
    for (let size = -1; size < words.size; ) {
      size = words.size;
      for (const { generated } of this.#to.columns.filter(isUsed)) add(generated?.expression ?? "");
    }
    return this.#to.columns.filter(isUsed);
  }

  /** The rows with the ordinary ones of `columns`, in the types that they have in the live table. */
  #projection(columns: readonly Column[], where: string): string {
    const values = columns.filter(isOrdinary).map((column) => {
      const source = findColumn(this.#from, column.name);
      const live = quoteIdentifier(this.#sourceName(source?.name ?? ""));
      const fallback = `(${column.defaultValue ?? "NULL"})`;
      const value =
        source === undefined ? fallback : isBackfilled(source, column) ? `ifnull(${live}, ${fallback})` : live;
      return `${value} AS ${quoteIdentifier(column.name)}`;
    });
    const list = [`${this.key} AS ${ROW_KEY}`, ...values].join(", ");
    return `(SELECT ${list} FROM ${this.source} WHERE ${where}) AS ${PROJECTION}`;
  }

  #withCopy<T>(columns: readonly Column[], ask: () => T): T {
    const declared = columns.map(({ name, affinity, collation, generated }) => {
      const computed = generated === undefined ? "" : ` AS (${generated.expression})`;
      return `${quoteIdentifier(name)} ${affinity} COLLATE ${quoteIdentifier(collation)}${computed}`;
    });
    const body = [`${ROW_KEY} PRIMARY KEY`, ...declared].join(", ");
    // WITHOUT ROWID, so that a question about the rowid fails instead of meaning another one.
    this.#connection.exec(`CREATE TEMP TABLE ${COPY_NAME} (${body}) WITHOUT ROWID`);
    try {
      return ask();
    } finally {
      this.#connection.exec(`DROP TABLE temp.${COPY_NAME}`);
    }
  }

  #fillCopy(columns: readonly Column[], where: string): void {
    const names = [ROW_KEY, ...columns.filter(isOrdinary).map(({ name }) => quoteIdentifier(name))].join(", ");
    this.#connection.exec(
      `INSERT INTO temp.${COPY_NAME} (${names}) SELECT ${names} FROM ${this.#projection(columns, where)}`,
    );
  }

  #sample(query: string): Finding {
    const rows = this.#connection.prepare<[], number>(`SELECT count(*) FROM (${query})`).pluck().get() ?? 0;
    if (rows === 0) return { rows, sampleRowids: [] };
    const sampleRowids = this.#connection
      .prepare<[], string>(`SELECT CAST(key AS TEXT) FROM (${query}) LIMIT ${MAX_SAMPLES}`)
      .pluck()
      .all();
    return { rows, sampleRowids };
  }
}

function isOrdinary({ generated }: Column): boolean {
  return generated === undefined;
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
