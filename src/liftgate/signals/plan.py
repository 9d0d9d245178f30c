"""One bundle's features from events: what each event changes, and what is of no more use. Compiled once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from math import isfinite

from liftgate.domain.errors import BadInput
from liftgate.domain.event import Event, Property, Reliability
from liftgate.domain.feature import Definition, Filter, Source, property_of
from liftgate.domain.input import Input, InputType
from liftgate.signals.cell import BOUND, CELL, CHANGE, KEY, REGISTERS, Bound, Op, Until, packed_update
from liftgate.signals.series import Keeps, Series, series_of

AHEAD_MS = 5 * 60 * 1000
"""Events may lie so far ahead of the clock that receives them."""
_BOUNDS_MS = 10_000
"""What is of no more use is worked out anew so often."""
LARGEST = 1e9
"""A property beyond it counts as it, either way."""
_NOTHING = b"\0" * 8
_UNTIL = {
    Keeps.COUNT: Until.SLOT,
    Keeps.MICROS: Until.SLOT,
    Keeps.FIRST_AT: Until.SLOT,
    Keeps.FIRST: Until.SLOT,
    Keeps.SET: Until.VALUE,
    Keeps.REGISTERS: Until.VALUE,
    Keeps.LATEST_AT: Until.NEVER,
    Keeps.LATEST: Until.NEVER,
}

_Pack = Callable[[int, Property], bytes | None]
"""Moment in ms and the property's value to one packed change; None: the value is of no use."""


class FeaturePlan:
    """The definitions of one bundle as work per event: `pipeline.contact_ports.FeatureUpdates`. Compiled once."""

    def __init__(self, definitions: Sequence[Definition], offer_groups: Mapping[str, str], currency: str) -> None:
        """`offer_groups`: each offer's group, empty: none. `currency`: the only one whose money counts. Raises BadInput on a clash."""
        self.definitions = tuple(definitions)
        self._groups = offer_groups
        self._currency = currency
        self.of_definition = tuple(series_of(definition) for definition in definitions)
        """For each definition, its series."""
        found: dict[int, Series] = {}
        for series in (each for own in self.of_definition for each in own):
            first = found.setdefault(series.series_id, series)
            if (first.keeps, first.source, first.bucket_ms, first.buckets) != (
                series.keeps,
                series.source,
                series.bucket_ms,
                series.buckets,
            ):
                raise BadInput(f"{first.definition.input.name} and {series.definition.input.name} cannot be told apart: change a window")
        self.series = tuple(found[series_id] for series_id in sorted(found))
        """Each once, by id."""
        feeds: dict[str, list[_Feed]] = {}
        fed: set[int] = set()
        for own in self.of_definition:
            for feed in _feeds(own):
                if feed.series.series_id not in fed:
                    fed.add(feed.series.series_id)
                    feeds.setdefault(feed.series.source.signal, []).append(feed)
        self._feeds = {signal: tuple(some) for signal, some in feeds.items()}
        self.most_cells = sum(_most(series) for series in self.series)
        """Cells that can matter of one person at one moment."""
        self.longest_ms = max((series.lives_ms for series in self.series), default=0)
        """How long an event can matter at most."""
        self._bounds = (-1, b"")

    def of(self, event: Event) -> bytes:
        """Return the update that an event is, as `signals/cell.py` packs it; empty: it changes nothing. See `FeatureUpdates`."""
        changes, lives_ms = self.changes(event)
        if not changes:
            return b""
        moment = event.received_at_ms // _BOUNDS_MS
        known, bounds = self._bounds
        if known != moment:
            bounds = self.packed_bounds(moment * _BOUNDS_MS)
            self._bounds = (moment, bounds)
        return packed_update(lives_ms + AHEAD_MS, self.most_bytes, bounds, changes)

    def changes(self, event: Event) -> tuple[bytes, int]:
        """Return what an event changes, packed, and how long from now that can matter, in ms. Empty: nothing.

        A late event changes nothing, here as offline.
        """
        feeds = self._feeds.get(event.signal)
        if feeds is None or event.late:
            return b"", 0
        group = self._groups.get(event.offer_id, "")
        packed: list[bytes] = []
        lives_ms = 0
        for feed in feeds:
            change = feed.change(event, group, self._currency)
            if change is not None:
                packed.append(change)
                if feed.lives_ms > lives_ms:
                    lives_ms = feed.lives_ms
        return b"".join(packed), lives_ms

    def bounds(self, now_ms: int) -> dict[int, Bound]:
        """Return, by series, what is of no more use at a moment and after."""
        found = {}
        for series in self.series:
            oldest = now_ms // series.bucket_ms - series.buckets + 1
            found[series.series_id] = Bound(series.series_id, _UNTIL[series.keeps], oldest)
        return found

    def packed_bounds(self, now_ms: int) -> bytes:
        """Return the bounds as the server reads them."""
        return b"".join([BOUND.pack(one.series, one.until, one.least) for one in self.bounds(now_ms).values()])

    @property
    def most_bytes(self) -> int:
        """How long a person's state can become: what can matter, as much again of other bundles' or old cells, and a kilobyte."""
        return 2 * CELL.size * (1 + self.most_cells) + 1024


