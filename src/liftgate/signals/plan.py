"""One bundle's features from events: what each event changes, and what is of no more use. Compiled once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import NamedTuple

from liftgate.domain.errors import BadInput
from liftgate.domain.event import Event, Reliability
from liftgate.domain.feature import Definition, FeatureChange
from liftgate.signals.cell import BOUND, CELL, REGISTERS, Bound, Until, packed_upkeep
from liftgate.signals.feeds import Fed, Feed, feeds_of, takes
from liftgate.signals.packing import AtOnce, at_once, plain
from liftgate.signals.series import Keeps, Series, series_of

AHEAD_MS = 5 * 60 * 1000
"""Events may lie so far ahead of the clock that receives them."""
_BOUNDS_MS = 10_000
"""What is of no more use is worked out anew so often."""
_change = partial(tuple.__new__, FeatureChange)
"""Makes a `FeatureChange` of its parts, without a call of Python's."""
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


class _Feeds(NamedTuple):
    """What feeds the series of one signal and class of reliability."""

    usual: AtOnce | None
    """All that can be told at once, for most events."""
    lives_ms: int
    """How long any of that can matter."""
    others: Sequence[tuple[Feed, int]]
    """The others; how long each can matter, in ms."""
    feeds: Sequence[tuple[Feed, int]]
    """All of them, for events that `usual` gives up."""


def _feeds(taken: Sequence[Fed]) -> _Feeds:
    together = [fed for fed in taken if plain(fed)]
    return _Feeds(
        at_once(together) if together else None,
        max((fed.series.lives_ms for fed in together), default=0),
        [(fed.feed, fed.series.lives_ms) for fed in taken if not plain(fed)],
        [(fed.feed, fed.series.lives_ms) for fed in taken],
    )


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
        feeds: dict[str, dict[int, Fed]] = {}
        for own in self.of_definition:
            for fed in feeds_of(own):
                feeds.setdefault(fed.series.source.signal, {}).setdefault(fed.series.series_id, fed)
        self._feeds: dict[tuple[str, int], _Feeds] = {}
        """By signal and class of reliability."""
        for signal, some in feeds.items():
            for each in Reliability:
                if taken := [fed for fed in some.values() if takes(fed.series, each)]:
                    self._feeds[signal, int(each)] = _feeds(taken)
        self.most_cells = sum(_most(series) for series in self.series)
        """Cells that can matter of one person at one moment."""
        self.longest_ms = max((series.lives_ms for series in self.series), default=0)
        """How long an event can matter at most."""
        self._upkeep = (-1, b"")

    def of(self, event: Event) -> FeatureChange | None:
        """Return what an event changes; None: nothing. See `FeatureUpdates`."""
        cells, lives_ms = self.changes(event)
        if not cells:
            return None
        known, upkeep = self._upkeep
        if known != event.received_at_ms // _BOUNDS_MS:
            upkeep = self._renewed(event.received_at_ms // _BOUNDS_MS)
        return _change((cells, lives_ms + AHEAD_MS, upkeep))

    def _renewed(self, moment: int) -> bytes:
        """Return what is of no more use by now, and keep it."""
        upkeep = packed_upkeep(self.most_bytes, self.packed_bounds(moment * _BOUNDS_MS))
        self._upkeep = (moment, upkeep)
        return upkeep

    def changes(self, event: Event) -> tuple[bytes, int]:
        """Return what an event changes, packed, and how long from now that can matter, in ms. Empty: nothing.

        A late event changes nothing, here as offline.
        """
        found = self._feeds.get((event.signal, event.reliability))
        if found is None or event.late:
            return b"", 0
        group, currency = self._groups.get(event.offer_id, ""), self._currency
        usual, lives_ms, others, feeds = found
        packed = None if usual is None else usual(event, group, currency)
        if packed is None:
            lives_ms, others, packed = 0, feeds, b""
        elif not others:
            return packed, lives_ms
        for feed, own_ms in others:
            change = feed(event, group, currency)
            if change is not None:
                packed += change
                lives_ms = max(lives_ms, own_ms)
        return packed, lives_ms

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


def _most(series: Series) -> int:
    if series.keeps in (Keeps.LATEST_AT, Keeps.LATEST):
        return 1
    if series.keeps is Keeps.SET:
        return series.definition.exact_up_to + 1
    return REGISTERS if series.keeps is Keeps.REGISTERS else series.buckets


def refused(classes: Sequence[str]) -> tuple[Reliability, ...]:
    """Return classes of reliability by their names, in order, each once."""
    return tuple(sorted({Reliability[name.upper()] for name in classes}))
