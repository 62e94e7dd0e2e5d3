/** Stands where a secret was. */
export const REDACTED = "[redacted]";

/** Names of log fields that hold secrets or users' data: tokens, and values that were bound to a statement. */
const SECRET_NAMES = new Set([
  "token",
  "authorization",
  "password",
  "secret",
  "parameters",
  "params",
  "values",
  "bindings",
]);
const BEARER = /\bBearer\s+[\w.~+/=-]+/gi;

/** Text without bearer tokens. */
export function redactText(text: string): string {
  return text.replace(BEARER, `Bearer ${REDACTED}`);
}

/** A copy of `fields` without secrets, at any depth. Errors stay what they are, for the logger's own serializer. */
export function redactFields(fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      SECRET_NAMES.has(name.toLowerCase()) ? REDACTED : redact(value),
    ]),
  );
}

function redact(value: unknown): unknown {
  if (typeof value === "string") return redactText(value);
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return value.map(redact);
  if (isPlainObject(value)) return redactFields(value);
  return value;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
