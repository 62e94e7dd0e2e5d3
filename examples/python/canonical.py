"""The text form of values that all conformance reports share; test/conformance/README.md defines it."""

import struct
import zlib
from urllib.parse import quote, unquote_to_bytes

from code_analysis.driver.v1 import value_pb2

LONG_BYTES = 64


def to_value(text: str) -> value_pb2.Value:
    kind, _, content = text.partition(":")
    if kind == "null":
        return value_pb2.Value(null_value=0)
    if kind == "integer":
        return value_pb2.Value(integer_value=int(content))
    if kind == "real":
        return value_pb2.Value(real_value=struct.unpack(">d", bytes.fromhex(content))[0])
    if kind == "text":
        return value_pb2.Value(text_value=repeated(content, unquote_to_bytes).decode())
    if kind == "blob":
        return value_pb2.Value(blob_value=repeated(content, bytes.fromhex))
    return value_pb2.Value()


def repeated(content: str, parse) -> bytes:
    """`COUNT*CONTENT` is the content so many times."""
    count, star, unit = content.partition("*")
    return parse(unit) * int(count) if star else parse(content)


def from_value(value: value_pb2.Value) -> str:
    kind = value.WhichOneof("kind")
    if kind == "null_value":
        return "null"
    if kind == "integer_value":
        return f"integer:{value.integer_value}"
    if kind == "real_value":
        return f"real:{struct.pack('>d', value.real_value).hex()}"
    if kind == "text_value":
        return f"text:{short(value.text_value.encode(), lambda text: quote(text, safe=''))}"
    if kind == "blob_value":
        return f"blob:{short(value.blob_value, bytes.hex)}"
    return "unset"


def short(content: bytes, form) -> str:
    if len(content) <= LONG_BYTES:
        return form(content)
    return f"{len(content)},crc32={zlib.crc32(content):08x}"
