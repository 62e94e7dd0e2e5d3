import { fromSqliteError } from "../sqlite/errors.js";
import type { Consent, Problem, RowFinding } from "./plan.js";

/** What the rows of a database say about a diff. */
export interface RowReport {
  readonly consents: readonly Omit<Consent, "isAllowed">[];
  readonly problems: readonly Problem[];
  readonly notes: readonly string[];
  /** Folded names of tables that need a rebuild because NULLs are replaced on the way. */
  readonly backfilled: ReadonlySet<string>;
}

/** A report that is being written. */
export type RowFindings = Mutable<RowReport>;

type Mutable<T> = {
  -readonly [K in keyof T]: T[K] extends ReadonlySet<infer U> ? Set<U> : T[K] extends readonly (infer U)[] ? U[] : T[K];
};

/** What cannot be asked in advance is found during the copy, which then is rolled back. */
export function attempt(report: RowFindings, object: string, ask: () => Omit<RowFinding, "message"> | undefined) {
  try {
    return ask();
  } catch (error) {
    report.notes.push(`The rows of ${object} cannot be checked in advance: ${fromSqliteError(error).message}.`);
    return undefined;
  }
}
