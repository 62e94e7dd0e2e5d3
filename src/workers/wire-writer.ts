/**
 * Writes the protobuf messages of hot paths straight into a buffer: rows, columns and the scalars around them. It knows the
 * layout of `Value`, `Row` and `Column` of value.proto; a test compares it with the generated code.
 *
 * Building message objects for every value first costs several times as much as the query itself.
 */

/** A value as better-sqlite3 returns it in safe-integer mode: INTEGER is a bigint, REAL a number. */
export type SqliteValue = null | bigint | number | string | Buffer;

const EMPTY = Buffer.alloc(0);
/** Room for a small answer, and little enough to come from the pool that Node keeps for small buffers. */
const INITIAL_BYTES = 512;
const MAX_VARINT_BYTES = 10;
/** Protobuf's wire types (https://protobuf.dev/programming-guides/encoding/#structure). */
const WireType = { VARINT: 0, LENGTH_DELIMITED: 2 } as const;

/** Tags of the fields of `Value`: `field number << 3 | wire type`. */
const VALUE_TAG = { NULL: 0x08, INTEGER: 0x10, REAL: 0x19, TEXT: 0x22, BLOB: 0x2a } as const;
const REPEATED_VALUE_TAG = 0x0a;
/** A string of at most this many UTF-16 units has a length that fits one byte whatever it contains. */
const SHORT_TEXT_UNITS = 40;

export class WireWriter {
  #buffer = EMPTY;
  #length = 0;
  /** What the next message will most likely need: a little more than the one before it. */
  #expectedBytes = INITIAL_BYTES;

  /** Bytes written since the last `take`. */
  get length(): number {
    return this.#length;
  }

