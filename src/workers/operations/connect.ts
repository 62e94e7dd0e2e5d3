import type { WriterSession } from "../writer-session.js";
import { resolveLeftovers } from "./indexing.js";

/** What a connect found and did. */
export interface ConnectReport {
  /** Encoded `RecoveryReport`, in base64. */
  readonly recovery: string;
  readonly schemaHash: string;
}

/**
 * Brings a database that was just opened into the state in which it can be served: recovery, then missing tables, then what an
 * earlier process left half done.
 */
export function connectDatabase(session: WriterSession): ConnectReport {
  session.schema.prepare({ log: session.log });
  resolveLeftovers(session);
  return { recovery: "", schemaHash: session.schema.schemaHash() };
}
