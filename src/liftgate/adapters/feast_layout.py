"""How a Feast online store lies in Redis, and its values as packed columns: read without Feast.

One HASH an entity. Its key is the serialized entity key (version 3, or 2 without counts and lengths) and the project's name after it:

    u32 join keys | u32 type, u32 length, name | u32 type, u32 length, value | project

A field is the murmur3 hash (32 bits, seed 0, little endian) of `view:feature` and holds a `feast.types.Value` message; `_ts:view` holds a
`google.protobuf.Timestamp`: when everything of that view was true. `tests/adapters/feast_golden` has the bytes that Feast writes.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from math import isinf, isnan, nan
from typing import Literal

import numpy as np

from liftgate.adapters.protobuf_wire import BYTES, FIXED32, FIXED64, VARINT, Malformed, fields
from liftgate.adapters.redis_client import Command
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.profile import Profiles, ProfileState, widened

EntityType = Literal["string", "int64", "int32"]

_U32, _I32, _I64, _F64, _F32 = (struct.Struct("<" + letter) for letter in "Iiqdf")
_CODES = {"string": 2, "int32": 3, "int64": 4}
"""`feast.types.ValueType`."""
_STRING, _INT32, _INT64, _DOUBLE, _FLOAT, _BOOL, _TIME, _NULL = 2, 3, 4, 5, 6, 7, 8, 19
"""Fields of `feast.types.Value`."""
_WIRE = {_STRING: BYTES, _INT32: VARINT, _INT64: VARINT, _DOUBLE: FIXED64, _FLOAT: FIXED32, _BOOL: VARINT, _TIME: VARINT, _NULL: VARINT}
_WHOLE = (_INT32, _INT64)
_NUMBERS = (_INT32, _INT64, _DOUBLE, _FLOAT)
_NOBODY = b"lg:{%n}"
"""A key that is never there."""
_LARGEST_WHOLE = 2**53
_LATEST_S = 2**32 - 1


@dataclass(frozen=True, slots=True)
class FeastSource:
    """Where a person's features lie in a Feast online store."""

    project: str
    join_key: str
    """Of the entity that a person is."""
    features: dict[str, tuple[str, str]]
    """Feature of the bundle, without `profile.`, to feature view and feature."""
    entity_type: EntityType = "string"
    serialization: Literal[2, 3] = 3
    """Feast's `entity_key_serialization_version`."""


def murmur3(data: bytes) -> int:
    """Return MurmurHash3_x86_32 with seed 0, 0..2**32-1."""
    h, mask = 0, 0xFFFFFFFF
    tail = len(data) & ~3
    for at in range(0, len(data), 4):
        k = int.from_bytes(data[at : at + 4], "little") * 0xCC9E2D51 & mask
        k = (k << 15 | k >> 17) * 0x1B873593 & mask
        h ^= k
        if at < tail:
            h = ((h << 13 | h >> 19) & mask) * 5 + 0xE6546B64 & mask
    h ^= len(data)
    h = (h ^ h >> 16) * 0x85EBCA6B & mask
    h = (h ^ h >> 13) * 0xC2B2AE35 & mask
    return h ^ h >> 16


def field(view: str, feature: str) -> bytes:
    """Return the name of a feature's field in an entity's HASH."""
    return _U32.pack(murmur3(f"{view}:{feature}".encode()))


class EntityKeys:
    """Makes the keys of people. Immutable."""

    __slots__ = ("_head", "_kind", "_tail")

    def __init__(self, source: FeastSource) -> None:
        name = source.join_key.encode()
        if source.serialization == 3:
            self._head = _U32.pack(1) + _U32.pack(_STRING) + _U32.pack(len(name)) + name
        else:
            self._head = _U32.pack(_STRING) + name
        self._head += _U32.pack(_CODES[source.entity_type])
        self._kind = {"string": None, "int64": _I64, "int32": _I32}[source.entity_type]
        self._tail = source.project.encode()

    def key(self, person_id: str) -> bytes | None:
        """Return the person's key; None: no entity can be called that, such as text where entities are numbers."""
        if self._kind is None:
            raw = person_id.encode("utf-8", "surrogatepass")
        else:
            try:
                raw = self._kind.pack(int(person_id))
            except (ValueError, struct.error):
                return None
            # One way to write a number: 007 and +7 are not 7, and each consents for itself.
            if str(int(person_id)) != person_id:
                return None
        return self._head + _U32.pack(len(raw)) + raw + self._tail


