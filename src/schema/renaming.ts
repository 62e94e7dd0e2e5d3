import { type Connection, setPragma } from "../sqlite/connection.js";
import { isSqliteError } from "../sqlite/errors.js";
import { inMain, quoteIdentifier } from "../sqlite/identifiers.js";
import { keyOf } from "./model.js";
import { compileErrors, replaceNames, type SchemaObject } from "./references.js";

/**
 * How ALTER TABLE RENAME treats those that mention the table (https://sqlite.org/pragma.html#pragma_legacy_alter_table):
 * `default` rewrites foreign keys, views and triggers and refuses while one of them does not compile; `legacy`, with foreign
 * keys off, rewrites nothing but the table's own indexes and triggers.
 */
export type RenameMode = "legacy" | "default";

/**
 * Renames tables of one transaction whatever views and triggers say. SQLite refuses a rename while any view or trigger of
 * the database fails to compile; such a one is dropped, remembered, and put back by `restore` as it was, in its old
 * place among the triggers of its table.
 *
 * `foreign_keys` must be off, and a transaction open.
 */
export class Renaming {
  readonly #connection: Connection;
  /** Views and triggers as they were at the start, in creation order. */
  readonly #objects: readonly SchemaObject[];
  readonly #setAside = new Set<SchemaObject>();

  constructor(connection: Connection) {
    this.#connection = connection;
    this.#objects = readObjects(connection).filter(({ type }) => type === "view" || type === "trigger");
  }

  /**
   * Renames `from` to `to` in the first of `modes` that SQLite accepts.
   *
   * @throws the error of the first mode when it accepts none, for example because of a CHECK with a literal in double quotes.
   */
  rename(from: string, to: string, modes: readonly [RenameMode, ...RenameMode[]]): void {
    const errors: unknown[] = [];
    for (const mode of modes) {
      try {
        this.#renameIn(mode, from, to);
        return;
      } catch (error) {
        if (!isSqliteError(error) || error.code !== "SQLITE_ERROR") throw error;
        errors.push(error);
      }
    }
    throw errors[0];
  }

  #renameIn(mode: RenameMode, from: string, to: string): void {
    setPragma(this.#connection, {
      name: "legacy_alter_table",
      value: mode === "legacy" ? "ON" : "OFF",
      readsBack: mode === "legacy" ? 1 : 0,
    });
    for (;;) {
      try {
        this.#connection.exec(`ALTER TABLE ${inMain(from)} RENAME TO ${quoteIdentifier(to)}`);
        return;
      } catch (error) {
        const culprit = isSqliteError(error) ? this.#culpritOf(error.message) : undefined;
        if (culprit === undefined) throw error;
        this.#setAsideWithTriggers(culprit);
      }
    }
  }

  /** The view or trigger that `error in view v: …` is about. */
  #culpritOf(message: string): SchemaObject | undefined {
    return this.#objects.find((object) => {
      const beginning = `error in ${object.type} ${object.name}`;
      return (
        !this.#setAside.has(object) &&
        message.startsWith(beginning) &&
        /^(?::| after )/.test(message.slice(beginning.length))
      );
    });
  }

  #setAsideWithTriggers(object: SchemaObject): void {
    this.#drop(object);
    this.#setAside.add(object);
    if (object.type !== "view") return;
    // The INSTEAD OF triggers of a view go with it.
    for (const other of this.#objects) {
      if (other.type === "trigger" && keyOf(other.owner) === keyOf(object.name)) this.#setAside.add(other);
    }
  }

  /**
   * Puts back what was set aside.
   *
   * @param newNames by folded name: what a name that no longer exists is called now. A text is put back with these names
   *   unless it only compiles as it was.
   */
  restore(newNames: ReadonlyMap<string, string>): void {
    for (const object of this.#objects) {
      if (object.type === "view" && this.#setAside.has(object)) this.#create(object, newNames);
    }
    for (const object of this.#triggersToRestore()) this.#create(object, newNames);
    this.#setAside.clear();
  }

  /**
   * Triggers fire in the order in which they stand in the schema, so those behind one that was set aside have to be made
   * again too.
   */
  #triggersToRestore(): SchemaObject[] {
    const lost = this.#objects.filter((object) => object.type === "trigger" && this.#setAside.has(object));
    const owners = new Set(lost.map((object) => keyOf(object.owner)));
    const current = new Map(
      readObjects(this.#connection)
        .filter(({ type }) => type === "trigger")
        .map((object) => [keyOf(object.name), object]),
    );
    const restored: SchemaObject[] = [];
    for (const owner of owners) {
      const triggers = this.#objects.filter((object) => object.type === "trigger" && keyOf(object.owner) === owner);
      const first = triggers.findIndex((object) => this.#setAside.has(object));
      for (const object of triggers.slice(first)) {
        const existing = current.get(keyOf(object.name));
        // A trigger that nobody set aside and that is gone went with its table.
        if (existing === undefined && !this.#setAside.has(object)) continue;
        if (existing !== undefined) this.#drop(existing);
        restored.push(existing ?? object);
      }
    }
    return restored;
  }

  #create(object: SchemaObject, newNames: ReadonlyMap<string, string>): void {
    const renamed = replaceNames(object.sql, newNames);
    if (renamed === object.sql) {
      this.#connection.exec(object.sql);
      return;
    }
    this.#connection.exec(renamed);
    const owner = newNames.get(keyOf(object.owner)) ?? object.owner;
    if (compileErrors(this.#connection, { ...object, owner }).length === 0 || !canStand(this.#connection, object))
      return;
    this.#drop(object);
    this.#connection.exec(object.sql);
    if (compileErrors(this.#connection, object).length === 0) return;
    this.#drop(object);
    this.#connection.exec(renamed);
  }

  #drop({ type, name }: SchemaObject): void {
    this.#connection.exec(`DROP ${type.toUpperCase()} ${inMain(name)}`);
  }
}

/** Everything in the main schema that has a text, in creation order. */
export function readObjects(connection: Connection): SchemaObject[] {
  return connection
    .prepare<[], SchemaObject>(
      `SELECT type, name, tbl_name AS owner, sql FROM main.sqlite_schema WHERE sql IS NOT NULL ORDER BY rowid`,
    )
    .all();
}

/** True when what `object` belongs to exists, so that its text can be executed as it is. */
function canStand(connection: Connection, { type, owner }: SchemaObject): boolean {
  if (type === "view") return true;
  return (
    connection
      .prepare("SELECT 1 FROM main.sqlite_schema WHERE name = ? COLLATE NOCASE AND type IN ('table', 'view')")
      .get(owner) !== undefined
  );
}
