"""Events counted in memory, beside the stores of `memory_stores`. Held to the same contract suite as Redis: `tests/contract`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from liftgate.adapters.memory_stores import Entry, History, Totals
from liftgate.adapters.redis_contacts import event_entry_id
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.feature import FeatureChange
from liftgate.domain.pause import Pause
from liftgate.pipeline.contact_ports import CapCount, ContactEvent, CountStatus
from liftgate.pipeline.event_ports import EventKey
from liftgate.signals.cell import apply, packed, pruned, unpacked, unpacked_upkeep

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
    features: dict[str, bytes] = field(default_factory=dict)
    """Feature states by person."""
    _known: set[EventKey] = field(default_factory=set)

    async def count(self, events: Sequence[ContactEvent], others: Sequence[EventKey] = ()) -> Sequence[CountStatus]:
        """See `pipeline.contact_ports.ContactEvents`."""
        if self.down:
            raise StoreUnavailable("switched off")
        self._known.update(others)
        return [self._count(event) for event in events]

    def _count(self, event: ContactEvent) -> CountStatus:
        if event.key in self._known:
            return CountStatus.KNOWN
        self._known.add(event.key)
        person = event.key.person_id
        applied = event.features is None or self._apply(person, event.features)
        if event.features and not (event.caps or event.account_caps or event.totals or event.pauses):
            return CountStatus.COUNTED if applied else CountStatus.IN_PART
        sides = [_Book(self.history.get((person, ghost), b""), event) for ghost in (False, True)]
        held = [bool(event.reservation_id) and any(e[1] == event.reservation_id for e in book.entries) for book in sides]
        known = any(held) and not event.partly
        ghost = held[1] and not held[0] if known else event.held_out and (held[1] or not event.partly)
        whole = sides[ghost].count(event.caps, sides[not ghost] if event.partly else None)
        if event.unsure and ghost and not held[1]:
            whole = sides[False].count(event.caps) and whole
            self._count_totals(sides, [False], event)
        if event.account_id and event.account_caps:
            books = [_Book(self.accounts.get((event.account_id, side), b""), event) for side in (False, True)]
            whole = books[ghost].count(event.account_caps, books[not ghost] if event.partly else None) and whole
            for side in (False, True) if event.partly else (ghost,):
                self.accounts[event.account_id, side] = books[side].packed()
        self._count_totals(sides, [ghost, not ghost] if event.partly else [ghost], event)
        if event.both:
            self._count_totals(sides, [not ghost], event)
        for pause in event.pauses:
            for side in (False, True) if event.held_out and not event.partly else (False,):
                whole = sides[side].pause(pause) and whole
        for side, book in zip((False, True), sides, strict=True):
            self.history[person, side] = book.packed()
        return CountStatus.COUNTED if whole and applied and not sides[ghost].damaged else CountStatus.IN_PART

    def _apply(self, person_id: str, change: FeatureChange) -> bool:
        """Change a person's features; False: what was there was no state, and it has been begun anew."""
        state = unpacked(self.features.get(person_id))
        changed = {} if state is None else state
        apply(changed, change.cells)
        found = packed(pruned(changed, unpacked_upkeep(change.upkeep).bounds))
        if found is not None:
            self.features[person_id] = found
        return state is not None

    def _count_totals(self, books: Sequence[_Book], order: Sequence[bool], event: ContactEvent) -> None:
        """Count on the first side of `order` (is it the ghosts'?), or on the one on which the charge's receipt lies."""
        for total in event.totals:
            leases = ((side, books[side].find(total.receipt_id, event.reservation_id, leased=False)) for side in order)
            known = event.reservation_id and next(((side, lease) for side, lease in leases if lease is not None), None)
            side, lease = known or (order[0], None)
            if lease is not None and lease[3] == 0:
                continue  # a decision that has counted already
            buckets = self.totals.setdefault((total.cap_id, side), {})
            if lease is not None:
                buckets[lease[3]] = max(buckets.get(lease[3], 0) - 1, 0)
                books[side].entries.remove(lease)
            if (lease is not None or not total.leased_only) and total.bucket_until_ms > event.now_ms:
                buckets[total.bucket_until_ms] = buckets.get(total.bucket_until_ms, 0) + 1
                if total.once and event.reservation_id:
                    books[side].add((total.receipt_id, event.reservation_id, total.bucket_until_ms, 0.0))


