/** Field numbers that every request of the service uses for the same thing. */
export const RequestField = { SQL: 1, TRANSACTION_ID: 14, REQUEST_ID: 15 } as const;

const LENGTH_DELIMITED = 2;

/**
 * The text of a string field at the top level of an encoded protobuf message, empty when it is not there; the last one counts.
 * Reads tags and lengths only, so it costs next to nothing however large the message is. A malformed message answers what was
 * found so far: whoever decodes it reports the defect.
 */
export function stringField(message: Uint8Array, field: number): string {
  let found = "";
  walk(message, (number, start, end) => {
    if (number === field) found = text(message, start, end);
  });
  return found;
}

/** How often a field stands at the top level of an encoded message; see `stringField`. */
export function countField(message: Uint8Array, field: number): number {
  let count = 0;
  walk(message, (found) => {
    if (found === field) count++;
  });
  return count;
}

/** Tells where the content of each length-delimited field begins and ends, as far as the message is well-formed. */
function walk(message: Uint8Array, onField: (field: number, start: number, end: number) => void): void {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; at < message.length; factor *= 0x80) {
      const byte = message[at++] ?? 0;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) break;
    }
    return value;
  };
  while (at < message.length) {
    const tag = varint();
    const wireType = tag % 8;
    if (wireType === LENGTH_DELIMITED) {
      const length = varint();
      onField(Math.floor(tag / 8), at, at + length);
      at += length;
    } else if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else return;
  }
}

function text(message: Uint8Array, start: number, end: number): string {
  const bytes = message.subarray(start, end);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
