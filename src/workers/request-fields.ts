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
      if (Math.floor(tag / 8) === field) found = text(message, at, length);
      at += length;
    } else if (wireType === 0) varint();
    else if (wireType === 1) at += 8;
    else if (wireType === 5) at += 4;
    else return found;
  }
  return found;
}

function text(message: Uint8Array, start: number, length: number): string {
  const bytes = message.subarray(start, start + length);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString();
}
