"""The plain HASH layout: features as text fields, so that any pipeline can write them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import isfinite, isnan, nan

from liftgate.adapters.redis_client import Command
from liftgate.domain.input import Input, InputSchema, InputType

_TRUE = frozenset({b"1", b"true", b"True", b"TRUE"})
_FALSE = frozenset({b"0", b"false", b"False", b"FALSE"})
_LATEST_S = 2**32 - 1
# One step, so that no reader meets a person between the old fields and the new.
_REPLACE = b"redis.call('DEL', KEYS[1]) return redis.call('HSET', KEYS[1], unpack(ARGV))"


class HashCodec:
    """Reads and writes the HASH of one schema. Immutable after construction.

    Numbers are decimal text, bools `1`/`0` or `true`/`false`, strings themselves, timestamps milliseconds since the epoch. An empty field
    is missing. Fields that the schema does not name are passed over; one that it names and cannot be read spoils the whole profile.
    """

    __slots__ = ("_decoders", "_names", "_time_names", "schema")

    def __init__(self, schema: InputSchema) -> None:
        self.schema = schema
        self._names = [column.name.removeprefix("profile.").encode() for column in schema.profile]
        self._time_names = [name + b"@" for name in self._names]
        self._decoders = [_decoder(column) for column in schema.profile]

    def decode(self, reply: Sequence[bytes]) -> tuple[list[float], list[float]] | None:
        """Return column numbers and times (NaN missing, not known) of an HGETALL reply; None when a field cannot be read."""
        fields = dict(zip(reply[0::2], reply[1::2], strict=True))
        get = fields.get
        try:
            every = _time(get(b"_at"))
            values = [nan if not (raw := get(name)) else decode(raw) for name, decode in zip(self._names, self._decoders, strict=True)]
            times = [every if (raw := get(name)) is None else _time(raw) for name in self._time_names]
        except (ValueError, OverflowError):
            return None
        return values, times

    def replace(self, key: bytes, values: Sequence[float], at_s: Sequence[int] | int) -> Command:
        """Return the command that makes the HASH hold these column numbers and times, and nothing else."""
        fields: list[bytes] = []
        for name, column, number in zip(self._names, self.schema.profile, values, strict=True):
            if not isnan(number):
                fields += (name, _text(column, number))
        if isinstance(at_s, int):
            if at_s:
                fields += (b"_at", b"%d" % at_s)
        else:
            for name, at in zip(self._time_names, at_s, strict=True):
                if at:
                    fields += (name, b"%d" % at)
        # Known, with nothing known about them: an empty HASH cannot exist.
        return ("EVAL", _REPLACE, 1, key, *(fields or (b"_at", b"0")))


def _decoder(column: Input) -> Callable[[bytes], float]:
    """Return the function from a field's text to its column number; it raises ValueError."""
    if column.type is InputType.STRING:
        numbers = {text.encode(): float(i) for i, text in enumerate(column.values)}
        return lambda raw: numbers.get(raw, -1.0)
    if column.type is InputType.BOOL:
        return _bool
    return _float if column.type is InputType.FLOAT else _whole


def _bool(raw: bytes) -> float:
    if raw in _TRUE:
        return 1.0
    if raw in _FALSE:
        return 0.0
    raise ValueError("not a bool")


def _float(raw: bytes) -> float:
    number = float(raw)
    # Python reads 1_0 as ten; nobody else does.
    if not isfinite(number) or b"_" in raw:
        raise ValueError("not a finite number")
    return number


def _whole(raw: bytes) -> float:
    number = _float(raw)
    if number != int(number) or abs(number) > 2**53:
        raise ValueError("not a whole number within 2**53")
    return number


def _time(raw: bytes | None) -> float:
    """Return seconds since the epoch, NaN not known."""
    if not raw:
        return nan
    at = _float(raw)
    if not 0 <= at <= _LATEST_S:
        raise ValueError("not a time in seconds since the epoch")
    return at or nan


def _text(column: Input, number: float) -> bytes:
    if not isfinite(number):
        raise ValueError("a profile holds an infinite value")
    if column.type is InputType.STRING:
        return column.values[int(number)].encode() if number >= 0 else b"<other>"
    if column.type is InputType.FLOAT:
        return repr(float(number)).encode()
    return b"%d" % int(number)
