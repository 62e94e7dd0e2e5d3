import type { ConflictAction } from "./model.js";
import { keyOf } from "./model.js";
import type { Token } from "./tokens.js";
import { closingIndex, isKeyword, isOperator, nameOf, normalizeSql, splitAtCommas, tokenize } from "./tokens.js";

/**
 * What no PRAGMA tells about a table, read from the CREATE TABLE text that SQLite stores
 * (grammar: https://sqlite.org/lang_createtable.html). The text is known to be valid.
 */
export interface CreateTableText {
  /** In declaration order; the key is the folded column name. */
  readonly columns: ReadonlyMap<string, ColumnText>;
  readonly checks: readonly {
    name: string | undefined;
    expression: string;
    text: string;
    inColumn: string | undefined;
  }[];
  /** In declaration order. */
  readonly foreignKeys: readonly ForeignKeyText[];
  readonly keys: readonly KeyText[];
}

export interface ColumnText {
  readonly definition: string;
  readonly collation: string | undefined;
  readonly notNull: ConflictAction | undefined;
  readonly generated: string | undefined;
}

/** A PRIMARY KEY or UNIQUE constraint. */
export interface KeyText {
  readonly kind: "primary" | "unique";
  /** Folded. */
  readonly columns: readonly string[];
  readonly onConflict: ConflictAction | undefined;
  readonly isAutoincrement: boolean;
}

export interface ForeignKeyText {
  readonly match: string;
  readonly isDeferred: boolean;
  readonly inColumn: string | undefined;
}

interface Draft {
  readonly sql: string;
  readonly table: string;
  readonly columns: Map<string, { -readonly [K in keyof ColumnText]: ColumnText[K] }>;
  readonly checks: CreateTableText["checks"][number][];
  readonly foreignKeys: ForeignKeyText[];
  readonly keys: KeyText[];
}

/** The words that begin a constraint; before the first of them stands the column's name and type. */
const CONSTRAINT_WORDS = new Set(
  "constraint primary not null unique check default collate references generated as deferrable foreign".split(" "),
);
const TABLE_CONSTRAINT_WORDS = ["constraint", "primary", "unique", "check", "foreign"];

/** Reads the stored text `sql` of the table `name`. */
export function parseCreateTable(sql: string, name: string): CreateTableText {
  const tokens = tokenize(sql);
  const open = tokens.findIndex((token) => isOperator(token, "("));
  const draft: Draft = { sql, table: name, columns: new Map(), checks: [], foreignKeys: [], keys: [] };
  for (const item of splitAtCommas(tokens.slice(open + 1, closingIndex(tokens, open) - 1))) {
    if (TABLE_CONSTRAINT_WORDS.some((word) => isKeyword(item[0], word))) readConstraints(draft, item, undefined);
    else readColumn(draft, item);
  }
  return draft;
}

function readColumn(draft: Draft, item: readonly Token[]): void {
  const [first] = item;
  const last = item.at(-1);
  if (first === undefined || last === undefined) return;
  const key = keyOf(nameOf(first));
  draft.columns.set(key, {
    definition: draft.sql.slice(first.start, last.end),
    collation: undefined,
    notNull: undefined,
    generated: undefined,
  });
  const constraints = item.findIndex(
    (token, index) => index > 0 && token.kind === "word" && CONSTRAINT_WORDS.has(token.value),
  );
  if (constraints > 0) readConstraints(draft, item.slice(constraints), key);
}

/** Reads a run of constraints; `inColumn` is undefined for table constraints, which may follow each other without commas. */
function readConstraints(draft: Draft, tokens: readonly Token[], inColumn: string | undefined): void {
  const cursor = new Cursor(tokens);
  const column = inColumn === undefined ? undefined : draft.columns.get(inColumn);
  let name: string | undefined;
  while (!cursor.isAtEnd) {
    if (cursor.take("constraint")) {
      name = cursor.takeName();
      continue;
    }
    if (cursor.take("check")) {
      const body = cursor.takeParentheses();
      draft.checks.push({
        name,
        expression: normalizeSql(body, draft.table),
        text: textOf(draft.sql, body),
        inColumn,
      });
      cursor.takeConflict();
    } else if (cursor.take("not")) {
      if (cursor.take("null") && column !== undefined) column.notNull = cursor.takeConflict() ?? "ABORT";
    } else if (cursor.take("null")) {
      cursor.takeConflict();
    } else if (cursor.take("primary")) {
      cursor.take("key");
      readKey(draft, cursor, "primary", inColumn);
    } else if (cursor.take("unique")) {
      readKey(draft, cursor, "unique", inColumn);
    } else if (cursor.take("default")) {
      if (cursor.takeOperator("+") || cursor.takeOperator("-")) cursor.skip();
      else if (cursor.isAtOperator("(")) cursor.takeParentheses();
      else cursor.skip();
    } else if (cursor.take("collate")) {
      const collation = cursor.takeName();
      if (column !== undefined) column.collation = keyOf(collation);
    } else if (cursor.take("generated")) {
      cursor.take("always");
      continue;
    } else if (cursor.take("as")) {
      const body = cursor.takeParentheses();
      if (column !== undefined) column.generated = normalizeSql(body, draft.table);
      cursor.take("stored");
      cursor.take("virtual");
    } else if (cursor.take("foreign")) {
      cursor.take("key");
      cursor.takeParentheses();
      continue;
    } else if (cursor.take("references")) {
      draft.foreignKeys.push(readReferences(cursor, inColumn));
    } else {
      cursor.skip();
    }
    name = undefined;
  }
}

