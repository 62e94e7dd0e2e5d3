import {
  type ColumnDefinition,
  type CreateTableRequest,
  type ForeignKey,
  ForeignKeyAction,
} from "../../../gen/code_analysis/driver/v1/schema_pb.js";
import type { Value } from "../../../gen/code_analysis/driver/v1/value_pb.js";
import { DriverError } from "../../errors.js";
import { foldName, inMain, quoteIdentifier, quoteText } from "../../sqlite/identifiers.js";
import { bindable } from "./sql.js";

/** Beginnings of names that a client may not give to a table, and whose they are. */
const RESERVED_PREFIXES: Readonly<Record<string, string>> = { sqlite_: "SQLite", temp_: "migrations" };

const COLLATIONS = new Set(["binary", "nocase", "rtrim"]);

/** Words and at most two numbers in parentheses (https://sqlite.org/syntax/type-name.html). */
const TYPE_PATTERN = /^[\p{L}_][\p{L}\p{N}_]*(?: +[\p{L}_][\p{L}\p{N}_]*)*(?: *\( *[+-]?\d+ *(?:, *[+-]?\d+ *)?\))?$/u;

const FOREIGN_KEY_ACTIONS: Readonly<Partial<Record<ForeignKeyAction, string>>> = {
  [ForeignKeyAction.UNSPECIFIED]: "NO ACTION",
  [ForeignKeyAction.NO_ACTION]: "NO ACTION",
  [ForeignKeyAction.RESTRICT]: "RESTRICT",
  [ForeignKeyAction.SET_NULL]: "SET NULL",
  [ForeignKeyAction.SET_DEFAULT]: "SET DEFAULT",
  [ForeignKeyAction.CASCADE]: "CASCADE",
};

/**
 * The CREATE TABLE statement of a request. Names are quoted and constants written as literals; the expressions are the client's,
 * and none can end before the parenthesis that is put around it. A type could still hold words that SQLite takes for a
 * constraint, `TEXT UNIQUE`: compare the columns of the table that resulted.
 *
 * @throws DriverError `INVALID_REQUEST` naming the field that is at fault.
 */
export function createTableSql(request: CreateTableRequest): string {
  const { table, columns, primaryKey, isAutoincrement, uniqueConstraints, checks, foreignKeys } = request;
  assertTableName(table);
  if (columns.length === 0) refuse("A table has at least one column.", "columns");
  const names = new ColumnNames(columns);
  if (isAutoincrement && !isRowidKey(request)) {
    refuse("Only a primary key of one INTEGER column can be AUTOINCREMENT.", "is_autoincrement");
  }
  if (request.withoutRowid && primaryKey.length === 0) {
    refuse("A table without rowid needs a primary key.", "without_rowid");
  }
  const parts = columns.map((column, index) => columnSql(column, `columns[${index}]`));
  if (primaryKey.length > 0) {
    const key = names.list(primaryKey, "primary_key");
    parts.push(`PRIMARY KEY (${key}${isAutoincrement ? " AUTOINCREMENT" : ""})`);
  }
  for (const [index, unique] of uniqueConstraints.entries()) {
    parts.push(`UNIQUE (${names.list(unique.columns, `unique_constraints[${index}].columns`)})`);
  }
  for (const [index, check] of checks.entries()) parts.push(`CHECK ${expressionSql(check, `checks[${index}]`)}`);
  for (const [index, foreignKey] of foreignKeys.entries()) {
    parts.push(foreignKeySql(foreignKey, names, `foreign_keys[${index}]`));
  }
  const options = [request.withoutRowid ? "WITHOUT ROWID" : "", request.isStrict ? "STRICT" : ""].filter(Boolean);
  return `CREATE TABLE ${inMain(table)} (\n  ${parts.join(",\n  ")}\n) ${options.join(", ")}`.trimEnd();
}

/**
 * A client's expression in parentheses that it cannot leave: every quote is closed, no parenthesis closes one of ours, and there
 * is neither comment nor semicolon. SQLite's grammar then takes it for one expression or refuses it.
 *
 * @throws DriverError `INVALID_REQUEST` naming `field`.
 */
export function expressionSql(expression: string, field: string): string {
  // A doubled quote inside quotes counts as two strings in a row: where they begin and end comes to the same.
  const tokens = /'[^']*'|"[^"]*"|`[^`]*`|\[[^\]]*\]|--|\/\*|[()'"`[;\0]/g;
  let depth = 0;
  for (const [token] of expression.matchAll(tokens)) {
    if (token === "(") depth++;
    else if (token === ")") depth--;
    else if (token.length < 2 || token === "--" || token === "/*") {
      refuse(
        `The expression holds ${JSON.stringify(token)}, an open quote, a comment or the end of a statement.`,
        field,
      );
    }
    if (depth < 0) break;
  }
  if (depth !== 0) refuse("The parentheses of the expression do not match.", field);
  if (expression.trim() === "") refuse("The expression is empty.", field);
  return `(${expression})`;
}

function assertTableName(name: string): void {
  assertName(name, "table");
  const folded = foldName(name);
  for (const [prefix, owner] of Object.entries(RESERVED_PREFIXES)) {
    if (folded.startsWith(prefix)) refuse(`Names that begin with ${prefix} belong to ${owner}.`, "table");
  }
}

