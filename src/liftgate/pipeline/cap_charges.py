"""Charges: what a choice counts against caps of persons, accounts and everybody, and until when."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.calendar import Calendar
from liftgate.domain.offer import Cap
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.domain.total_counter import bucket_until, paced
from liftgate.pipeline.cap_watches import UNLIMITED
from liftgate.pipeline.ports import MARKER, Charge, TotalUse

DEFERRED_LEASE_MS = 600_000
"""Shortest time that a deferred decision holds its places: 10 minutes, the default lease of caps that count exposures."""
_EXCLUDED = Reason.EXCLUDED
Charged = dict[tuple[Any, ...], tuple[Charge, ...]]
"""What people's histories are charged for a choice, by all that it depends on: many people of a batch are charged the same."""
Used = dict[tuple[Any, ...], tuple[TotalUse, ...]]
"""What rows count against total counters and depend on there, likewise. Rows alike share one value, which a store can take once."""


def receipt_id(cap: Cap) -> bytes:
    """Return the eight bytes under which a person's contact history remembers charges to a total counter."""
    return blake2b(b"receipt" + cap.cap_id, digest_size=8).digest()


class CapCharges:
    """What choices are charged. Columns are the bundle's `caps`: those of people, then of accounts, then totals."""

    def __init__(
        self,
        bundle: Bundle,
        calendar: Calendar,
        limits: NDArray[np.int64],
        spends: NDArray[np.int64],
        once: Bools,
        contacts: Mapping[str, Sequence[int]],
        totals_of: Sequence[Sequence[int]],
    ) -> None:
        """Take [caps] limits; [K, caps] 1 where choosing the offer is charged; [caps] which of them a slate is charged once at most.

        `contacts`, by channel: caps charged once a decision that shows anything. `totals_of`, by placement: totals that concern it.
        """
        caps = self.caps = bundle.caps
        self._bundle, self._calendar, self._limits, self._once = bundle, calendar, limits, once
        self._contacts, self._totals_of = contacts, totals_of
        charged = [[c for c in own if spends[k, c]] for k, own in enumerate(bundle.offer_caps)]
        self._charged, self._charged_to_account, self._counted = (
            [[c for c in columns if caps[c].scope == scope] for columns in charged] for scope in ("person", "account", "total")
        )
        """By offer."""
        self._totalled = frozenset(k for k, columns in enumerate(self._counted) if columns)
        self._receipts = [receipt_id(cap) for cap in caps]
        self.even = any(cap.even for cap in caps)
        """Limits of some grow with their window."""
        by_context = bool(contacts) or any(cap.zone == "person" for cap in caps)
        asked = ("placement_id", "slot_count", "deferred", *(("context.channel", "context.time_zone") if by_context else ()))
        self.asked: Callable[[DecideRequest], tuple[Any, ...]] = attrgetter(*asked)
        """All of a request that its charges depend on."""

    def limits_at(self, now_ms: int) -> NDArray[np.int64]:
        """Return [caps] limits at a moment: an evenly paced one grows with its window."""
        if not self.even:
            return self._limits
        limits = self._limits.copy()
        for c, cap in enumerate(self.caps):
            if cap.even and cap.period is not None:
                start, end = self._calendar.window(cap.period, now_ms)
                limits[c] = paced(cap.limit, start, end, now_ms)
        return limits

    def charged(self, chosen: tuple[int, ...], request: DecideRequest, now_ms: int, shows: bool, known: Charged) -> tuple[Charge, ...]:
        """Return `charges`, from `known` where somebody of the batch was charged the same."""
        alike = chosen, shows, self.asked(request), now_ms
        found = known.get(alike)
        if found is None:
            found = known[alike] = self.charges(chosen, request, now_ms, shows)
        return found

    def charges(self, chosen: Sequence[int], request: DecideRequest, now_ms: int, shows: bool) -> tuple[Charge, ...]:
        """Return what the person's history is charged for a choice; `shows`: the decision shows anything, the default included."""
        found = [self._charge(c, request, now_ms) for k in chosen for c in self._charged[k]]
        if self._contacts and shows:
            found += [self._charge(c, request, now_ms) for c in self._contacts.get(request.context.channel, ())]
        return tuple(found)

    def _charge(self, column: int, request: DecideRequest, now_ms: int) -> Charge:
        cap = self.caps[column]
        until = self.until(cap, now_ms, request.context.time_zone)
        # A lease may outlive a calendar window: an exposure in the next one counts there.
        live_until = now_ms + self._lease_ms(cap, request) if cap.counts == "exposure" or request.deferred else until
        # What excludes others is watched for their sake and never refused itself.
        limit = MARKER if cap.reason is _EXCLUDED else UNLIMITED if cap.shadow else cap.limit
        return Charge(cap.cap_id, limit, live_until, until)

    def _lease_ms(self, cap: Cap, request: DecideRequest) -> int:
        """Return how long a place is held. Of a deferred decision: as long as the answer may be shown, and 10 minutes at the least."""
        if cap.counts == "exposure":
            return cap.lease_ms
        place = self._bundle.placements[self._bundle.placement_index[request.placement_id]]
        lease_ms = max(place.valid_for_ms, DEFERRED_LEASE_MS)
        return lease_ms if cap.period is not None else min(lease_ms, cap.window_ms)

    def account(self, chosen: Sequence[int], request: DecideRequest, now_ms: int) -> tuple[Charge, ...]:
        """Return what the account's history is charged for a choice."""
        return tuple([self._charge(c, request, now_ms) for k in chosen for c in self._charged_to_account[k]])

    def totals(
        self, batch: Batch, row: int, chosen: tuple[int, ...], now_ms: int, room: bytes = b"", known: Used | None = None
    ) -> tuple[TotalUse, ...]:
        """Return what the row counts against total counters and depends on there; `room` is its one of `total_rooms`.

        From `known` where another row is alike. Of a choice only which of its offers count matters, in whatever order.
        """
        columns = self._totals_of[batch.placement[row]]
        if not columns:
            return ()
        known, request = {} if known is None else known, batch.requests[row]
        alike = (self._totalled.intersection(chosen), request.placement_id, request.slot_count, request.deferred, room, now_ms)
        found = known.get(alike)
        if found is None:
            found = known[alike] = self._totals(columns, batch, row, chosen, now_ms)
        return found

    def _totals(self, columns: Sequence[int], batch: Batch, row: int, chosen: Sequence[int], now_ms: int) -> tuple[TotalUse, ...]:
        request = batch.requests[row]
        limits, room, counted = self.limits_at(now_ms).tolist(), batch.cap_room[row].tolist(), [c for k in chosen for c in self._counted[k]]
        used = []
        for c in columns:
            count = counted.count(c)
            if room[c] <= 0 and not count:
                continue
            cap, limit = self.caps[c], limits[c]
            most = max(limit - room[c], limit - (1 if self._once[c] else request.slot_count))
            if cap.shadow:
                most = limit = UNLIMITED
            leased = cap.counts == "exposure" or request.deferred
            until = bucket_until(now_ms, self._lease_ms(cap, request)) if leased else self.total_until(cap, now_ms)
            used.append(TotalUse(cap.cap_id, self._receipts[c], most, limit, until, leased, count))
        return tuple(used)

    def until(self, cap: Cap, at_ms: int, time_zone: str = "") -> int:
        """Return when an event of that moment counts no more: the end of its rolling or calendar window."""
        if cap.period is None:
            return at_ms + cap.window_ms
        return self._calendar.window(cap.period, at_ms, time_zone if cap.zone == "person" else "")[1]

    def total_until(self, cap: Cap, at_ms: int) -> int:
        """Return the bucket that an event of that moment counts in."""
        return bucket_until(at_ms, cap.window_ms) if cap.period is None else self._calendar.window(cap.period, at_ms)[1]
