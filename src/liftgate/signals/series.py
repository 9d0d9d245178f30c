"""Definitions to series: what must be kept of events so that each feature can be told at any moment of its window."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from hashlib import blake2b

from liftgate.domain.feature import Definition, Source
from liftgate.domain.input import InputType


class Keeps(IntEnum):
    """What the cells of a series are."""

    COUNT = 0
    """Events a bucket."""
    MICROS = 1
    """The property's sum a bucket, in millionths, whole."""
    LATEST_AT = 2
    """When the latest event happened, ms."""
    LATEST = 3
    """Its value as a column number."""
    FIRST_AT = 4
    """When the first event of each bucket happened, ms."""
    FIRST = 5
    """Its value."""
    SET = 6
    """The newest bucket of each distinct value, by the value's hash."""
    REGISTERS = 7
    """The newest bucket of each register."""


@dataclass(frozen=True, slots=True)
class Series:
    """One number a bucket, a hash, or a person."""

    series_id: int
    """32 bits, never 0."""
    keeps: Keeps
    source: Source
    bucket_ms: int
    buckets: int
    decays: bool
    definition: Definition
    """The first that asks for it."""
    means: str
    """Everything that its id is a hash of."""

    @property
    def lives_ms(self) -> int:
        """How long after an event its cells can still matter."""
        return (self.buckets + 1) * self.bucket_ms


_NEEDS: dict[str, tuple[Keeps, ...]] = {
    "count": (Keeps.COUNT,),
    "sum": (Keeps.MICROS,),
    "mean": (Keeps.MICROS, Keeps.COUNT),
    "rate": (Keeps.COUNT,),
    "last": (Keeps.LATEST_AT, Keeps.LATEST),
    "first": (Keeps.FIRST_AT, Keeps.FIRST),
    "recency": (Keeps.LATEST_AT,),
    "distinct": (Keeps.SET, Keeps.REGISTERS),
}


def series_of(definition: Definition) -> tuple[Series, ...]:
    """Return the series of a definition; for rate the numerator's, then the denominator's."""
    sources = (definition.source,) if definition.per is None else (definition.source, definition.per)
    return tuple(_series(definition, source, keeps) for source in sources for keeps in _NEEDS[definition.aggregate])


def _series(definition: Definition, source: Source, keeps: Keeps) -> Series:
    column = definition.input
    means: list[object] = ["1", keeps.name, source.signal, source.property]
    means += [definition.bucket_ms, definition.buckets, definition.half_life_ms]
    means += [(one.property, one.values, one.low, one.high) for one in sorted(source.where, key=repr)]
    means += [sorted(int(each) for each in source.refuse)]
    if definition.aggregate in ("last", "first"):
        # What a number stands for, and which of several latest events is the one, depends on the type.
        means += [definition.aggregate, column.type.value, column.values if column.type is InputType.STRING else ()]
    if definition.aggregate == "distinct":
        means.append(definition.exact_up_to)
    text = repr(means)
    series_id = int.from_bytes(blake2b(text.encode(), digest_size=4).digest(), "little") or 1
    return Series(series_id, keeps, source, definition.bucket_ms, definition.buckets, bool(definition.half_life_ms), definition, text)
