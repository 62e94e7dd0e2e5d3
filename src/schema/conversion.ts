import type { Connection } from "../sqlite/connection.js";
import type { Affinity, Column } from "./model.js";
import type { RowFinding } from "./plan.js";
import { isBackfilled } from "./rebuild.js";
import { MAX_SAMPLES, type ProjectedRows } from "./rows.js";

/** What SQLite would make of the values of one column in its new type. */
export interface ConversionFinding {
  /** Values that come out different: `'007'` → 7, an integer beyond 2⁵³ in a REAL column, a real number as text. */
  readonly lossy: Omit<RowFinding, "message">;
  /** Values that the new type does not fit and that stay as they are; a STRICT table refuses them. */
  readonly unfit: Omit<RowFinding, "message">;
}

/** The storage classes that belong into a column of the affinity; they also go in unchanged. */
const FITTING: Record<Affinity, readonly string[]> = {
  INTEGER: ["integer"],
  NUMERIC: ["integer", "real"],
  REAL: ["real"],
  TEXT: ["text"],
  BLOB: ["integer", "real", "text", "blob"],
};

/** BLOB columns of a STRICT table take blobs only, though their affinity converts nothing (https://sqlite.org/stricttables.html). */
function fittingTypes(to: Column, isStrict: boolean): readonly string[] {
  return isStrict && to.type === "BLOB" ? ["blob"] : FITTING[to.affinity];
}

/** Integers up to 2⁵³ are exact as real numbers. */
const IS_EXACT = "BETWEEN -9007199254740992 AND 9007199254740992";
const IS_INTEGER_TEXT = "CAST(CAST(v AS INTEGER) AS TEXT) = v";

/**
 * By affinity, a condition that most values `v` of an ordinary column satisfy and that is enough for a lossless, fitting
 * conversion, so that only the others need be tried out.
 */
const IS_HARMLESS: Record<Affinity, string> = {
  INTEGER: `CASE typeof(v) WHEN 'text' THEN ${IS_INTEGER_TEXT} WHEN 'real' THEN v ${IS_EXACT} AND CAST(v AS INTEGER) = v ELSE typeof(v) IN ('null', 'integer') END`,
  NUMERIC: `CASE typeof(v) WHEN 'text' THEN ${IS_INTEGER_TEXT} ELSE typeof(v) IN ('null', 'integer', 'real') END`,
  REAL: `CASE typeof(v) WHEN 'text' THEN ${IS_INTEGER_TEXT} AND CAST(v AS INTEGER) ${IS_EXACT} WHEN 'integer' THEN v ${IS_EXACT} ELSE typeof(v) IN ('null', 'real') END`,
  TEXT: "typeof(v) IN ('null', 'text', 'integer')",
  BLOB: "true",
};

/** Comes out different when read back as what it was. A real as text loses digits or gains an exponent, so it always counts. */
const IS_LOSSY =
  "CASE typeof(old) WHEN 'text' THEN typeof(new) <> 'text' AND CAST(new AS TEXT) <> old AND CAST(CAST(new AS INTEGER) AS TEXT) <> old " +
  "WHEN 'integer' THEN typeof(new) = 'real' AND (abs(new) >= 9223372036854775807.0 OR CAST(new AS INTEGER) <> old) " +
  "WHEN 'real' THEN typeof(new) = 'text' OR new <> old ELSE 0 END";

const BATCH_ROWS = 50_000;
const PROBE_NAME = '"probe of the migration"';
const PROBE = `temp.${PROBE_NAME}`;

/**
 * Lets SQLite convert the values of a column, in batches, in a temporary table that has only that column. The conversion by
 * affinity cannot be asked for in an expression: CAST does something else (`'12abc'` becomes 12).
 */
export function inspectConversion(
  connection: Connection,
  rows: ProjectedRows,
  from: Column,
  to: Column,
  isStrict: boolean,
): ConversionFinding {
  const fitting = fittingTypes(to, isStrict).map((type) => `'${type}'`);
  const isUnfit = `typeof(new) NOT IN (${fitting.join(", ")})`;
  const lossy = { rows: 0, sampleRowids: [] as string[] };
  const unfit = { rows: 0, sampleRowids: [] as string[] };
  const isHarmless = isStrict && to.type === "BLOB" ? "typeof(v) IN ('null', 'blob')" : IS_HARMLESS[to.affinity];
  connection.exec(`CREATE TEMP TABLE ${PROBE_NAME} (key, old, new ${to.affinity})`);
  try {
    const value = rows.sourceColumn(from.name);
    for (const batch of rows.batches(BATCH_ROWS)) {
      connection.exec(
        `INSERT INTO ${PROBE} SELECT key, v, v FROM ` +
          `(SELECT ${rows.key} AS key, ${value} AS v FROM ${rows.source} WHERE ${batch}) WHERE NOT (${isHarmless})`,
      );
      collect(connection, lossy, IS_LOSSY);
      collect(connection, unfit, isUnfit);
      connection.exec(`DELETE FROM ${PROBE}`);
    }
  } finally {
    connection.exec(`DROP TABLE ${PROBE}`);
  }
  return { lossy, unfit };
}

/**
 * Whether values of a column that differ may become equal in its new form: NULLs that are replaced, or values that are
 * converted. Values of one storage class that all come out as they went in cannot.
 */
export function mayMergeValues(connection: Connection, rows: ProjectedRows, from: Column, to: Column): boolean {
  if (isBackfilled(from, to) && rows.findNulls(from.name).rows > 0) return true;
  if (from.affinity === to.affinity || to.affinity === "BLOB") return false;
  const values = `SELECT ${rows.sourceColumn(from.name)} AS v FROM ${rows.source}`;
  const isSafe = `count(DISTINCT nullif(typeof(v), 'null')) <= 1 AND ifnull(min(${IS_HARMLESS[to.affinity]}), 1)`;
  return connection.prepare<[], number>(`SELECT ${isSafe} FROM (${values})`).pluck().get() !== 1;
}

function collect(connection: Connection, into: { rows: number; sampleRowids: string[] }, condition: string): void {
  const rows = connection.prepare<[], number>(`SELECT count(*) FROM ${PROBE} WHERE ${condition}`).pluck().get() ?? 0;
  into.rows += rows;
  const missing = MAX_SAMPLES - into.sampleRowids.length;
  if (rows === 0 || missing <= 0) return;
  const samples = connection.prepare<[], string>(
    `SELECT CAST(key AS TEXT) FROM ${PROBE} WHERE ${condition} LIMIT ${missing}`,
  );
  into.sampleRowids.push(...samples.pluck().all());
}
