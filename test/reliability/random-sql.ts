import type { SqlValue } from "../../src/client/values.js";
import type { Random } from "../support/random.js";

/** AUTOINCREMENT: without it SQLite picks ids at random once the largest is taken. */
export const SCHEMA = `
  CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, i INTEGER, r REAL, t TEXT, b BLOB, x);
  CREATE TABLE c (k TEXT UNIQUE, a INTEGER REFERENCES a (id) ON DELETE CASCADE, n INTEGER NOT NULL DEFAULT 7 CHECK (n <> 13));
  CREATE INDEX a_t ON a (t COLLATE NOCASE);
  CREATE VIEW v AS SELECT a.id, a.t, c.k FROM a LEFT JOIN c ON c.a = a.id;
`;
export const TABLE_NAMES = ["a", "c"];

const COLUMNS: Readonly<Record<string, readonly string[]>> = {
  a: ["id", "i", "r", "t", "b", "x"],
  c: ["k", "a", "n"],
  v: ["id", "t", "k"],
};

const VALUES: readonly SqlValue[] = [
  null,
  ...[0, 1, -1, 2, 7, 13, 100, 2 ** 31, 2 ** 53 - 1],
  ...[2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n + 1n],
  ...[0.5, -0, 1e308, 5e-324, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  ...["", "a", "A", "ab", "äöü", "a\0b", "😀", "12", "1e3", " 1", "x".repeat(300), "%a_"],
  ...[new Uint8Array(), Buffer.of(0, 255), Buffer.from("text")],
];

const LITERALS = [
  "NULL",
  "0",
  "1",
  "-1",
  "13",
  "9223372036854775807",
  "1.5",
  "'a'",
  "''",
  "x'00ff'",
  "'12abc'",
  "1e400",
];
const BINARY = [
  "+",
  "-",
  "*",
  "/",
  "%",
  "||",
  "=",
  "<>",
  "<",
  ">=",
  "AND",
  "OR",
  "IS",
  "IS NOT",
  "&",
  "<<",
  "LIKE",
  "GLOB",
];
const UNARY = ["-", "~", "NOT", "+"];
const FUNCTIONS: Readonly<Record<string, number>> = {
  ...{
    abs: 1,
    length: 1,
    upper: 1,
    lower: 1,
    hex: 1,
    quote: 1,
    typeof: 1,
    unicode: 1,
    trim: 1,
    round: 1,
    json_quote: 1,
  },
  ...{ coalesce: 2, nullif: 2, instr: 2, ifnull: 2, max: 2, min: 2, substr: 3, replace: 3, iif: 3, printf: 2, char: 2 },
};
const AGGREGATES = ["count", "sum", "total", "avg", "min", "max", "group_concat"];
const COLLATIONS = ["BINARY", "NOCASE", "RTRIM"];
const MAX_DEPTH = 3;

/** Statements that mostly compile and often fail, each of which has one answer: every result has an order. */
export class RandomSql {
  readonly #random: Random;
  #parameters: SqlValue[] = [];

  constructor(random: Random) {
    this.#random = random;
  }

  select(): { readonly sql: string; readonly parameters: readonly SqlValue[] } {
    return this.#statement(() => (this.#random.chance(0.2) ? this.#aggregate() : this.#rows()));
  }

  write(): { readonly sql: string; readonly parameters: readonly SqlValue[] } {
    return this.#statement(() => {
      const table = this.#random.pick(TABLE_NAMES);
      const columns = COLUMNS[table] ?? [];
      const returning = this.#random.chance(0.3) ? ` RETURNING ${columns.join(", ")}` : "";
      const action = this.#random.pick(["", "OR IGNORE ", "OR REPLACE ", "OR ABORT "]);
      const where = `WHERE ${this.#expression(columns, 1)}`;
      switch (this.#random.below(8)) {
        case 0:
          return `DELETE FROM ${table} WHERE ${this.#random.pick(columns)} = ${this.#value()}${returning}`;
        case 1:
        case 2:
          return `UPDATE ${action}${table} SET ${this.#random.pick(columns)} = ${this.#expression(columns, 1)} ${where}${returning}`;
        case 3:
          return `INSERT INTO ${table} (${columns.join(", ")}) VALUES (${columns.map(() => this.#value()).join(", ")}) ON CONFLICT DO NOTHING${returning}`;
        default: {
          const some = columns.filter(() => this.#random.chance(0.7));
          const chosen = some.length === 0 ? columns : some;
          return `INSERT ${action}INTO ${table} (${chosen.join(", ")}) VALUES (${chosen.map(() => this.#value()).join(", ")})${returning}`;
        }
      }
    });
  }

  #statement(make: () => string): { readonly sql: string; readonly parameters: readonly SqlValue[] } {
    this.#parameters = [];
    return { sql: make(), parameters: this.#parameters };
  }

  #rows(): string {
    const table = this.#random.pick(Object.keys(COLUMNS));
    const columns = COLUMNS[table] ?? [];
    const results = Array.from({ length: 1 + this.#random.below(4) }, () => this.#expression(columns, 0));
    const where = this.#random.chance(0.6) ? ` WHERE ${this.#expression(columns, 0)}` : "";
    // Rows that are equal in all results may come in any order.
    const order = results.map((_, index) => `${index + 1}`).join(", ");
    const distinct = this.#random.chance(0.2) ? "DISTINCT " : "";
    return `SELECT ${distinct}${results.join(", ")} FROM ${table}${where} ORDER BY ${order} LIMIT ${this.#random.below(50)}`;
  }

  #aggregate(): string {
    const table = this.#random.pick(TABLE_NAMES);
    const columns = COLUMNS[table] ?? [];
    const key = this.#random.pick(columns);
    const results = Array.from({ length: 2 }, () => `${this.#random.pick(AGGREGATES)}(${this.#random.pick(columns)})`);
    return `SELECT ${key}, ${results.join(", ")} FROM ${table} GROUP BY ${key} ORDER BY ${key}`;
  }

  #expression(columns: readonly string[], depth: number): string {
    const choice = depth >= MAX_DEPTH ? this.#random.below(3) : this.#random.below(9);
    const inner = (): string => this.#expression(columns, depth + 1);
    switch (choice) {
      case 0:
        return this.#random.pick(columns);
      case 1:
        return this.#value();
      case 2:
        return this.#random.pick(LITERALS);
      case 3:
      case 4:
        return `(${inner()} ${this.#random.pick(BINARY)} ${inner()})`;
      case 5:
        return `(${this.#random.pick(UNARY)} ${inner()})`;
      case 6: {
        const [name = "", count = 0] = this.#random.pick(Object.entries(FUNCTIONS));
        return `${name}(${Array.from({ length: count }, inner).join(", ")})`;
      }
      case 7:
        return `CASE WHEN ${inner()} THEN ${inner()} ELSE ${inner()} END`;
      default:
        return this.#random.chance(0.5)
          ? `CAST(${inner()} AS ${this.#random.pick(["INTEGER", "REAL", "TEXT", "BLOB", "NUMERIC"])})`
          : `(${inner()} COLLATE ${this.#random.pick(COLLATIONS)})`;
    }
  }

  #value(): string {
    this.#parameters.push(this.#random.pick(VALUES));
    return "?";
  }
}
