/** The text form of values that all conformance reports share; test/conformance/README.md defines it. */
import { crc32 } from "node:zlib";
import type { RequestOf, Value } from "code-analysis-driver";

type ValueInit = NonNullable<RequestOf<"execute">["parameters"]>[number];

const LONG_BYTES = 64;

export function toValue(text: string): ValueInit {
  const [kind = "", content = ""] = text.split(/:(.*)/s);
  switch (kind) {
    case "null":
      return { kind: { case: "nullValue", value: 0 } };
    case "integer":
      return { kind: { case: "integerValue", value: BigInt(content) } };
    case "real":
      return { kind: { case: "realValue", value: Buffer.from(content, "hex").readDoubleBE() } };
    case "text":
      return { kind: { case: "textValue", value: repeated(content, decodeURIComponent) } };
    case "blob":
      return {
        kind: {
          case: "blobValue",
          value: Buffer.from(
            repeated(content, (hex) => hex),
            "hex",
          ),
        },
      };
    default:
      return {};
  }
}

/** `COUNT*CONTENT` is the content so many times. */
function repeated(content: string, parse: (text: string) => string): string {
  const [, count = "1", unit = ""] = /^(?:(\d+)\*)?(.*)$/s.exec(content) ?? [];
  return parse(unit).repeat(Number(count));
}

export function fromValue({ kind }: Value): string {
  switch (kind.case) {
    case "nullValue":
      return "null";
    case "integerValue":
      return `integer:${kind.value}`;
    case "realValue": {
      const bits = Buffer.alloc(8);
      bits.writeDoubleBE(kind.value);
      return `real:${bits.toString("hex")}`;
    }
    case "textValue":
      return `text:${short(Buffer.from(kind.value), (bytes) => quote(bytes.toString()))}`;
    case "blobValue":
      return `blob:${short(Buffer.from(kind.value), (bytes) => bytes.toString("hex"))}`;
    default:
      return "unset";
  }
}

function short(bytes: Buffer, form: (bytes: Buffer) => string): string {
  return bytes.length <= LONG_BYTES ? form(bytes) : `${bytes.length},crc32=${checksum(crc32(bytes))}`;
}

export function checksum(crc: number): string {
  return crc.toString(16).padStart(8, "0");
}

/** Percent-encodes all but letters, digits and `-._~`. */
export function quote(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}
