import { shellWord } from "../errors.js";

/** What `--allow` can permit; each is followed by a colon and the object: `drop-column:files.foo`. */
export const CONSENT_KINDS = [
  "drop-column",
  "drop-table",
  "drop-virtual-table",
  "drop-index",
  "drop-view",
  "drop-trigger",
  "backfill",
  "lossy",
] as const;

/** Names one loss or change of data; the object is folded as `keyOf` does. */
export type ConsentId = `${(typeof CONSENT_KINDS)[number]}:${string}`;

/** True when some plan can ask for `text`, in any case; whether this one does depends on the database. */
export function isConsentId(text: string): boolean {
  const [kind = "", ...object] = text.split(":");
  return CONSENT_KINDS.some((known) => known === kind.toLowerCase()) && object.join(":") !== "";
}

/** The flag that gives the consent, as a POSIX shell takes it. */
export function allowFlag(id: ConsentId): string {
  return `--allow ${shellWord(id)}`;
}
