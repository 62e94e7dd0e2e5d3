/** The scenario file; test/conformance/README.md defines it. */
import type { CallOptions, ComparisonOperator, ConflictAction, DriverClient } from "code-analysis-driver";

export interface Statement {
  readonly sql: string;
  readonly parameters?: readonly string[];
  readonly named?: Readonly<Record<string, string>>;
}

export interface Where {
  readonly column: string;
  readonly operator: keyof typeof ComparisonOperator;
  readonly value: string;
}

/** One call with its arguments; which of them a call has follows from its name. */
export interface Step extends Statement {
  readonly call: string;
  readonly timeout_ms?: number;
  readonly max_rows?: number;
  readonly request_id?: string;
  readonly cancel_after?: number;
  readonly statements: readonly Statement[];
  readonly as: string;
  readonly in?: string;
  readonly ttl_ms?: number;
  readonly table: string;
  readonly columns?: readonly string[];
  readonly rows: readonly (readonly string[])[];
  readonly on_conflict?: keyof typeof ConflictAction;
  readonly set: Readonly<Record<string, string>>;
  readonly where?: Where;
  readonly order_by?: string;
  readonly limit?: number;
  readonly project: string;
  readonly id?: string;
  readonly root: string;
  readonly path: string;
  readonly force?: boolean;
  readonly query: string;
}

export interface Case {
  readonly name: string;
  readonly steps: readonly Step[];
  readonly expect: readonly string[];
}

/** What a step runs in. */
export interface Context {
  readonly driver: DriverClient;
  readonly source: string;
  /** Ids of transactions by the names that the case gives them. */
  readonly transactions: Map<string, string>;
}

/** Makes the call of a step and answers lines of the report. */
export type Call = (step: Step, context: Context, options: CallOptions) => Promise<string[]>;
