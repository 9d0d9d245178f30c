"""How events feed series: for each series a function from an event to one packed change. Compiled once a bundle."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from math import isfinite
from struct import Struct
from typing import NamedTuple

from liftgate.domain.event import Event, Property, Reliability
from liftgate.domain.feature import BUILT_IN, Source, property_of
from liftgate.domain.input import Input, InputType
from liftgate.signals.cell import CHANGE, KEY, Op
from liftgate.signals.series import Keeps, Series

LARGEST = 1e9
"""A property beyond it counts as it, either way."""
_NOTHING = b"\0" * 8
_CELL = Struct("<BIId8sd")
"""`signals.cell.CHANGE` with its first cell as two numbers."""
_ADD, _MAX, _DISTINCT = int(Op.ADD), int(Op.MAX), int(Op.DISTINCT)

Feed = Callable[[Event, str, str], bytes | None]
"""An event, its offer's group and the bundle's currency to one packed change; None: the event is not one of these."""
_Pack = Callable[[int, Property], bytes | None]
"""Moment in ms and the property's value to one packed change; None: the value is of no use."""


class Fed(NamedTuple):
    """A series and what feeds it."""

    series: Series
    feed: Feed
    other: Series | None = None
    """What is always changed with it: the times of its values, or its registers."""


def feeds_of(own: tuple[Series, ...]) -> list[Fed]:
    """Return the feeds of one definition's series; two that are always changed together have one."""
    kinds = {series.keeps: series for series in own}
    if Keeps.LATEST in kinds:
        values, times = kinds[Keeps.LATEST], kinds[Keeps.LATEST_AT]
        return [Fed(values, _fed(values, _pair(Op.LAST, times, values)), times)]
    if Keeps.FIRST in kinds:
        values, times = kinds[Keeps.FIRST], kinds[Keeps.FIRST_AT]
        return [Fed(values, _fed(values, _pair(Op.FIRST, times, values)), times)]
    if Keeps.SET in kinds:
        hashes, registers = kinds[Keeps.SET], kinds[Keeps.REGISTERS]
        return [Fed(hashes, _fed(hashes, _distinct(hashes, registers)), registers)]
    return [Fed(series, _fed(series, _single(series))) for series in own]


def takes(series: Series, reliability: int) -> bool:
    """Say whether events of a class of reliability, a `Reliability`, feed a series at all."""
    return Reliability(reliability) not in series.source.refuse


def _fed(series: Series, pack: _Pack) -> Feed:
    source: Source = series.source
    name, where = source.property, source.where
    if not where and not name:
        series_id, size, make = series.series_id, series.bucket_ms, _CELL.pack
        if series.keeps is Keeps.COUNT:
            # What `pack` does, without the call: it is the most frequent of all.
            return lambda event, group, currency: make(_ADD, series_id, event.occurred_at_ms // size, 1.0, _NOTHING, 0.0)
        return lambda event, group, currency: pack(event.occurred_at_ms, 1)
    if not where:
        if name not in BUILT_IN:

            def of_declared(event: Event, group: str, currency: str) -> bytes | None:
                value = event.properties.get(name)
                return None if value is None else pack(event.occurred_at_ms, value)

            return of_declared

        def of_built_in(event: Event, group: str, currency: str) -> bytes | None:
            value = property_of(event, name, group, currency)
            return None if value is None else pack(event.occurred_at_ms, value)

        return of_built_in

    def filtered(event: Event, group: str, currency: str) -> bytes | None:
        for one in where:
            if not one.passes(property_of(event, one.property, group, currency)):
                return None
        value = property_of(event, name, group, currency) if name else 1
        return None if value is None else pack(event.occurred_at_ms, value)

    return filtered


def _single(series: Series) -> _Pack:
    series_id, size, make = series.series_id, series.bucket_ms, _CELL.pack
    if series.keeps is Keeps.LATEST_AT:
        return lambda at_ms, value: make(_MAX, series_id, 0, at_ms, _NOTHING, 0.0)
    if series.keeps is Keeps.MICROS or series.source.property:
        money = series.keeps is Keeps.MICROS

        def add(at_ms: int, value: Property) -> bytes | None:
            # The usual case at once; a value that is not a number is no more within bounds than it is finite.
            usual = type(value) is float and -LARGEST <= value <= LARGEST
            micros = round(value * 1e6) if usual and money else 1.0 if usual else _micros(value)  # type: ignore[operator]
            if micros is None:
                return None
            return make(_ADD, series_id, at_ms // size, micros if money else 1.0, _NOTHING, 0.0)

        return add
    return lambda at_ms, value: make(_ADD, series_id, at_ms // size, 1.0, _NOTHING, 0.0)


def _micros(value: Property) -> float | None:
    if isinstance(value, (bool, str)) or not isfinite(value):
        return None
    return float(round(min(max(value, -LARGEST), LARGEST) * 1e6))


def _pair(op: Op, times: Series, values: Series) -> _Pack:
    column, how = values.definition.input, int(op)
    by_bucket = op is Op.FIRST
    first, second, size = times.series_id, values.series_id, values.bucket_ms
    at_any, value_at_any = KEY.pack(first, 0), KEY.pack(second, 0)
    texts = {text: float(i) for i, text in reversed(list(enumerate(column.values)))} if column.type is InputType.STRING else None

    def pair(at_ms: int, value: Property) -> bytes | None:
        number = texts.get(value, -1.0) if texts is not None and type(value) is str else column_number(column, value)
        if number is None:
            return None
        if not by_bucket:
            return CHANGE.pack(how, at_any, at_ms, value_at_any, number)
        slot = at_ms // size
        return CHANGE.pack(how, KEY.pack(first, slot), at_ms, KEY.pack(second, slot), number)

    return pair


def column_number(column: Input, value: Property) -> float | None:
    """Return a value as a column's number; None: it is none of the column's."""
    try:
        if column.type in (InputType.INT, InputType.FLOAT) and not isinstance(value, (bool, str)):
            value = min(max(value, -(2.0**53)), 2.0**53) if column.type is InputType.FLOAT else value
        return column.encode(value)
    except ValueError:
        return None


def _distinct(hashes: Series, registers: Series) -> _Pack:
    most = float(hashes.definition.exact_up_to + 1)
    series_id, size = hashes.series_id, hashes.bucket_ms
    other = KEY.pack(registers.series_id, 0)

    def seen(at_ms: int, value: Property) -> bytes:
        # Text, numbers and truth values are told apart; 1 and 1.0 are the same number.
        text = f"1{value}" if type(value) is str else f"0{value!r}" if isinstance(value, bool) else f"0{float(value)!r}"
        return _CELL.pack(_DISTINCT, series_id, hashed(text), at_ms // size, other, most)

    return seen


@lru_cache(4096)
def hashed(text: str) -> int:
    """Return 32 bits of a text's hash."""
    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=4).digest(), "little")