class _Book:
    def __init__(self, raw: bytes, event: ContactEvent) -> None:
        self._raw, self._event = raw, event
        self._id = event_entry_id(event.key.event_id)
        self.damaged = bool(len(raw) % ENTRY.size)
        self.entries: list[Entry] = [] if self.damaged else [entry for entry in ENTRY.iter_unpack(raw) if entry[2] > event.now_ms]

    def find(self, cap_id: bytes, reservation_id: bytes, leased: bool) -> Entry | None:
        wanted = (e for e in self.entries if e[0] == cap_id and e[1] == reservation_id and (not leased or e[2] != e[3]))
        return next(wanted, None)

    def add(self, entry: Entry) -> bool:
        """Add an entry; False: there is no place."""
        if self.damaged or len(self.entries) >= MAX_ENTRIES:
            return False
        self.entries.append(entry)
        return True

    def count(self, caps: Sequence[CapCount], beside: _Book | None = None) -> bool:
        """Count against caps; `beside` is where leases may lie too. False: not all found a place."""
        event, whole = self._event, True
        for cap in caps:
            found: list[tuple[_Book, Entry]] = []
            for book in (self, *([] if beside is None else [beside])):
                lease = book.find(cap.cap_id, event.reservation_id, leased=True) if event.reservation_id else None
                if lease is not None and (not found or event.both):
                    found.append((book, lease))
            for book, lease in found:
                book.commit(lease, cap)
            if found or cap.leased_only or cap.until_ms <= event.now_ms:
                continue
            name = event.reservation_id or NOBODY if cap.once else self._id
            others = beside is not None and cap.once and beside.find(cap.cap_id, name, leased=False) is not None
            if not others and self.find(cap.cap_id, name, leased=False) is None:
                whole = self.add((cap.cap_id, name, cap.until_ms, cap.until_ms)) and whole
        return whole

    def commit(self, lease: Entry, cap: CapCount) -> None:
        """Make a lease count for its window."""
        event = self._event
        until = lease[3] if cap.lease_window and event.occurred_at_ms < lease[3] else cap.until_ms
        at = self.entries.index(lease)
        self.entries[at : at + 1] = [(lease[0], lease[1], until, until)] if until > event.now_ms else []

    def pause(self, pause: Pause) -> bool:
        event = self._event
        live_until = event.occurred_at_ms + pause.within_ms + pause.lasts_ms
        if live_until <= event.now_ms or self.find(pause.outcome_id, self._id, leased=False) is not None:
            return True
        whole = self.add((pause.outcome_id, self._id, live_until, event.occurred_at_ms))
        times = sorted(entry[3] for entry in self.entries if entry[0] == pause.outcome_id)
        ends = [
            times[i] + pause.lasts_ms
            for i in range(pause.after - 1, len(times))
            if pause.after == 1 or times[i] - times[i - pause.after + 1] < pause.within_ms
        ]
        if ends and ends[-1] > event.now_ms:
            paused = self.find(pause.cap_id, NOBODY, leased=False)
            if paused is None:
                whole = self.add((pause.cap_id, NOBODY, ends[-1], ends[-1])) and whole
            elif ends[-1] > paused[2]:
                self.entries[self.entries.index(paused)] = (pause.cap_id, NOBODY, ends[-1], ends[-1])
        if len(times) > MAX_OUTCOMES:
            self.entries.remove(next(e for e in self.entries if e[0] == pause.outcome_id and e[3] == times[0]))
        return whole

    def packed(self) -> bytes:
        return self._raw if self.damaged else b"".join(ENTRY.pack(*entry) for entry in self.entries)
