import type { Connection } from "../sqlite/connection.js";
import { keyOf } from "./model.js";
import { isCopyOf } from "./recovery-states.js";
import { findReferences } from "./references.js";
import { readObjects } from "./renaming.js";

/** How another program names the table with which it rebuilds `<table>`. */
interface NamingRule {
  /** Who names it so. */
  readonly tool: string;
  readonly prefix?: string;
  readonly suffix?: string;
  /** Where the name carries something random: the table is the first group. */
  readonly pattern?: RegExp;
  /** False for names that people give to copies which they mean to keep. */
  readonly isToolsOwn: boolean;
}

/** Names that programs leave behind when they are interrupted while they rebuild a table. */
const NAMING_RULES: readonly NamingRule[] = [
  { tool: "Alembic", prefix: "_alembic_tmp_", isToolsOwn: true },
  { tool: "Django", prefix: "new__", isToolsOwn: true },
  { tool: "Django before 2.1.5", suffix: "__old", isToolsOwn: true },
  { tool: "Drizzle", prefix: "__new_", isToolsOwn: true },
  { tool: "Drizzle", prefix: "__old_push_", isToolsOwn: true },
  { tool: "TypeORM", prefix: "temporary_", isToolsOwn: true },
  { tool: "Doctrine or Laravel", prefix: "__temp__", isToolsOwn: true },
  { tool: "Peewee", suffix: "__tmp__", isToolsOwn: true },
  { tool: "MikroORM", suffix: "__temp_alter", isToolsOwn: true },
  { tool: "sqlite-utils", pattern: /^(.+)_new_[0-9a-f]{12}$/, isToolsOwn: true },
  { tool: "Prisma or Atlas", prefix: "new_", isToolsOwn: false },
  { tool: "Sequelize", suffix: "_backup", isToolsOwn: false },
  { tool: "a migration by hand", prefix: "temp_", isToolsOwn: false },
  { tool: "a migration by hand", prefix: "old_", isToolsOwn: false },
  { tool: "a migration by hand", suffix: "_old", isToolsOwn: false },
];

/** A table that looks like the copy of another one, made by a program that rebuilds tables. */
export interface Leftover {
  readonly name: string;
  /** The table whose copy it is, as it stands in the database or in the wanted schema. */
  readonly table: string;
  readonly tool: string;
  /** False where the name may as well be a person's backup. */
  readonly isToolsOwn: boolean;
  /** False when only the copy is there. */
  readonly hasTable: boolean;
}

/** Something that refers to a leftover's name while no table is called so. */
export interface DanglingName {
  readonly name: string;
  readonly table: string;
  readonly tool: string;
  /** Who refers to it, for example `table classes`. */
  readonly references: readonly string[];
}

/**
 * Tables that other programs left behind. A name alone proves nothing: the table that it is a copy of must exist or be
 * managed, and most columns must be the same where both exist.
 *
 * @param managedTables their `temp_<table>` is recovery's, not listed here.
 */
export function findLeftovers(connection: Connection, managedTables: readonly string[]): Leftover[] {
  const tables = new Map(readTables(connection).map((name) => [keyOf(name), name]));
  const managed = new Map(managedTables.map((name) => [keyOf(name), name]));
  return [...tables.values()].flatMap((name) => {
    for (const rule of NAMING_RULES) {
      const key = tableOf(rule, name);
      if (key === undefined || (rule.prefix === "temp_" && managed.has(key))) continue;
      const existing = tables.get(key);
      const table = existing ?? managed.get(key);
      if (table === undefined || managed.has(keyOf(name))) continue;
      if (existing !== undefined && !isCopyOf(connection, name, existing)) continue;
      return { name, table, tool: rule.tool, isToolsOwn: rule.isToolsOwn, hasTable: existing !== undefined };
    }
    return [];
  });
}

/** Foreign keys, views and triggers that refer to such a name although no table has it. */
export function findDanglingNames(connection: Connection, managedTables: readonly string[]): DanglingName[] {
  const tables = readTables(connection);
  const existing = new Set(
    readObjects(connection).flatMap(({ type, name }) => (type === "trigger" ? [] : keyOf(name))),
  );
  const managed = new Set(managedTables.map(keyOf));
  const candidates = new Map<string, { table: string; tool: string }>();
  for (const table of tables) {
    for (const { prefix = "", suffix = "", pattern, tool } of NAMING_RULES) {
      const name = keyOf(`${prefix}${table}${suffix}`);
      if (pattern !== undefined || existing.has(name) || (prefix === "temp_" && managed.has(keyOf(table)))) continue;
      candidates.set(name, { table, tool });
    }
  }
  const references = findReferences(connection, readObjects(connection), new Set(candidates.keys()), existing);
  return [...candidates].flatMap(([name, { table, tool }]) => {
    const own = references.filter(({ temporary }) => temporary === name);
    if (own.length === 0) return [];
    return { name, table, tool, references: own.map(({ object }) => `${object.type} ${object.name}`) };
  });
}

/** Folded name of the table that a table called `name` would be a copy of by this rule. */
function tableOf({ prefix = "", suffix = "", pattern }: NamingRule, name: string): string | undefined {
  const key = keyOf(name);
  if (pattern !== undefined) return pattern.exec(key)?.[1];
  if (!key.startsWith(prefix) || !key.endsWith(suffix) || key.length <= prefix.length + suffix.length) return undefined;
  return key.slice(prefix.length, key.length - suffix.length);
}

function readTables(connection: Connection): string[] {
  return connection
    .prepare<[], string>(
      `SELECT name FROM pragma_table_list
       WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY name`,
    )
    .pluck()
    .all();
}
