import fc from "fast-check";

/** Random schemas over a fixed set of table and column names, so that two of them have much in common. */
export interface RandomTable {
  readonly name: string;
  readonly key: "none" | "integer" | "autoincrement" | "text" | "without rowid";
  readonly columns: readonly RandomColumn[];
  readonly checkName: string | undefined;
  readonly isStrict: boolean;
  readonly hasForeignKey: boolean;
  readonly indexes: readonly { column: number; isPartial: boolean; isDescending: boolean }[];
  readonly hasTrigger: boolean;
  readonly hasView: boolean;
}

export interface RandomColumn {
  readonly name: string;
  readonly type: "INTEGER" | "TEXT" | "REAL" | "BLOB" | "VARCHAR(9)" | "";
  readonly isNotNull: boolean;
  readonly defaultValue: string | undefined;
  readonly collation: "NOCASE" | undefined;
}

const COLUMN_NAMES = ["a", "b b", "order", 'q"q', "É"];

const column = (name: string): fc.Arbitrary<RandomColumn> =>
  fc.record({
    name: fc.constant(name),
    type: fc.constantFrom("INTEGER", "TEXT", "REAL", "BLOB", "VARCHAR(9)", ""),
    isNotNull: fc.boolean(),
    defaultValue: fc.constantFrom(undefined, "0", "'x'", "-1", "(1 + 1)", "NULL"),
    collation: fc.constantFrom(undefined, undefined, "NOCASE"),
  });

const table = (name: string): fc.Arbitrary<RandomTable> =>
  fc.record({
    name: fc.constant(name),
    key: fc.constantFrom("none", "integer", "autoincrement", "text", "without rowid"),
    columns: fc
      .shuffledSubarray(COLUMN_NAMES, { minLength: 1 })
      .chain((names) => fc.tuple(...names.map(column)) as fc.Arbitrary<RandomColumn[]>),
    checkName: fc.constantFrom(undefined, "sound", "", "sane"),
    isStrict: fc.nat(4).map((n) => n === 0),
    hasForeignKey: fc.boolean(),
    indexes: fc.array(fc.record({ column: fc.nat(4), isPartial: fc.boolean(), isDescending: fc.boolean() }), {
      maxLength: 2,
    }),
    hasTrigger: fc.boolean(),
    hasView: fc.boolean(),
  });

/** Two or three tables; the second and third may reference the first. */
export const randomSchema: fc.Arbitrary<readonly RandomTable[]> = fc.tuple(
  table("files"),
  table("kids"),
  table("odd name"),
);

const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;

/** The CREATE statements of a random schema. Every table has the key column `id`. */
export function schemaSql(tables: readonly RandomTable[]): string {
  return tables.flatMap((one) => [tableSql(one, tables), ...dependentsSql(one)]).join("\n");
}

function tableSql(table: RandomTable, tables: readonly RandomTable[]): string {
  const { key } = table;
  const isInteger = key === "integer" || key === "autoincrement";
  const id = {
    none: `id ${table.isStrict ? "ANY" : ""}`,
    integer: "id INTEGER PRIMARY KEY",
    autoincrement: "id INTEGER PRIMARY KEY AUTOINCREMENT",
    text: "id TEXT PRIMARY KEY NOT NULL",
    "without rowid": "id TEXT PRIMARY KEY NOT NULL",
  }[key];
  const [first] = tables;
  const parent =
    first !== undefined && table !== first && table.hasForeignKey && first.key !== "none" ? first : undefined;
  const definitions = [
    id,
    ...table.columns.map((one) => columnSql(one, table.isStrict)),
    ...(table.checkName === undefined ? [] : [checkSql(table.checkName, isInteger)]),
    ...(parent === undefined ? [] : [`FOREIGN KEY (id) REFERENCES ${quote(parent.name)} ON DELETE CASCADE`]),
  ];
  const options = [...(table.isStrict ? ["STRICT"] : []), ...(key === "without rowid" ? ["WITHOUT ROWID"] : [])];
  return `CREATE TABLE ${quote(table.name)} (${definitions.join(", ")}) ${options.join(", ")};`;
}

function columnSql({ name, type, isNotNull, defaultValue, collation }: RandomColumn, isStrict: boolean): string {
  const declared = isStrict ? "ANY" : type;
  const isFilled = defaultValue !== undefined && defaultValue !== "NULL";
  return [
    quote(name),
    declared,
    isNotNull && isFilled ? "NOT NULL" : "",
    defaultValue === undefined ? "" : `DEFAULT ${defaultValue}`,
    collation === undefined ? "" : `COLLATE ${collation}`,
  ]
    .filter((part) => part !== "")
    .join(" ");
}

/** Holds for every row that the test inserts, whatever type the column has. */
function checkSql(name: string, isInteger: boolean): string {
  const check = isInteger ? "CHECK (id <> 123456789)" : "CHECK (id <> 'never')";
  return name === "" ? check : `CONSTRAINT ${name} ${check}`;
}

function dependentsSql({ name, columns, indexes, hasTrigger, hasView }: RandomTable): string[] {
  const [first] = columns;
  const at = (index: number) => columns[index % columns.length]?.name ?? "id";
  return [
    ...indexes.map(
      ({ column: index, isPartial, isDescending }, position) =>
        `CREATE INDEX ${quote(`${name} ${position}`)} ON ${quote(name)} (${quote(at(index))} ${isDescending ? "DESC" : ""})` +
        `${isPartial ? ` WHERE ${quote(at(index + 1))} IS NOT NULL` : ""};`,
    ),
    ...(hasTrigger
      ? [
          `CREATE TRIGGER ${quote(`on ${name}`)} AFTER INSERT ON ${quote(name)} BEGIN UPDATE ${quote(name)} SET ${quote(first?.name ?? "id")} = ${quote(first?.name ?? "id")} WHERE 0; END;`,
        ]
      : []),
    ...(hasView
      ? [`CREATE VIEW ${quote(`of ${name}`)} AS SELECT id, ${quote(first?.name ?? "id")} FROM ${quote(name)};`]
      : []),
  ];
}

/** Values of every storage class, as SQL. */
export const randomValue = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -99, max: 99 }).map(String) },
  { weight: 3, arbitrary: fc.constantFrom("'x'", "'007'", "'1.5'", "''", "'é'", "'12abc'", "'A'", "'5'") },
  { weight: 2, arbitrary: fc.constantFrom("1.5", "-0.0", "9e999", "9007199254740993", "-9223372036854775808", "1e20") },
  { weight: 1, arbitrary: fc.constantFrom("x'00ff'", "x''") },
  { weight: 2, arbitrary: fc.constant("NULL") },
);
