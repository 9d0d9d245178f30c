"""Protobuf's wire format, read without a schema: just enough to look into a file before anything else may load it."""

from __future__ import annotations

from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types. Groups (3 and 4) are refused: nothing that we read uses them."""

_TAG_BYTES = 5
"""A tag is 32 bits wide. Parsers differ on longer ones, so they are refused."""
_VALUE_BYTES = 10


class Malformed(ValueError):
    """The bytes are no protobuf message. The message says where and why."""


def fields(raw: memoryview) -> Iterator[tuple[int, int, memoryview]]:
    """Yield (field number, wire type, payload) in order.

    The payload of BYTES is what is inside, without its length; of the others the bytes of the value itself.
    Raises Malformed at the first byte that fits no message; what was yielded before that may not be trusted.
    """
    at, end = 0, len(raw)
    while at < end:
        tag, at = _varint(raw, at, _TAG_BYTES)
        number, wire_type = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise Malformed(f"byte {at}: {number} is no field number")
        if wire_type == BYTES:
            size, at = _varint(raw, at, _VALUE_BYTES)
        elif wire_type == VARINT:
            size = _varint(raw, at, _VALUE_BYTES)[1] - at
        elif wire_type == FIXED32:
            size = 4
        elif wire_type == FIXED64:
            size = 8
        else:
            raise Malformed(f"byte {at}: {wire_type} is no wire type that messages use")
        if size > end - at:
            raise Malformed(f"byte {at}: field {number} says {size} bytes, {end - at} are left")
        yield number, wire_type, raw[at : at + size]
        at += size


def _varint(raw: memoryview, at: int, limit: int) -> tuple[int, int]:
    """Return the number at `at` and the position behind it. Raises Malformed past the end or `limit` bytes."""
    value = 0
    for i in range(limit):
        if at + i >= len(raw):
            raise Malformed(f"byte {at + i}: the bytes end inside a number")
        byte = raw[at + i]
        value |= (byte & 0x7F) << (7 * i)
        if byte < 0x80:
            return value, at + i + 1
    raise Malformed(f"byte {at}: a number longer than {limit} bytes")