class _Feed:
    """How one series is fed."""

    __slots__ = ("_pack", "_property", "_refuse", "_where", "lives_ms", "series")

    def __init__(self, series: Series, pack: _Pack) -> None:
        self.series = series
        self.lives_ms = series.lives_ms
        self._pack = pack
        source: Source = series.source
        self._property = source.property
        self._refuse = frozenset(int(each) for each in source.refuse)
        self._where: tuple[Filter, ...] = source.where

    def change(self, event: Event, group: str, currency: str) -> bytes | None:
        if self._refuse and event.reliability in self._refuse:
            return None
        for one in self._where:
            if not one.passes(property_of(event, one.property, group, currency)):
                return None
        value = property_of(event, self._property, group, currency) if self._property else 1
        return None if value is None else self._pack(event.occurred_at_ms, value)


def _feeds(own: tuple[Series, ...]) -> list[_Feed]:
    """Return the feeds of one definition's series."""
    kinds = {series.keeps: series for series in own}
    if Keeps.LATEST in kinds:
        return [_Feed(kinds[Keeps.LATEST], _pair(Op.LAST, kinds[Keeps.LATEST_AT], kinds[Keeps.LATEST]))]
    if Keeps.FIRST in kinds:
        return [_Feed(kinds[Keeps.FIRST], _pair(Op.FIRST, kinds[Keeps.FIRST_AT], kinds[Keeps.FIRST]))]
    if Keeps.SET in kinds:
        return [_Feed(kinds[Keeps.SET], _distinct(kinds[Keeps.SET], kinds[Keeps.REGISTERS]))]
    return [_Feed(series, _single(series)) for series in own]


def _single(series: Series) -> _Pack:
    series_id, size = series.series_id, series.bucket_ms
    if series.keeps is Keeps.LATEST_AT:
        latest = KEY.pack(series_id, 0)
        return lambda at_ms, value: CHANGE.pack(Op.MAX, latest, at_ms, _NOTHING, 0.0)
    if series.keeps is Keeps.MICROS or series.source.property:
        money = series.keeps is Keeps.MICROS

        def add(at_ms: int, value: Property) -> bytes | None:
            micros = _micros(value)
            if micros is None:
                return None
            return CHANGE.pack(Op.ADD, KEY.pack(series_id, at_ms // size), micros if money else 1.0, _NOTHING, 0.0)

        return add
    return lambda at_ms, value: CHANGE.pack(Op.ADD, KEY.pack(series_id, at_ms // size), 1.0, _NOTHING, 0.0)


def _micros(value: Property) -> float | None:
    if isinstance(value, (bool, str)) or not isfinite(value):
        return None
    return float(round(min(max(value, -LARGEST), LARGEST) * 1e6))


def _pair(op: Op, times: Series, values: Series) -> _Pack:
    column = values.definition.input
    by_bucket = op is Op.FIRST

    def pair(at_ms: int, value: Property) -> bytes | None:
        number = _column_number(column, value)
        if number is None:
            return None
        slot = at_ms // values.bucket_ms if by_bucket else 0
        return CHANGE.pack(op, KEY.pack(times.series_id, slot), at_ms, KEY.pack(values.series_id, slot), number)

    return pair


def _column_number(column: Input, value: Property) -> float | None:
    try:
        if column.type in (InputType.INT, InputType.FLOAT) and not isinstance(value, (bool, str)):
            value = min(max(value, -(2.0**53)), 2.0**53) if column.type is InputType.FLOAT else value
        return column.encode(value)
    except ValueError:
        return None


def _distinct(hashes: Series, registers: Series) -> _Pack:
    most = float(hashes.definition.exact_up_to + 1)
    other = KEY.pack(registers.series_id, 0)

    def seen(at_ms: int, value: Property) -> bytes:
        # Text, numbers and truth values are told apart; 1 and 1.0 are the same number.
        text = value if isinstance(value, str) else repr(value) if isinstance(value, bool) else repr(float(value))
        digest = blake2b(f"{type(value) is str:d}{text}".encode("utf-8", "surrogatepass"), digest_size=4).digest()
        key = KEY.pack(hashes.series_id, int.from_bytes(digest, "little"))
        return CHANGE.pack(Op.DISTINCT, key, at_ms // hashes.bucket_ms, other, most)

    return seen


def _most(series: Series) -> int:
    if series.keeps in (Keeps.LATEST_AT, Keeps.LATEST):
        return 1
    if series.keeps is Keeps.SET:
        return series.definition.exact_up_to + 1
    return REGISTERS if series.keeps is Keeps.REGISTERS else series.buckets


def refused(classes: Sequence[str]) -> tuple[Reliability, ...]:
    """Return classes of reliability by their names, in order, each once."""
    return tuple(sorted({Reliability[name.upper()] for name in classes}))