function assertName(name: string, field: string): void {
  if (name === "") refuse("The name is empty.", field);
  if (name.includes("\0")) refuse("The name holds a NUL character.", field);
}

/** The columns that are defined, to look up those that keys name. */
class ColumnNames {
  readonly #names = new Set<string>();

  constructor(columns: readonly ColumnDefinition[]) {
    for (const [index, { name }] of columns.entries()) {
      const field = `columns[${index}].name`;
      assertName(name, field);
      if (this.#names.has(foldName(name))) refuse(`The column ${name} is defined twice.`, field);
      this.#names.add(foldName(name));
    }
  }

  /** A list of columns of a key, quoted. */
  list(columns: readonly string[], field: string): string {
    if (columns.length === 0) refuse("A key has at least one column.", field);
    const seen = new Set<string>();
    for (const [index, name] of columns.entries()) {
      const folded = foldName(name);
      if (!this.#names.has(folded)) refuse(`The column ${JSON.stringify(name)} is not defined.`, `${field}[${index}]`);
      if (seen.has(folded)) refuse(`The column ${name} is in the key twice.`, `${field}[${index}]`);
      seen.add(folded);
    }
    return columns.map(quoteIdentifier).join(", ");
  }
}

function isRowidKey({ columns, primaryKey, withoutRowid }: CreateTableRequest): boolean {
  const [key, ...others] = primaryKey;
  if (key === undefined || others.length > 0 || withoutRowid) return false;
  return columns.some(({ name, type }) => foldName(name) === foldName(key) && foldName(type) === "integer");
}

function columnSql(column: ColumnDefinition, field: string): string {
  const { name, type, isNotNull, collation } = column;
  const words = [quoteIdentifier(name)];
  if (type !== "" && !TYPE_PATTERN.test(type)) refuse(`${JSON.stringify(type)} is no type.`, `${field}.type`);
  if (type !== "") words.push(type);
  if (isNotNull) words.push("NOT NULL");
  const defaultSql = defaultClause(column, field);
  if (defaultSql !== "") words.push(defaultSql);
  if (collation !== "") {
    if (!COLLATIONS.has(foldName(collation))) refuse(`There is no collation ${collation}.`, `${field}.collation`);
    words.push(`COLLATE ${collation.toUpperCase()}`);
  }
  return words.join(" ");
}

function defaultClause({ default: given }: ColumnDefinition, field: string): string {
  switch (given.case) {
    case "defaultValue":
      return `DEFAULT ${literal(given.value, `${field}.default_value`)}`;
    case "defaultExpression":
      return `DEFAULT ${expressionSql(given.value, `${field}.default_expression`)}`;
    case undefined:
      return "";
  }
}

/** A constant as SQL text that SQLite reads as exactly this value. */
function literal(value: Value, field: string): string {
  const constant = bindable(value, field);
  if (constant === null) return "NULL";
  if (typeof constant === "bigint") return constant.toString();
  if (typeof constant === "number") return realLiteral(constant, field);
  if (typeof constant !== "string") return `x'${constant.toString("hex")}'`;
  // SQL text ends at a NUL.
  if (constant.includes("\0")) return `(CAST(x'${Buffer.from(constant).toString("hex")}' AS TEXT))`;
  return quoteText(constant);
}

function realLiteral(value: number, field: string): string {
  if (Number.isNaN(value)) refuse("SQLite has no NaN.", field);
  if (!Number.isFinite(value)) return value > 0 ? "9e999" : "-9e999";
  if (Object.is(value, -0)) return "-0.0";
  const digits = String(value);
  return /[.e]/.test(digits) ? digits : `${digits}.0`;
}

function foreignKeySql(foreignKey: ForeignKey, names: ColumnNames, field: string): string {
  const { columns, referencedTable, referencedColumns } = foreignKey;
  const own = names.list(columns, `${field}.columns`);
  assertName(referencedTable, `${field}.referenced_table`);
  if (referencedColumns.length > 0 && referencedColumns.length !== columns.length) {
    refuse(`${columns.length} columns cannot reference ${referencedColumns.length}.`, `${field}.referenced_columns`);
  }
  for (const [index, name] of referencedColumns.entries()) assertName(name, `${field}.referenced_columns[${index}]`);
  const referenced = referencedColumns.length === 0 ? "" : ` (${referencedColumns.map(quoteIdentifier).join(", ")})`;
  const onDelete = actionSql(foreignKey.onDelete, `${field}.on_delete`);
  const onUpdate = actionSql(foreignKey.onUpdate, `${field}.on_update`);
  const deferred = foreignKey.isDeferred ? " DEFERRABLE INITIALLY DEFERRED" : "";
  const target = `${quoteIdentifier(referencedTable)}${referenced}`;
  return `FOREIGN KEY (${own}) REFERENCES ${target} ON DELETE ${onDelete} ON UPDATE ${onUpdate}${deferred}`;
}

function actionSql(action: ForeignKeyAction, field: string): string {
  return FOREIGN_KEY_ACTIONS[action] ?? refuse("The action is not known.", field);
}

function refuse(message: string, field: string): never {
  throw new DriverError("INVALID_REQUEST", message, { field });
}
