import { readFileSync } from "node:fs";
import type { SchemaModel } from "./model.js";
import { objectsOf, readTrustedObjects, readWantedSchema, type WantedObject } from "./wanted-schema.js";

/** The CREATE statements of the schema that the driver and `config_cli` use when they are given none. */
export const BUILT_IN_SCHEMA = readFileSync(new URL("./code-analysis.sql", import.meta.url), "utf8");

const MAX_REMEMBERED = 8;

/**
 * `readWantedSchema` that remembers the last few texts: a process asks for the same schema on every connect and every
 * `SyncSchema`.
 *
 * @throws DriverError `SQL_ERROR` when the schema is wrong.
 */
export const wantedModel: (sql?: string) => SchemaModel = remembering(readWantedSchema);

/**
 * What a wanted schema declares, which is all that a connect needs to know. The statements of a text that is not ours run once, for
 * `wantedModel`.
 *
 * @throws DriverError `SQL_ERROR` when the schema is wrong.
 */
export const wantedObjects: (sql?: string) => readonly WantedObject[] = remembering((sql) =>
  sql === BUILT_IN_SCHEMA ? readTrustedObjects(sql) : objectsOf(wantedModel(sql)),
);

/** The managed tables: every ordinary table that `wanted` declares. Recovery watches over these. */
export function managedTables(wanted: SchemaModel): string[] {
  return [...wanted.tables.values()].map(({ name }) => name);
}

function remembering<T>(read: (sql: string) => T): (sql?: string) => T {
  const known = new Map<string, { readonly value: T }>();
  return (sql = BUILT_IN_SCHEMA) => {
    const entry = known.get(sql) ?? { value: read(sql) };
    // Last is newest.
    known.delete(sql);
    known.set(sql, entry);
    const [oldest] = known.keys();
    if (known.size > MAX_REMEMBERED && oldest !== undefined) known.delete(oldest);
    return entry.value;
  };
}