  /** What was written, and starts anew. */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#expectedBytes = Math.max(INITIAL_BYTES, this.#length + (this.#length >> 2));
    this.#buffer = EMPTY;
    this.#length = 0;
    return bytes;
  }

  bool(field: number, value: boolean): void {
    if (value) this.#varintField(field, 1);
  }

  /** An int64 or uint64 field with implicit presence: zero is left out. */
  int64(field: number, value: bigint | number): void {
    if (value !== 0n && value !== 0) this.optionalInt64(field, value);
  }

  /** An int64 field with explicit presence: zero is written. */
  optionalInt64(field: number, value: bigint | number): void {
    this.#reserve(2 * MAX_VARINT_BYTES);
    this.#varint((field << 3) | WireType.VARINT);
    if (typeof value === "number" && value >= 0) this.#varint(value);
    else this.#bigVarint(BigInt.asUintN(64, BigInt(value)));
  }

  /** A `Column`. */
  column(field: number, name: string, declaredType: string): void {
    const start = this.#begin(field);
    this.string(1, name);
    this.string(2, declaredType);
    this.#end(start);
  }

  string(field: number, value: string): void {
    if (value === "") return;
    const bytes = Buffer.byteLength(value);
    this.#reserve(2 * MAX_VARINT_BYTES + bytes);
    this.#varint((field << 3) | WireType.LENGTH_DELIMITED);
    this.#varint(bytes);
    this.#length += this.#buffer.write(value, this.#length);
  }

  bytes(field: number, value: Uint8Array): void {
    this.#reserve(2 * MAX_VARINT_BYTES + value.length);
    this.#varint((field << 3) | WireType.LENGTH_DELIMITED);
    this.#varint(value.length);
    this.#buffer.set(value, this.#length);
    this.#length += value.length;
  }

  /** A `Row` with these values, of at most `maxBytes`. False when it has more; nothing is written then. */
  row(field: number, values: readonly SqliteValue[], maxBytes: number): boolean {
    const before = this.#length;
    const maxLength = before + maxBytes;
    const start = this.#begin(field);
    let fits = true;
    for (const value of values) fits &&= this.#value(value, maxLength);
    if (fits) this.#end(start);
    if (fits && this.#length <= maxLength) return true;
    this.#length = before;
    return false;
  }

  /**
   * Begins a nested message and returns where its content starts. Most are shorter than 128 bytes: one byte is set aside for the
   * length, and a longer one moves up.
   */
  #begin(field: number): number {
    this.#reserve(2 * MAX_VARINT_BYTES);
    this.#varint((field << 3) | WireType.LENGTH_DELIMITED);
    return ++this.#length;
  }

  #end(start: number): void {
    const contentBytes = this.#length - start;
    if (contentBytes < 0x80) {
      this.#buffer[start - 1] = contentBytes;
      return;
    }
    const extraBytes = varintBytes(contentBytes) - 1;
    this.#reserve(extraBytes);
    this.#buffer.copyWithin(start + extraBytes, start, this.#length);
    this.#length = start - 1;
    this.#varint(contentBytes);
    this.#length += contentBytes;
  }

  /** False when a long value would pass `maxLength`; it is not copied then, for it can have a gigabyte. */
  #value(value: SqliteValue, maxLength: number): boolean {
    this.#reserve(2 * MAX_VARINT_BYTES);
    this.#buffer[this.#length++] = REPEATED_VALUE_TAG;
    if (typeof value === "bigint") {
      const lengthAt = this.#length++;
      this.#buffer[this.#length++] = VALUE_TAG.INTEGER;
      this.#zigzag(value);
      this.#buffer[lengthAt] = this.#length - lengthAt - 1;
    } else if (typeof value === "string") {
      return this.#text(value, maxLength);
    } else if (value === null) {
      this.#buffer[this.#length++] = 2;
      this.#buffer[this.#length++] = VALUE_TAG.NULL;
      this.#buffer[this.#length++] = 0;
    } else if (typeof value === "number") {
      this.#buffer[this.#length++] = 9;
      this.#buffer[this.#length++] = VALUE_TAG.REAL;
      this.#length = this.#buffer.writeDoubleLE(value, this.#length);
    } else {
      if (value.length > maxLength - this.#length) return false;
      this.#nestedHeader(VALUE_TAG.BLOB, value.length);
      this.#buffer.set(value, this.#length);
      this.#length += value.length;
    }
    return true;
  }

  #text(value: string, maxLength: number): boolean {
    if (value.length <= SHORT_TEXT_UNITS) {
      this.#reserve(3 * SHORT_TEXT_UNITS + 4);
      const bytes = this.#buffer.write(value, this.#length + 3);
      this.#buffer[this.#length] = bytes + 2;
      this.#buffer[this.#length + 1] = VALUE_TAG.TEXT;
      this.#buffer[this.#length + 2] = bytes;
      this.#length += bytes + 3;
      return true;
    }
    const bytes = Buffer.byteLength(value);
    if (bytes > maxLength - this.#length) return false;
    this.#nestedHeader(VALUE_TAG.TEXT, bytes);
    this.#length += this.#buffer.write(value, this.#length);
    return true;
  }

  #nestedHeader(tag: number, contentBytes: number): void {
    this.#reserve(2 * MAX_VARINT_BYTES + contentBytes);
    this.#varint(1 + varintBytes(contentBytes) + contentBytes);
    this.#buffer[this.#length++] = tag;
    this.#varint(contentBytes);
  }

  #zigzag(value: bigint): void {
    const number = Number(value);
    // Bitwise operators work on 32 bits; most integers of a database fit.
    if (number >= -0x40000000 && number < 0x40000000) this.#varint(((number << 1) ^ (number >> 31)) >>> 0);
    else this.#bigVarint(BigInt.asUintN(64, (value << 1n) ^ (value >> 63n)));
  }

  #varintField(field: number, value: number): void {
    this.#reserve(2 * MAX_VARINT_BYTES);
    this.#varint((field << 3) | WireType.VARINT);
    this.#varint(value);
  }

  /** A non-negative safe integer. */
  #varint(value: number): void {
    let rest = value;
    while (rest >= 0x80) {
      this.#buffer[this.#length++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#buffer[this.#length++] = rest;
  }

  #bigVarint(value: bigint): void {
    let rest = value;
    while (rest >= 0x80n) {
      this.#buffer[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#buffer[this.#length++] = Number(rest);
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafe(Math.max(this.#expectedBytes, 2 * this.#buffer.length, this.#length + bytes));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes++;
  return bytes;
}