function readKey(draft: Draft, cursor: Cursor, kind: KeyText["kind"], inColumn: string | undefined): void {
  let columns: string[];
  let isAutoincrement = false;
  if (inColumn === undefined) {
    const body = cursor.takeParentheses();
    // SQLite takes AUTOINCREMENT inside the parentheses of a table constraint.
    isAutoincrement = isKeyword(body.at(-1), "autoincrement");
    columns = splitAtCommas(body).flatMap(([first]) => (first === undefined ? [] : [keyOf(nameOf(first))]));
  } else {
    columns = [inColumn];
    if (!cursor.take("asc")) cursor.take("desc");
  }
  const onConflict = cursor.takeConflict();
  if (cursor.take("autoincrement")) isAutoincrement = true;
  draft.keys.push({ kind, columns, onConflict, isAutoincrement });
}

function readReferences(cursor: Cursor, inColumn: string | undefined): ForeignKeyText {
  cursor.takeName();
  if (cursor.isAtOperator("(")) cursor.takeParentheses();
  let match = "NONE";
  let isDeferred = false;
  for (;;) {
    if (cursor.take("on")) {
      cursor.skip();
      // SET NULL, SET DEFAULT and NO ACTION are two words.
      if (cursor.take("set") || cursor.take("no")) cursor.skip();
      else cursor.skip();
    } else if (cursor.take("match")) {
      match = keyOf(cursor.takeName()).toUpperCase();
    } else if (cursor.isAt("not") && cursor.isAt("deferrable", 1)) {
      cursor.skip();
      readDeferral(cursor);
    } else if (cursor.isAt("deferrable")) {
      isDeferred = readDeferral(cursor);
    } else {
      return { match: match === "SIMPLE" ? "NONE" : match, isDeferred, inColumn };
    }
  }
}

function readDeferral(cursor: Cursor): boolean {
  cursor.take("deferrable");
  if (!cursor.take("initially")) return false;
  if (cursor.take("deferred")) return true;
  cursor.take("immediate");
  return false;
}

const CONFLICT_ACTIONS: readonly ConflictAction[] = ["ROLLBACK", "ABORT", "FAIL", "IGNORE", "REPLACE"];

/** A position in a token list. */
class Cursor {
  readonly #tokens: readonly Token[];
  #at = 0;

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#tokens.length;
  }

  isAt(keyword: string, ahead = 0): boolean {
    return isKeyword(this.#tokens[this.#at + ahead], keyword);
  }

  isAtOperator(operator: string): boolean {
    return isOperator(this.#tokens[this.#at], operator);
  }

  take(keyword: string): boolean {
    const isHere = this.isAt(keyword);
    if (isHere) this.#at++;
    return isHere;
  }

  takeOperator(operator: string): boolean {
    const isHere = this.isAtOperator(operator);
    if (isHere) this.#at++;
    return isHere;
  }

  takeName(): string {
    const token = this.#tokens[this.#at++];
    return token === undefined ? "" : nameOf(token);
  }

  /** The tokens between the parenthesis here and its partner. */
  takeParentheses(): Token[] {
    const open = this.#at;
    this.#at = closingIndex(this.#tokens, open);
    return this.#tokens.slice(open + 1, this.#at - 1);
  }

  takeConflict(): ConflictAction | undefined {
    if (!(this.isAt("on") && this.isAt("conflict", 1))) return undefined;
    this.#at += 2;
    const word = this.takeName().toUpperCase();
    return CONFLICT_ACTIONS.find((action) => action === word);
  }

  skip(): void {
    this.#at++;
  }
}

function textOf(sql: string, tokens: readonly Token[]): string {
  return sql.slice(tokens[0]?.start ?? 0, tokens.at(-1)?.end ?? 0);
}
