"""Events counted in memory, beside the stores of `memory_stores`. Held to the same contract suite as Redis: `tests/contract`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from liftgate.adapters.memory_stores import Entry, History, Totals
from liftgate.adapters.redis_contacts import event_entry_id
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.pause import Pause
from liftgate.pipeline.contact_ports import CapCount, ContactEvent, CountStatus
from liftgate.pipeline.ports import EventKey

MAX_ENTRIES = 1024
MAX_OUTCOMES = 64
NOBODY = b"\0" * 8


@dataclass
class MemoryContactEvents:
    """ContactEvents over dictionaries; nothing is ever forgotten that was counted."""

    history: History
    accounts: History
    totals: Totals
    down: bool = False
    """True: every call raises StoreUnavailable."""
    _known: set[EventKey] = field(default_factory=set)

    async def count(self, events: Sequence[ContactEvent]) -> Sequence[CountStatus]:
        """See `pipeline.contact_ports.ContactEvents`."""
        if self.down:
            raise StoreUnavailable("switched off")
        return [self._count(event) for event in events]

    def _count(self, event: ContactEvent) -> CountStatus:
        if event.key in self._known:
            return CountStatus.KNOWN
        self._known.add(event.key)
        person = event.key.person_id
        sides = [_Book(self.history.get((person, ghost), b""), event) for ghost in (False, True)]
        held = [bool(event.reservation_id) and any(e[1] == event.reservation_id for e in book.entries) for book in sides]
        ghost = held[1] and not held[0] if any(held) else event.held_out
        whole = sides[ghost].count(event.caps)
        counted = [ghost]
        if event.unsure and ghost and not held[1]:
            whole = sides[False].count(event.caps) and whole
            counted = [False, True]
        if event.account_id and event.account_caps:
            who = (event.account_id, ghost)
            book = _Book(self.accounts.get(who, b""), event)
            whole = book.count(event.account_caps) and whole
            self.accounts[who] = book.packed()
        for side in counted:
            self._count_totals(sides[side], side, event)
        for pause in event.pauses:
            for side in (False, True) if event.held_out else (False,):
                whole = sides[side].pause(pause) and whole
        for side, book in zip((False, True), sides, strict=True):
            self.history[person, side] = book.packed()
        return CountStatus.COUNTED if whole and not sides[ghost].damaged else CountStatus.IN_PART

    def _count_totals(self, book: _Book, ghost: bool, event: ContactEvent) -> None:
        for total in event.totals:
            buckets = self.totals.setdefault((total.cap_id, ghost), {})
            lease = book.find(total.receipt_id, event.reservation_id, leased=False) if event.reservation_id else None
            if lease is not None:
                buckets[lease[3]] = max(buckets.get(lease[3], 0) - 1, 0)
                book.entries.remove(lease)
            if (lease is not None or not total.leased_only) and total.bucket_until_ms > event.now_ms:
                buckets[total.bucket_until_ms] = buckets.get(total.bucket_until_ms, 0) + 1


class _Book:
    def __init__(self, raw: bytes, event: ContactEvent) -> None:
        self._raw, self._event = raw, event
        self._id = event_entry_id(event.key.event_id)
        self.damaged = bool(len(raw) % ENTRY.size)
        self.entries: list[Entry] = [] if self.damaged else [entry for entry in ENTRY.iter_unpack(raw) if entry[2] > event.now_ms]

    def find(self, cap_id: bytes, reservation_id: bytes, leased: bool) -> Entry | None:
        wanted = (e for e in self.entries if e[0] == cap_id and e[1] == reservation_id and (not leased or e[2] != e[3]))
        return next(wanted, None)

    def _add(self, entry: Entry) -> bool:
        if self.damaged or len(self.entries) >= MAX_ENTRIES:
            return False
        self.entries.append(entry)
        return True

    def count(self, caps: Sequence[CapCount]) -> bool:
        event, whole = self._event, True
        for cap in caps:
            lease = self.find(cap.cap_id, event.reservation_id, leased=True) if event.reservation_id else None
            if lease is not None:
                until = lease[3] if cap.lease_window and event.occurred_at_ms < lease[3] else cap.until_ms
                at = self.entries.index(lease)
                self.entries[at : at + 1] = [(lease[0], lease[1], until, until)] if until > event.now_ms else []
            elif not cap.leased_only and cap.until_ms > event.now_ms and self.find(cap.cap_id, self._id, leased=False) is None:
                whole = self._add((cap.cap_id, self._id, cap.until_ms, cap.until_ms)) and whole
        return whole

    def pause(self, pause: Pause) -> bool:
        event = self._event
        live_until = event.occurred_at_ms + pause.within_ms + pause.lasts_ms
        if live_until <= event.now_ms or self.find(pause.outcome_id, self._id, leased=False) is not None:
            return True
        whole = self._add((pause.outcome_id, self._id, live_until, event.occurred_at_ms))
        times = sorted(entry[3] for entry in self.entries if entry[0] == pause.outcome_id)
        ends = [
            times[i] + pause.lasts_ms
            for i in range(pause.after - 1, len(times))
            if pause.after == 1 or times[i] - times[i - pause.after + 1] < pause.within_ms
        ]
        if ends and ends[-1] > event.now_ms:
            paused = self.find(pause.cap_id, NOBODY, leased=False)
            if paused is None:
                whole = self._add((pause.cap_id, NOBODY, ends[-1], ends[-1])) and whole
            elif ends[-1] > paused[2]:
                self.entries[self.entries.index(paused)] = (pause.cap_id, NOBODY, ends[-1], ends[-1])
        if len(times) > MAX_OUTCOMES:
            self.entries.remove(next(e for e in self.entries if e[0] == pause.outcome_id and e[3] == times[0]))
        return whole

    def packed(self) -> bytes:
        return self._raw if self.damaged else b"".join(ENTRY.pack(*entry) for entry in self.entries)
