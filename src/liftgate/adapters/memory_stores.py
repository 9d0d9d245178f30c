"""Profiles and reservations in memory, for decisions that leave no trace. Held to the same contract suite as Redis: `tests/contract`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import monotonic

from liftgate.domain.contact_history import ENTRY
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.input import InputSchema
from liftgate.domain.profile import unpack
from liftgate.pipeline.ports import Amendment, Claim, ClaimOutcome, ClaimStatus, Fetched, PersonKey

MAX_ENTRIES = 512

History = dict[tuple[str, bool], bytes]
"""Contact history by (person id, ghost)."""


@dataclass
class MemoryProfileStore:
    """A ProfileStore over dictionaries. Share `history` with a MemoryReservations to see what it charges."""

    packed: dict[str, bytes] = field(default_factory=dict)
    consent: dict[str, bytes] = field(default_factory=dict)
    history: History = field(default_factory=dict)
    down: bool = False
    """True: every call raises StoreUnavailable."""
    fetches: int = 0
    """Calls so far."""

    async def fetch(self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None = None) -> Fetched:
        """See `pipeline.ports.ProfileStore`."""
        self.fetches += 1
        if self.down:
            raise StoreUnavailable("switched off")
        return Fetched(
            unpack(schema, [self.packed.get(person.person_id) for person in people]),
            [self.consent.get(person.person_id) for person in people],
            [self.history.get((person.person_id, person.ghost)) for person in people],
            real_history={row: self.history.get((person.person_id, False)) for row, person in enumerate(people) if person.both},
        )


@dataclass
class _Memory:
    fingerprint: bytes
    response: bytes
    record: bytes | None
    """None: logged."""
    ends_s: float


@dataclass
class MemoryReservations:
    """Reservations over dictionaries. The horizon runs on `clock` (seconds), everything else on the claims' own time."""

    history: History = field(default_factory=dict)
    horizon_ms: int = 60_000
    clock: Callable[[], float] = monotonic
    down: bool = False
    """True: every call raises StoreUnavailable."""
    confirmed: int = 0
    """Records dropped by `confirm` so far."""
    _memory: dict[tuple[str, str], _Memory] = field(default_factory=dict)

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        self._check()
        return [self._reserve(claim) for claim in claims]

    async def look(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        self._check()
        return [self._known(claim) or ClaimOutcome(ClaimStatus.MADE) for claim in claims]

    async def confirm(self, claims: Sequence[Claim]) -> None:
        """See `pipeline.ports.Reservations`."""
        self._check()
        for claim in claims:
            known = self._known(claim)
            if known is not None and known.status is ClaimStatus.DUPLICATE_PENDING:
                self._memory[claim.person_id, claim.request_id].record = None
                self.confirmed += 1

    async def amend(self, amendments: Sequence[Amendment]) -> None:
        """See `pipeline.ports.Reservations`."""
        self._check()
        for amendment in amendments:
            self._amend(amendment.claim, amendment.response)

    def _amend(self, claim: Claim, response: bytes) -> None:
        known = self._known(claim)
        if known is not None:
            pending = known.status is ClaimStatus.DUPLICATE_PENDING
            if not pending or known.response != claim.response:
                return
            del self._memory[claim.person_id, claim.request_id]
        if claim.request_id and response:
            ends_s = self.clock() + self.horizon_ms / 1000
            self._memory[claim.person_id, claim.request_id] = _Memory(claim.fingerprint, response, None, ends_s)
        who = (claim.person_id, claim.ghost)
        kept = [entry for entry in ENTRY.iter_unpack(self.history.get(who, b"")) if entry[1] != claim.reservation_id]
        self.history[who] = b"".join(ENTRY.pack(*entry) for entry in kept)

    def _check(self) -> None:
        if self.down:
            raise StoreUnavailable("switched off")

    def _known(self, claim: Claim) -> ClaimOutcome | None:
        memory = self._memory.get((claim.person_id, claim.request_id)) if claim.request_id else None
        if memory is None or memory.ends_s <= self.clock():
            return None
        if memory.fingerprint != claim.fingerprint:
            return ClaimOutcome(ClaimStatus.MISMATCH)
        if memory.record is None:
            return ClaimOutcome(ClaimStatus.DUPLICATE_LOGGED, response=memory.response)
        return ClaimOutcome(ClaimStatus.DUPLICATE_PENDING, response=memory.response, record=memory.record)

    def _reserve(self, claim: Claim) -> ClaimOutcome:
        known = self._known(claim)
        if known is not None:
            return known
        if claim.charges or claim.watch.entries:
            lost = self._charge(claim)
            if lost is not None:
                return lost
        if claim.request_id:
            ends_s = self.clock() + self.horizon_ms / 1000
            self._memory[claim.person_id, claim.request_id] = _Memory(claim.fingerprint, claim.response, claim.record, ends_s)
        return ClaimOutcome(ClaimStatus.MADE)

    def _charge(self, claim: Claim) -> ClaimOutcome | None:
        who = (claim.person_id, claim.ghost)
        raw = self.history.get(who, b"")
        if len(raw) % ENTRY.size:
            return ClaimOutcome(ClaimStatus.CAP_REACHED, charge=0, history=raw)
        live = [entry for entry in ENTRY.iter_unpack(raw) if entry[2] > claim.now_ms]
        pruned = b"".join(ENTRY.pack(*entry) for entry in live)
        used = Counter(entry[0] for entry in live)
        if any(used[cap_id] > most for cap_id, most in claim.watch.entries):
            return ClaimOutcome(ClaimStatus.CAP_REACHED, charge=-1, history=pruned)
        added = b""
        for i, charge in enumerate(claim.charges):
            if used[charge.cap_id] >= charge.limit or len(live) + i >= MAX_ENTRIES:
                return ClaimOutcome(ClaimStatus.CAP_REACHED, charge=i, history=pruned)
            used[charge.cap_id] += 1
            added += ENTRY.pack(charge.cap_id, claim.reservation_id, charge.live_until_ms, charge.until_ms)
        self.history[who] = pruned + added
        return None
