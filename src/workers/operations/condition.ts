import {
  type Comparison,
  ComparisonOperator,
  type Condition,
  type ConditionList,
  type Membership,
} from "../../../gen/code_analysis/driver/v1/table_pb.js";
import type { Value } from "../../../gen/code_analysis/driver/v1/value_pb.js";
import { DriverError } from "../../errors.js";
import { quoteIdentifier } from "../../sqlite/identifiers.js";
import type { SqliteValue } from "../wire-writer.js";
import { type LiveTable, requireColumn } from "./live-table.js";
import { bindable } from "./sql.js";

/** Part of a statement: its text and the values of the `?` in it, in order. */
export interface SqlFragment {
  readonly sql: string;
  readonly values: readonly SqliteValue[];
}

const MAX_DEPTH = 64;
/** With the depth above, the expression stays below the 1000 levels that SQLite takes (https://sqlite.org/limits.html). */
const MAX_CONDITIONS = 10_000;
/** SQLite binds 32766 at most; an UPDATE of a table with all 2000 columns needs its share. */
const MAX_VALUES = 30_000;

const OPERATORS: Readonly<Partial<Record<ComparisonOperator, string>>> = {
  [ComparisonOperator.EQUAL]: "=",
  [ComparisonOperator.NOT_EQUAL]: "<>",
  [ComparisonOperator.LESS]: "<",
  [ComparisonOperator.LESS_OR_EQUAL]: "<=",
  [ComparisonOperator.GREATER]: ">",
  [ComparisonOperator.GREATER_OR_EQUAL]: ">=",
  [ComparisonOperator.LIKE]: "LIKE",
  [ComparisonOperator.GLOB]: "GLOB",
};

/**
 * A condition over the columns of `table` as an SQL expression; names are quoted, values are bound.
 *
 * @throws DriverError `INVALID_REQUEST` naming the part of `field` that is at fault, or `LIMIT_EXCEEDED` for a condition with too
 *   many parts.
 */
export function conditionSql(table: LiveTable, condition: Condition, field: string): SqlFragment {
  return new ConditionWriter(table).write(condition, field);
}

class ConditionWriter {
  readonly #table: LiveTable;
  readonly #values: SqliteValue[] = [];
  #conditionCount = 0;

  constructor(table: LiveTable) {
    this.#table = table;
  }

  write(condition: Condition, field: string): SqlFragment {
    const sql = this.#condition(condition, field, 1);
    return { sql, values: this.#values };
  }

  #condition({ kind }: Condition, field: string, depth: number): string {
    if (depth > MAX_DEPTH) refuse(`The condition is deeper than ${MAX_DEPTH}.`, field);
    if (++this.#conditionCount > MAX_CONDITIONS) tooMany(`more than ${MAX_CONDITIONS} parts`, field);
    switch (kind.case) {
      case "comparison":
        return this.#comparison(kind.value, `${field}.comparison`);
      case "membership":
        return this.#membership(kind.value, `${field}.membership`);
      case "nullTest":
        return `${this.#column(kind.value.column, `${field}.null_test`)} IS NULL`;
      case "allOf":
        return this.#list(kind.value, "AND", `${field}.all_of`, depth);
      case "anyOf":
        return this.#list(kind.value, "OR", `${field}.any_of`, depth);
      case "negation":
        return `NOT (${this.#condition(kind.value, `${field}.negation`, depth + 1)})`;
      case undefined:
        return refuse("The condition is empty.", field);
    }
  }

  #comparison({ column, operator, value }: Comparison, field: string): string {
    const name = this.#column(column, field);
    const symbol = OPERATORS[operator];
    if (symbol === undefined) refuse("The comparison has no operator that is known.", `${field}.operator`);
    return `${name} ${symbol} ${this.#value(value, `${field}.value`)}`;
  }

  #membership({ column, values }: Membership, field: string): string {
    const name = this.#column(column, field);
    const placeholders = values.map((value, index) => this.#value(value, `${field}.values[${index}]`));
    return `${name} IN (${placeholders.join(",")})`;
  }

  #list({ conditions }: ConditionList, operator: "AND" | "OR", field: string, depth: number): string {
    if (conditions.length === 0) refuse("The list of conditions is empty.", field);
    const parts = conditions.map((part, index) => this.#condition(part, `${field}.conditions[${index}]`, depth + 1));
    return joinBalanced(parts, operator);
  }

  #column(name: string, field: string): string {
    return quoteIdentifier(requireColumn(this.#table, name, `${field}.column`).name);
  }

  #value(value: Value | undefined, field: string): string {
    if (value === undefined) refuse("The value is not set.", field);
    const bound = bindable(value, field);
    // SQLite binds NaN as NULL.
    if (bound === null || Number.isNaN(bound)) refuse("Nothing compares to NULL; use null_test.", field);
    if (this.#values.push(bound) > MAX_VALUES) tooMany(`more than ${MAX_VALUES} values`, field);
    return "?";
  }
}

/** Joins in a tree of least height: in `a AND b AND c …` each part would be one level deeper than the one before. */
function joinBalanced(parts: readonly string[], operator: string): string {
  if (parts.length === 1) return `(${parts[0]})`;
  const middle = parts.length >> 1;
  return `(${joinBalanced(parts.slice(0, middle), operator)} ${operator} ${joinBalanced(parts.slice(middle), operator)})`;
}

function refuse(message: string, field: string): never {
  throw new DriverError("INVALID_REQUEST", message, { field });
}

function tooMany(what: string, field: string): never {
  throw new DriverError("LIMIT_EXCEEDED", `The condition has ${what}.`, { field });
}
