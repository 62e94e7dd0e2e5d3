import { create, type DescField, type DescMessage, type Message, ScalarType, toBinary } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import type { Random } from "../support/random.js";

const MAX_DEPTH = 6;
const MAX_ITEMS = 3;

const INTEGERS = [0n, 1n, -1n, 2n, 10n, 1_000n, 2n ** 31n - 1n, 2n ** 53n + 1n, 2n ** 63n - 1n, -(2n ** 63n)];
const REALS = [0, -0, 1.5, -1e308, 5e-324, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Texts by the name of the field; those of `""` are for all others. */
export type Words = Readonly<Record<string, readonly string[]>>;

/** Random requests: well-formed messages of any type, and bytes that are none. */
export class MessageFuzzer {
  readonly #random: Random;
  readonly #words: Words;

  /** @param words what texts are mostly taken from, so that many requests mean something */
  constructor(random: Random, words: Words) {
    this.#random = random;
    this.#words = words;
  }

  /** Bytes of a message of this type: well-formed, well-formed and then damaged, or without any form. */
  bytes(type: DescMessage): { readonly form: "valid" | "mutated" | "noise"; readonly bytes: Buffer } {
    const choice = this.#random.next();
    if (choice < 0.1) return { form: "noise", bytes: this.#noise(this.#random.below(200)) };
    const bytes = Buffer.from(toBinary(type, this.#message(type, 0)));
    return choice < 0.7 ? { form: "valid", bytes } : { form: "mutated", bytes: this.#mutate(bytes) };
  }

  #message(type: DescMessage, depth: number): Message {
    const message = reflect(type, create(type));
    const chosen = new Set(type.oneofs.map((oneof) => this.#random.pick(oneof.fields)));
    for (const field of type.fields) {
      const isLeftOut = field.oneof !== undefined ? !chosen.has(field) : this.#random.chance(0.3);
      if (!isLeftOut && depth < MAX_DEPTH) this.#fill(message, field, depth);
    }
    return message.message;
  }

  #fill(message: ReflectMessage, field: DescField, depth: number): void {
    const count = this.#random.below(MAX_ITEMS + 1);
    switch (field.fieldKind) {
      case "scalar":
        message.set(field, this.#scalar(field.scalar, field.name));
        break;
      case "enum":
        message.set(field, this.#enum(field.enum.values.map(({ number }) => number)));
        break;
      case "message":
        message.set(field, reflect(field.message, this.#message(field.message, depth + 1)));
        break;
      case "list":
        for (let i = 0; i < count; i++) message.get(field).add(this.#item(field, depth));
        break;
      case "map":
        for (let i = 0; i < count; i++) message.get(field).set(this.#text(field.name), this.#item(field, depth));
        break;
    }
  }

  #item(field: DescField & { fieldKind: "list" | "map" }, depth: number): unknown {
    const { scalar, enum: enumeration, message } = field;
    if (message !== undefined) return reflect(message, this.#message(message, depth + 1));
    return enumeration === undefined
      ? this.#scalar(scalar ?? ScalarType.STRING, field.name)
      : this.#enum(enumeration.values.map(({ number }) => number));
  }

  #enum(numbers: readonly number[]): number {
    return this.#random.chance(0.1) ? 99 : this.#random.pick(numbers);
  }

  #scalar(type: ScalarType, name: string): unknown {
    switch (type) {
      case ScalarType.STRING:
        return this.#text(name);
      case ScalarType.BYTES:
        return this.#noise(this.#random.below(40));
      case ScalarType.BOOL:
        return this.#random.chance(0.5);
      case ScalarType.DOUBLE:
      case ScalarType.FLOAT:
        return this.#random.pick(REALS);
      case ScalarType.UINT32:
        return this.#random.pick([0, 1, 7, 1_000, 2 ** 32 - 1]);
      case ScalarType.UINT64:
        return this.#random.pick([0n, 1n, 7n, 2n ** 64n - 1n]);
      case ScalarType.INT32:
      case ScalarType.SINT32:
        return this.#random.pick([0, 1, -1, 2 ** 31 - 1, -(2 ** 31)]);
      default:
        return this.#random.pick(INTEGERS);
    }
  }

  #text(name: string): string {
    const words = [...(this.#words[name] ?? []), ...(this.#words[""] ?? [])];
    const choice = this.#random.next();
    if (choice < 0.7) return this.#random.pick(this.#words[name] ?? words);
    if (choice < 0.85) return this.#random.pick(words);
    if (choice < 0.9) return `${this.#random.pick(words)} ${this.#random.pick(words)}`;
    if (choice < 0.95) return "x".repeat(this.#random.below(5_000));
    return this.#noise(this.#random.below(30)).toString("utf8");
  }

  #noise(length: number): Buffer {
    return Buffer.from(Array.from({ length }, () => this.#random.below(256)));
  }

  #mutate(bytes: Buffer): Buffer {
    let mutated = bytes;
    for (let change = this.#random.below(4); change >= 0; change--) {
      const at = this.#random.below(mutated.length + 1);
      const length = this.#random.below(8);
      switch (this.#random.below(4)) {
        case 0: // flip a bit
          mutated = Buffer.from(mutated);
          if (at < mutated.length) mutated[at] = (mutated[at] ?? 0) ^ (1 << this.#random.below(8));
          break;
        case 1: // cut
          mutated = Buffer.concat([mutated.subarray(0, at), mutated.subarray(at + length)]);
          break;
        case 2: // insert
          mutated = Buffer.concat([mutated.subarray(0, at), this.#noise(length), mutated.subarray(at)]);
          break;
        default: // end early
          mutated = mutated.subarray(0, at);
      }
    }
    return mutated;
  }
}
