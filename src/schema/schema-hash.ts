import { createHash } from "node:crypto";
import type { SchemaModel } from "./model.js";

/** Spellings, which may differ between schemas that mean the same. */
const SPELLINGS = new Set(["sql", "definition", "text", "inColumn"]);

/**
 * A hash of what a schema means: equal for two databases whose schemas differ only in spelling, in the order of objects, or
 * in comments. 64 hexadecimal digits.
 */
export function hashSchema(model: SchemaModel): string {
  const objects = [model.tables, model.indexes, model.views, model.triggers, model.virtualTables].map((map) =>
    [...map].sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  const text = JSON.stringify(objects, (key, value: unknown) => (SPELLINGS.has(key) ? undefined : value));
  return createHash("sha256").update(text).digest("hex");
}