class FeastCodec:
    """Reads the entities of one schema. Immutable after construction.

    A value of another type than the feature's, or that cannot be read, spoils the whole profile, as in a plain HASH.
    """

    __slots__ = ("_columns", "_keys", "_times", "asked", "schema")

    def __init__(self, source: FeastSource, schema: InputSchema) -> None:
        """`source` names a feature of Feast for every stored feature of the schema."""
        self.schema = schema
        self._keys = EntityKeys(source)
        named = [source.features[column.name.removeprefix("profile.")] for column in schema.stored]
        views = sorted({view for view, _ in named})
        self._times = [views.index(view) for view, _ in named]
        self._columns = [(column, {text: float(n) for n, text in enumerate(column.values)}) for column in schema.stored]
        self.asked = (*(field(*each) for each in named), *(b"_ts:" + view.encode() for view in views or ("",)))
        """Fields to be read of a person: one for each stored feature, then one for each view."""

    def key(self, person_id: str) -> bytes | None:
        """See `EntityKeys.key`."""
        return self._keys.key(person_id)

    def read(self, person_id: str) -> Command:
        """Return what reads a person's values."""
        return ("HMGET", self._keys.key(person_id) or _NOBODY, *self.asked)

    def decode(self, replies: Sequence[Sequence[bytes | None] | None]) -> Profiles:
        """Decode the values of `asked`, one reply a person: nothing at all is MISSING, None (not even a HASH) is UNREADABLE."""
        n, f = len(replies), self.schema.stored_count
        state = np.full(n, ProfileState.FOUND, dtype=np.uint8)
        value, at_s = np.full((n, f), nan), np.full((n, f), nan)
        for i, reply in enumerate(replies):
            if reply is None:
                state[i] = ProfileState.UNREADABLE
                continue
            if not any(raw is not None for raw in reply):
                state[i] = ProfileState.MISSING
                continue
            try:
                row = [_number(raw, column, codes) for raw, (column, codes) in zip(reply, self._columns, strict=False)]
                times = [_moment(raw) for raw in reply[f:]]
            except (ValueError, OverflowError):
                state[i] = ProfileState.UNREADABLE
                continue
            value[i] = row
            at_s[i] = [times[view] for view in self._times]
        if f < self.schema.profile_count:
            value, at_s = widened(self.schema, value), widened(self.schema, at_s)
        return Profiles(state, value, at_s)


def _number(raw: bytes | None, column: Input, codes: dict[str, float]) -> float:
    """Return a column's number of a `feast.types.Value`, NaN missing. Raises ValueError for a value of another type."""
    if not raw:
        return nan
    kind, content = _value(raw)
    if kind == _NULL:
        return nan
    wanted = column.type
    if wanted is InputType.STRING and kind == _STRING:
        return codes.get(bytes(content).decode("utf-8"), -1.0)
    if wanted is InputType.BOOL and kind in (_BOOL, *_WHOLE):
        number = _varint(content)
        if number in (0, 1):
            return float(number)
    elif wanted is InputType.TIMESTAMP and kind == _TIME:
        return _whole(float(_varint(content)) * 1000)
    elif wanted in (InputType.INT, InputType.FLOAT) and kind in _NUMBERS:
        if kind in _WHOLE:
            return _whole(float(_varint(content))) if wanted is InputType.INT else float(_varint(content))
        (number,) = (_F64 if kind == _DOUBLE else _F32).unpack(content)
        if isinf(number):
            raise ValueError("an infinite value")
        return number if wanted is InputType.FLOAT or isnan(number) else _whole(number)
    raise ValueError("a value of another type")


def _value(raw: bytes) -> tuple[int, memoryview]:
    """Return which field of a `Value` is set, and what is in it. Raises Malformed."""
    found = list(fields(memoryview(raw)))
    if not found:
        raise Malformed("nothing is set")
    # As in protobuf: of several fields of a oneof the last one stands.
    number, wire_type, content = found[-1]
    if wire_type != _WIRE.get(number):
        raise Malformed(f"field {number} is of another type")
    return number, content


def _varint(content: memoryview) -> int:
    """Return a signed 64-bit number. Raises Malformed for what is none."""
    number = 0
    if not 1 <= len(content) <= 10:
        raise Malformed("no number")
    for i, byte in enumerate(content):
        number |= (byte & 0x7F) << (7 * i)
    number &= 2**64 - 1
    return number - 2**64 if number >> 63 else number


def _whole(number: float) -> float:
    if number != int(number) or abs(number) > _LARGEST_WHOLE:
        raise ValueError("no whole number within 2**53")
    return number


def _moment(raw: bytes | None) -> float:
    """Return the seconds since the epoch of a `Timestamp`, NaN not known. Raises ValueError."""
    if not raw:
        return nan
    seconds = nanos = 0
    for number, wire_type, content in fields(memoryview(raw)):
        if wire_type != VARINT or number not in (1, 2):
            raise Malformed("no time")
        if number == 1:
            seconds = _varint(content)
        else:
            nanos = _varint(content)
    if not 0 <= seconds <= _LATEST_S or not 0 <= nanos < 10**9:
        raise ValueError("not a time in seconds since the epoch")
    return (seconds + nanos / 1e9) or nan
