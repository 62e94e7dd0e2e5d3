import Table from "cli-table3";
import { toPrintable } from "./terminal.js";

/** A column of a table on the screen. */
export interface TableColumn {
  readonly name: string;
  readonly align: "left" | "right";
}

/** On a terminal, longer cells are cut, so that one text does not push all others off the screen. */
const MAX_CELL_CHARACTERS = 100;

/** A table with a frame. `isCut` shortens long cells to their beginning and "…". */
export function formatTable(
  columns: readonly TableColumn[],
  rows: readonly (readonly string[])[],
  isCut: boolean,
): string {
  const table = new Table({
    head: columns.map(({ name }) => toPrintable(name)),
    colAligns: columns.map(({ align }) => align),
    style: { head: [], border: [], compact: true },
  });
  for (const row of rows) table.push(row.map((cell) => cutCell(toPrintable(cell), isCut)));
  return table.toString();
}

function cutCell(text: string, isCut: boolean): string {
  if (!isCut) return text;
  const [line = "", ...others] = text.split("\n");
  const isLong = line.length > MAX_CELL_CHARACTERS;
  return isLong || others.length > 0 ? `${line.slice(0, MAX_CELL_CHARACTERS)}…` : line;
}
