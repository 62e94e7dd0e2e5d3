import type { DriverClient } from "../../client/client.js";
import type { Column, Row } from "../../client/messages.js";
import type { Config } from "../../config/config.js";
import { DriverError } from "../../errors.js";
import { ExitCode } from "../exit-code.js";
import { formatTable } from "../table.js";
import { type Terminal, write } from "../terminal.js";
import type { CommandContext } from "./command-context.js";
import { connect } from "./connection.js";
import { formatCell, integerToJson, parseParameter, rowToJson, uniqueNames } from "./sql-result.js";

/** What a statement answers; rows come as they arrive. */
interface SqlResult {
  readonly columns: readonly Column[];
  readonly rows: AsyncIterable<readonly Row[]>;
  /** What the statement changed; not set for one that only reads. */
  readonly change?: Change;
}

interface Change {
  readonly affectedRows: bigint;
  readonly lastInsertRowid?: bigint | undefined;
  /** True when the driver left rows out. */
  readonly truncated: boolean;
}

/** `sql STATEMENT`: runs one statement and prints what it answers, as a table or as one JSON document. */
export async function runSql(
  sql: string,
  parameters: readonly string[],
  config: Config,
  isJson: boolean,
  { terminal, signal }: CommandContext,
): Promise<number> {
  const values = parameters.map(parseParameter);
  const client = connect(config);
  try {
    const result = await runStatement(client, { sql, parameters: values }, signal);
    await (isJson ? printJson(result, terminal) : printTable(result, terminal));
    return ExitCode.OK;
  } finally {
    client.close();
  }
}

type StatementRequest = Parameters<DriverClient["query"]>[0] & Parameters<DriverClient["execute"]>[0];

/** Streams the rows of a statement that reads, however many; one that writes is refused by `Query` unrun, and executed. */
async function runStatement(client: DriverClient, request: StatementRequest, signal: AbortSignal): Promise<SqlResult> {
  const messages = client.query(request, { signal })[Symbol.asyncIterator]();
  try {
    const first = await messages.next();
    return { columns: first.done === true ? [] : first.value.columns, rows: restOf(first, messages) };
  } catch (error) {
    if (!(error instanceof DriverError) || error.reason !== "STATEMENT_NOT_ALLOWED") throw error;
  }
  const { columns, rows, ...change } = await client.execute(request, { signal });
  return { columns, rows: only(rows), change };
}

type Messages = AsyncIterator<{ readonly rows: readonly Row[] }>;

async function* restOf(
  first: Awaited<ReturnType<Messages["next"]>>,
  messages: Messages,
): AsyncIterable<readonly Row[]> {
  for (let next = first; next.done !== true; next = await messages.next()) yield next.value.rows;
}

async function* only<T>(value: T): AsyncIterable<T> {
  yield value;
}

async function printJson({ columns, rows, change }: SqlResult, { stdout }: Terminal): Promise<void> {
  const names = uniqueNames(columns);
  await write(stdout, `{"columns":${JSON.stringify(names)},"rows":[`);
  let separator = "\n";
  for await (const batch of rows) {
    if (batch.length === 0) continue;
    await write(stdout, separator + batch.map((row) => rowToJson(names, row)).join(",\n"));
    separator = ",\n";
  }
  const rest = {
    affected_rows: integerToJson(change?.affectedRows ?? 0n),
    last_insert_rowid: change?.lastInsertRowid === undefined ? null : integerToJson(change.lastInsertRowid),
    truncated: change?.truncated ?? false,
  };
  await write(stdout, `\n],${JSON.stringify(rest).slice(1)}\n`);
}

async function printTable({ columns, rows, change }: SqlResult, { stdout }: Terminal): Promise<void> {
  const all: Row[] = [];
  for await (const batch of rows) all.push(...batch);
  const lines: string[] = [];
  if (columns.length > 0) {
    const head = columns.map(({ name }, index) => ({ name, align: isNumeric(all, index) ? "right" : "left" }) as const);
    lines.push(
      formatTable(
        head,
        all.map((row) => row.values.map(formatCell)),
        stdout.isTTY === true,
      ),
    );
    const more = change?.truncated === true ? ", and more that the driver left out" : "";
    lines.push(`${plural(BigInt(all.length), "row")}${more}`);
  }
  if (change !== undefined && columns.length === 0) {
    const rowid = change.lastInsertRowid === undefined ? "" : `, last insert rowid ${change.lastInsertRowid}`;
    lines.push(`${plural(change.affectedRows, "row")} affected${rowid}`);
  }
  await write(stdout, `${lines.join("\n")}\n`);
}

/** True when the column has numbers in it and nothing else but NULL. */
function isNumeric(rows: readonly Row[], index: number): boolean {
  const kinds = new Set(rows.map((row) => row.values[index]?.kind.case));
  return !kinds.has("textValue") && !kinds.has("blobValue") && (kinds.has("integerValue") || kinds.has("realValue"));
}

function plural(count: bigint, noun: string): string {
  return `${count} ${noun}${count === 1n ? "" : "s"}`;
}
