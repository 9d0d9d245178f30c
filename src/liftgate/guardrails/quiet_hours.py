"""Quiet hours: at night, on the person's own clock, nothing is shown. Whoever's clock is not known is left in peace."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from math import inf
from operator import attrgetter
from zoneinfo import ZoneInfo

import numpy as np

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.guardrails.base import PASSES, Tally, Verdict

_MINUTE_MS = 60_000
_CHANNEL, _ZONE = attrgetter("context.channel"), attrgetter("context.time_zone")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEPT = 4096
"""Zones remembered: more than there are."""


class QuietHours:
    """Denies everything during quiet hours: in the request's time zone, in the bundle's where the request names none."""

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._hours = bundle.suppressions.quiet_hours
        self.idle = self._hours is None
        self._zones = bundle.suppressions.zones
        self._known: dict[str, tuple[int, int]] = {}
        """By zone: the last minute asked for, and what it has against everything. A zone's entry is replaced whole."""
        self._begins: dict[str, tuple[int, float]] = {}
        """By zone: from when on which moment is the next beginning, milliseconds since the epoch."""

    def evaluate(self, batch: Batch) -> Verdict | None:
        """See `Guardrail`."""
        if self._hours is None:
            return None
        if not self.kept(batch):
            return None
        asked = list(zip(map(_CHANNEL, batch.requests), map(_ZONE, batch.requests), (batch.now_ms // _MINUTE_MS).tolist(), strict=True))
        on = self._hours.on
        # Most of a batch ask from the same few zones in the same minute.
        said = {one: self._against(one[1], one[2]) if on(one[0]) else PASSES for one in set(asked)}
        if not any(said.values()):
            return None
        against, tally = list(map(said.__getitem__, asked)), Tally(batch, self._bundle)
        tally.object_with(np.broadcast_to(np.array(against, dtype=np.uint8)[:, None], tally.shape))
        return tally.verdict()

    def kept(self, batch: Batch) -> bool:
        """Say whether anybody of a batch asks on a channel that keeps them."""
        return self._hours is not None and any(map(self._hours.on, set(map(_CHANNEL, batch.requests))))

    def next_ms(self, request: DecideRequest, now_ms: int) -> float:
        """Return when quiet hours begin next for a request that is not in them, milliseconds since the epoch; inf: not on its channel."""
        hours = self._hours
        if hours is None or not hours.on(request.context.channel):
            return inf
        zone_name = request.context.time_zone
        known = self._begins.get(zone_name)
        if known is not None and known[0] <= now_ms < known[1]:
            return known[1]
        zone = self._zones.get(zone_name or self._bundle.time_zone)
        if zone is None:
            return now_ms
        today = (_EPOCH + timedelta(milliseconds=now_ms)).astimezone(zone).date()
        hour, minute = divmod(hours.starts, 60)
        starts = [
            # Where clocks change over it, the earlier reading: a little too early is never too late.
            min(datetime.combine(today + timedelta(days=days), time(hour, minute, fold=fold), zone).timestamp() for fold in (0, 1)) * 1000
            for days in (0, 1, 2)
        ]
        found = min(start for start in starts if start > now_ms)
        if _offset(zone, found) < _offset(zone, now_ms):
            # Clocks are set back before it and may show quiet minutes once more.
            minutes = range(now_ms // _MINUTE_MS, int(found) // _MINUTE_MS)
            found = next((minute * _MINUTE_MS for minute in minutes if self._at(zone, minute)), found)
        if len(self._begins) > _KEPT:
            self._begins.clear()
        self._begins[zone_name] = (now_ms, found)
        return found

    def _against(self, zone_name: str, minute: int) -> int:
        """Return the Reason that a zone's clock has against everything in a minute since the epoch; PASSES: none."""
        known = self._known.get(zone_name)
        if known is not None and known[0] == minute:
            return known[1]
        zone = self._zones.get(zone_name or self._bundle.time_zone)
        found = int(Reason.QUIET_HOURS_UNKNOWN) if zone is None else self._at(zone, minute)
        if len(self._known) > _KEPT:
            self._known.clear()
        self._known[zone_name] = (minute, found)
        return found

    def _at(self, zone: ZoneInfo, minute: int) -> int:
        local = (_EPOCH + timedelta(minutes=minute)).astimezone(zone)
        quiet = self._hours is not None and self._hours.quiet(local.hour * 60 + local.minute)
        return int(Reason.QUIET_HOURS) if quiet else PASSES


def _offset(zone: ZoneInfo, at_ms: float) -> timedelta:
    return (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(zone).utcoffset() or timedelta(0)
