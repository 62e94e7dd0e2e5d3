import { readFileSync } from "node:fs";
import type { SchemaModel } from "./model.js";
import { readWantedSchema } from "./wanted-schema.js";

/** The CREATE statements of the schema that the driver and `config_cli` use when they are given none. */
export const BUILT_IN_SCHEMA = readFileSync(new URL("./code-analysis.sql", import.meta.url), "utf8");

const MODELS = new Map<string, SchemaModel>();
const MAX_MODELS = 8;

/**
 * `readWantedSchema` that remembers the last few texts: a process asks for the same schema on every connect and every
 * `SyncSchema`.
 *
 * @throws DriverError `SQL_ERROR` when the schema is wrong.
 */
export function wantedModel(sql: string = BUILT_IN_SCHEMA): SchemaModel {
  const known = MODELS.get(sql);
  if (known !== undefined) return known;
  const model = readWantedSchema(sql);
  const [oldest] = MODELS.keys();
  if (MODELS.size >= MAX_MODELS && oldest !== undefined) MODELS.delete(oldest);
  MODELS.set(sql, model);
  return model;
}

/** The managed tables: every ordinary table that `wanted` declares. Recovery watches over these. */
export function managedTables(wanted: SchemaModel): string[] {
  return [...wanted.tables.values()].map(({ name }) => name);
}
