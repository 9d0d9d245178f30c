"""What a feature kept fresh by events is: which events it takes, what it makes of them, and over which time."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Literal, NamedTuple

from liftgate.domain.event import Event, Property, Reliability
from liftgate.domain.input import Input

Aggregate = Literal["count", "sum", "mean", "rate", "last", "first", "recency", "distinct"]

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
BUCKETS_MS = (
    *(n * unit for unit in (SECOND, MINUTE) for n in (1, 2, 5, 10, 15, 30)),
    *(n * HOUR for n in (1, 2, 3, 4, 6, 8, 12, 24)),
)
"""Lengths that a bucket may have, shortest first."""
MOST_BUCKETS = 96
"""A window has at most so many buckets."""
SHORTEST_MS, LONGEST_MS = MINUTE, 90 * DAY
"""Of windows."""
STEPS = 8
"""Buckets in one half-life."""
HALF_LIVES = 10
"""After so many an event counts less than a thousandth, and no more."""
LONGEST_HALF_LIFE_MS = 30 * DAY
BUILT_IN = ("value", "offer", "group", "channel", "device", "placement", "name", "jurisdiction")
"""What every event can be asked beside its declared properties. `value` is money in the bundle's currency."""


def bucket_ms(window_ms: int) -> int | None:
    """Return the length of a window's buckets: the shortest that the window is a whole number of, 96 at most. None: there is none."""
    return next((size for size in BUCKETS_MS if window_ms % size == 0 and window_ms // size <= MOST_BUCKETS), None)


@dataclass(frozen=True, slots=True)
class Filter:
    """One demand on a property. An event without the property does not meet it."""

    property: str
    values: tuple[Property, ...] = ()
    """It is one of these; empty: it is a number within the bounds."""
    low: float = -inf
    high: float = inf

    def passes(self, value: Property | None) -> bool:
        """Say whether a property's value meets the demand; None: the event does not have it."""
        if value is None:
            return False
        if self.values:
            return any(value == one and isinstance(value, bool) == isinstance(one, bool) for one in self.values)
        return not isinstance(value, (str, bool)) and self.low <= value <= self.high


@dataclass(frozen=True, slots=True)
class Source:
    """Which events a feature takes."""

    signal: str
    """Name of a kind, or of a custom event."""
    property: str = ""
    """What of the event is used; empty: that it happened."""
    where: tuple[Filter, ...] = ()
    refuse: tuple[Reliability, ...] = ()
    """Classes of reliability that do not count."""


@dataclass(frozen=True, slots=True)
class Definition:
    """One feature that events keep fresh."""

    input: Input
    index: int
    """Of the input."""
    aggregate: Aggregate
    source: Source
    per: Source | None = None
    """For rate: the events that it is per one of."""
    window_ms: int = 0
    """Length of the rolling window; 0: see `half_life_ms`."""
    half_life_ms: int = 0
    exact_up_to: int = 0
    """For distinct: above it the number is an estimate."""
    unit_ms: int = 1_000
    """For recency: the unit of the value."""
    source_line: str = ""
    """File and line where it is defined."""

    @property
    def bucket_ms(self) -> int:
        """Length of one bucket."""
        return self.half_life_ms // STEPS if self.half_life_ms else bucket_ms(self.window_ms) or self.window_ms

    @property
    def buckets(self) -> int:
        """How many buckets count, the current one included."""
        return STEPS * HALF_LIVES if self.half_life_ms else self.window_ms // self.bucket_ms


class FeatureChange(NamedTuple):
    """What one event changes of its person's feature state."""

    cells: bytes
    """What becomes of which cells, packed as `signals/cell.py` says."""
    lives_ms: float
    """How long from now that can matter."""
    upkeep: bytes
    """What of a whole state is of no more use by now, packed; the same bytes for all events of some seconds."""


def property_of(event: Event, name: str, group: str, currency: str) -> Property | None:
    """Return what an event says under a name; None: nothing. `group`: of its offer. Money in another currency counts as none."""
    if name == "value":
        return event.value if event.currency in ("", currency) else None
    if name in BUILT_IN:
        text: str = group if name == "group" else getattr(event, _FIELDS.get(name, name))
        return text or None
    return event.properties.get(name)


_FIELDS = {"offer": "offer_id", "placement": "placement_id"}
