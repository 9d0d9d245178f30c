"""The plain HASH layout: features as text fields, so that any pipeline can write them."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite, isnan, nan

import numpy as np

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_client import Command
from liftgate.domain.input import Input, InputSchema, InputType
from liftgate.domain.profile import Profiles, ProfileState, widened

_BOOLS = {b"1": 1.0, b"true": 1.0, b"True": 1.0, b"TRUE": 1.0, b"0": 0.0, b"false": 0.0, b"False": 0.0, b"FALSE": 0.0}
_LATEST_S = 2**32 - 1
# One step, so that no reader meets a person between the old fields and the new.
_REPLACE = b"redis.call('DEL', KEYS[1]) return redis.call('HSET', KEYS[1], unpack(ARGV))"


class HashCodec:
    """Reads and writes the HASH of one schema. Immutable after construction.

    Numbers are decimal text, bools `1`/`0` or `true`/`false`, strings themselves, timestamps milliseconds since the epoch. An empty field
    and a number written `nan` are missing. Fields that the schema does not name are passed over; one that it names and cannot be read
    spoils the whole profile.
    """

    __slots__ = ("_bools", "_names", "_numbers", "_order", "_strings", "_time_names", "_whole", "schema")

    def __init__(self, schema: InputSchema) -> None:
        self.schema = schema
        columns = schema.stored
        self._names = [column.name.removeprefix("profile.").encode() for column in columns]
        self._time_names = [name + b"@" for name in self._names]
        of = [column.type for column in columns]
        numbers = [i for i, kind in enumerate(of) if kind not in (InputType.STRING, InputType.BOOL)]
        strings = [i for i, kind in enumerate(of) if kind is InputType.STRING]
        bools = [i for i, kind in enumerate(of) if kind is InputType.BOOL]
        self._numbers = [self._names[i] for i in numbers]
        self._strings = [(self._names[i], {text.encode(): float(n) for n, text in enumerate(columns[i].values)}) for i in strings]
        self._bools = [self._names[i] for i in bools]
        # Rows are read kind by kind, then put in packed order all at once.
        self._order = np.array(numbers + strings + bools, dtype=np.intp)
        self._whole = np.array([of[i] in (InputType.INT, InputType.TIMESTAMP) for i in range(len(of))], dtype=np.bool_)

    def read(self, person_id: str) -> Command:
        """Return what reads a person's HASH."""
        return ("HGETALL", redis_keys.features(person_id))

    def decode(self, replies: Sequence[Sequence[bytes] | None]) -> Profiles:
        """Decode one HGETALL reply a person: empty is MISSING, None (not even a HASH) is UNREADABLE."""
        n, f = len(replies), self.schema.stored_count
        state = np.full(n, ProfileState.FOUND, dtype=np.uint8)
        value, at_s = np.full((n, f), nan), np.full((n, f), nan)
        rows, at = [], []
        for i, reply in enumerate(replies):
            if not reply:
                state[i] = ProfileState.UNREADABLE if reply is None else ProfileState.MISSING
                continue
            try:
                row, times = self._row(reply)
            except (ValueError, KeyError):
                state[i] = ProfileState.UNREADABLE
                continue
            rows.append(row)
            at.append(i)
            at_s[i] = times
        if rows:
            matrix = np.empty((len(rows), f))
            matrix[:, self._order] = rows
            wild = np.isinf(matrix) | (self._whole & ((np.trunc(matrix) != matrix) & ~np.isnan(matrix) | (np.abs(matrix) > 2**53)))
            value[at] = matrix
            bad = np.array(at)[wild.any(axis=1)]
            state[bad] = ProfileState.UNREADABLE
            value[bad] = at_s[bad] = nan
        if f < self.schema.profile_count:
            value, at_s = widened(self.schema, value), widened(self.schema, at_s)
        return Profiles(state, value, at_s)

    def _row(self, reply: Sequence[bytes]) -> tuple[list[float], list[float] | float]:
        """Return column numbers, kind by kind, and times (one for all, or one each). Raises ValueError or KeyError."""
        fields = dict(zip(reply[0::2], reply[1::2], strict=True))
        get = fields.get
        raws = [get(name) for name in self._numbers]
        row = [float(raw) if raw else nan for raw in raws]
        # Python reads 1_0 as ten; nobody else does.
        if b"_" in b"".join(filter(None, raws)):
            raise ValueError("not a number")
        row += [codes.get(raw, -1.0) if (raw := get(name)) else nan for name, codes in self._strings]
        row += [_BOOLS[raw] if (raw := get(name)) else nan for name in self._bools]
        every = _time(get(b"_at"))
        times = [get(name) for name in self._time_names]
        if any(times):
            return row, [every if not raw else _time(raw) for raw in times]
        return row, every

    def replace(self, key: bytes, values: Sequence[float], at_s: Sequence[int] | int) -> Command:
        """Return the command that makes the HASH hold these column numbers and times, and nothing else."""
        fields: list[bytes] = []
        for name, column, number in zip(self._names, self.schema.stored, values[: self.schema.stored_count], strict=True):
            if not isnan(number):
                fields += (name, _text(column, number))
        if isinstance(at_s, int):
            if at_s:
                fields += (b"_at", b"%d" % at_s)
        else:
            for name, at in zip(self._time_names, at_s[: self.schema.stored_count], strict=True):
                if at:
                    fields += (name, b"%d" % at)
        # Known, with nothing known about them: an empty HASH cannot exist.
        return ("EVAL", _REPLACE, 1, key, *(fields or (b"_at", b"0")))


def _time(raw: bytes | None) -> float:
    """Return seconds since the epoch, NaN not known."""
    if not raw:
        return nan
    at = float(raw)
    if not 0 <= at <= _LATEST_S or b"_" in raw:
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
