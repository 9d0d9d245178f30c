"""Calendar windows: the local hour, day, week or month that a moment lies in, daylight saving included."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

Period = Literal["hour", "day", "week", "month"]
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = 4096
"""Windows remembered: more than there are zones and kinds of window."""


class Calendar:
    """Windows in the bundle's zone and in people's zones. The last window of each zone is kept: a batch asks for the same one."""

    __slots__ = ("_known", "_zone", "_zones")

    def __init__(self, zone: ZoneInfo, zones: Mapping[str, ZoneInfo]) -> None:
        """`zones` are those that a person's zone is looked up in; any other name stands for `zone`."""
        self._zone = zone
        self._zones = zones
        self._known: dict[tuple[Period, str], tuple[int, int]] = {}

    def window(self, period: Period, at_ms: int, zone_name: str = "") -> tuple[int, int]:
        """Return [start, end) in milliseconds since the epoch. `zone_name`: the person's zone, empty: the bundle's."""
        key = (period, zone_name)
        known = self._known.get(key)
        if known is not None and known[0] <= at_ms < known[1]:
            return known
        if len(self._known) > _KEPT:
            self._known.clear()
        found = self._known[key] = window(period, at_ms, self._zones.get(zone_name, self._zone))
        return found


def window(period: Period, at_ms: int, zone: ZoneInfo) -> tuple[int, int]:
    """Return [start, end) of the local period that `at_ms` lies in.

    A day lasts from one local midnight to the next: 23 or 25 hours when clocks change. A week begins on Monday. Where clocks skip a
    midnight, the day begins when they do; where they repeat one, at the first. An hour that clocks repeat is two hours.
    """
    local = (_EPOCH + at_ms * _MS).astimezone(zone).replace(tzinfo=None)
    begins = _truncated(period, local)
    ends = _next(period, begins)
    if period == "hour":
        # Clocks may be set back by two hours.
        edges = [edge for hours in (-2, -1, 0, 1) for edge in _moments(begins + timedelta(hours=hours), zone)]
        return max(edge for edge in edges if edge <= at_ms), min(edge for edge in edges if edge > at_ms)
    start, end = _moments(begins, zone)[0], _moments(ends, zone)[0]
    while end <= at_ms:
        # Clocks were set back over the boundary: it had been reached, so the new period goes on.
        begins, ends = ends, _next(period, ends)
        start, end = end, _moments(ends, zone)[0]
    return start, end


def _truncated(period: Period, local: datetime) -> datetime:
    hour = local.replace(minute=0, second=0, microsecond=0)
    if period == "hour":
        return hour
    day = hour.replace(hour=0)
    if period == "day":
        return day
    return day - timedelta(days=day.weekday()) if period == "week" else day.replace(day=1)


def _next(period: Period, begins: datetime) -> datetime:
    if period == "month":
        return (begins + timedelta(days=32)).replace(day=1)
    return begins + {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}[period]


def _moments(local: datetime, zone: ZoneInfo) -> list[int]:
    """Return when a wall clock shows `local`: once, twice when clocks are set back over it; skipped: when they are set forward."""
    first, second = (_ms(local.replace(tzinfo=zone, fold=fold)) for fold in (0, 1))
    if first <= second:
        return [first] if first == second else [first, second]
    # Skipped: between the two readings lies the change; the wall clock is past `local` from then on.
    low, high = second, first
    while high - low > 1:
        middle = (low + high) // 2
        if (_EPOCH + middle * _MS).astimezone(zone).replace(tzinfo=None) < local:
            low = middle
        else:
            high = middle
    return [high]


def _ms(moment: datetime) -> int:
    return (moment.astimezone(UTC) - _EPOCH) // _MS
