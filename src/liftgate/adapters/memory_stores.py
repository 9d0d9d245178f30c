"""Profiles and reservations in memory, for decisions that leave no trace. Held to the same contract suite as Redis: `tests/contract`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic

from liftgate.adapters.away import mark_away
from liftgate.domain.contact_history import ENTRY
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.input import InputSchema
from liftgate.domain.profile import unpack
from liftgate.domain.total_counter import BUCKET, total_count
from liftgate.pipeline.ports import MARKER, Amendment, Charge, Claim, ClaimOutcome, ClaimStatus, Fetched, PersonKey, Watch

MAX_ENTRIES = 512

History = dict[tuple[str, bool], bytes]
"""Contact history by (person or account id, ghost)."""
Totals = dict[tuple[bytes, bool], dict[float, float]]
"""Buckets of total counters, end to count, by (cap id, ghost)."""


def packed(buckets: Mapping[float, float]) -> bytes | None:
    """Return a total counter as it is stored."""
    return b"".join(BUCKET.pack(until, buckets[until]) for until in sorted(buckets)) or None


@dataclass
class MemoryProfileStore:
    """A ProfileStore over dictionaries. Share `history` with a MemoryReservations to see what it charges."""

    packed: dict[str, bytes] = field(default_factory=dict)
    consent: dict[str, bytes] = field(default_factory=dict)
    history: History = field(default_factory=dict)
    accounts: History = field(default_factory=dict)
    """The same by account."""
    totals: Totals = field(default_factory=dict)
    lists: dict[str, bytes] = field(default_factory=dict)
    """Memberships by person."""
    verdicts: dict[str, bytes] = field(default_factory=dict)
    """What reviewers said, by person."""
    features: dict[str, bytes] = field(default_factory=dict)
    """What events say, by person: `signals/cell.py` states."""
    told: dict[str, tuple[Sequence[float], Sequence[float]]] = field(default_factory=dict)
    """By person, instead: features that events keep fresh, and their times in seconds."""
    down: bool = False
    """True: every call raises StoreUnavailable."""
    away: Callable[[str], bool] | None = None
    """Says of a person's id whether their server is away; None: nobody's is."""
    fetches: int = 0
    """Calls so far."""

    async def fetch(
        self, people: Sequence[PersonKey], schema: InputSchema, budget_s: float | None = None, totals: Sequence[bytes] = ()
    ) -> Fetched:
        """See `pipeline.ports.ProfileStore`."""
        self.fetches += 1
        if self.down:
            raise StoreUnavailable("switched off")
        found = self._read(people, schema, totals)
        away = self.away
        return found if away is None else mark_away(found, {row for row, person in enumerate(people) if away(person.person_id)})

    def _read(self, people: Sequence[PersonKey], schema: InputSchema, totals: Sequence[bytes]) -> Fetched:
        return Fetched(
            unpack(schema, [self.packed.get(person.person_id) for person in people]),
            [self.consent.get(person.person_id) for person in people],
            [self.history.get((person.person_id, person.ghost)) for person in people],
            real_history={row: self.history.get((person.person_id, False)) for row, person in enumerate(people) if person.both},
            account_history={row: self._account(person) for row, person in enumerate(people) if person.account_id},
            real_account_history={row: self.accounts.get((p.account_id, False)) for row, p in enumerate(people) if p.account_id and p.both},
            verdicts={row: self.verdicts.get(person.person_id) for row, person in enumerate(people) if person.verdicts},
            lists={row: self.lists.get(person.person_id) for row, person in enumerate(people) if person.lists},
            totals=[packed(self.totals.get((cap_id, False), {})) for cap_id in totals],
            features={row: self.features.get(person.person_id) for row, person in enumerate(people) if person.features},
            told={
                row: self.told[person.person_id] for row, person in enumerate(people) if person.features and person.person_id in self.told
            },
        )

    def _account(self, person: PersonKey) -> bytes | None:
        found = [self.accounts.get((person.account_id, ghost), b"") for ghost in ((False, True) if person.ghost else (False,))]
        return b"?" if any(len(raw) % ENTRY.size for raw in found) else b"".join(found) or None


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
    accounts: History = field(default_factory=dict)
    totals: Totals = field(default_factory=dict)
    clock: Callable[[], float] = monotonic
    down: bool = False
    """True: every call raises StoreUnavailable."""
    away: Callable[[str], bool] | None = None
    """Says of a person's id whether their server is away; None: nobody's is."""
    confirmed: int = 0
    """Records dropped by `confirm` so far."""
    _memory: dict[tuple[str, str], _Memory] = field(default_factory=dict)

    async def reserve(self, claims: Sequence[Claim], budget_s: float | None = None) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        away = self._away(claims)
        return [_UNSURE if row in away else self._reserve(claim) for row, claim in enumerate(claims)]

    async def look(self, claims: Sequence[Claim]) -> Sequence[ClaimOutcome]:
        """See `pipeline.ports.Reservations`."""
        if self._away(claims):
            raise StoreUnavailable("switched off")
        return [self._known(claim) or ClaimOutcome(ClaimStatus.MADE) for claim in claims]

    async def confirm(self, claims: Sequence[Claim]) -> None:
        """See `pipeline.ports.Reservations`."""
        away = self._away(claims)
        for row, claim in enumerate(claims):
            known = None if row in away else self._known(claim)
            if known is not None and known.status is ClaimStatus.DUPLICATE_PENDING:
                self._memory[claim.person_id, claim.request_id].record = None
                self.confirmed += 1
        if away:
            raise StoreUnavailable("switched off")

    async def amend(self, amendments: Sequence[Amendment]) -> Collection[int]:
        """See `pipeline.ports.Reservations`."""
        away = self._away([amendment.claim for amendment in amendments], some_answer=False)
        for row, amendment in enumerate(amendments):
            if row not in away:
                self._amend(amendment.claim, amendment.response)
        return away

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
        if response and response == claim.response:
            return
        receipts = {use.receipt_id: use.cap_id for use in claim.totals if use.count or use.withheld}
        for side in (False, True) if claim.partly else (claim.ghost,):
            for entry in self._without(self.history, (claim.person_id, side), claim):
                if entry[0] in receipts:
                    buckets = self.totals.get((receipts[entry[0]], side), {})
                    if buckets.get(entry[3], 0) > 0:
                        buckets[entry[3]] -= 1
            if claim.account is not None:
                self._without(self.accounts, (claim.account.account_id, side), claim)

    @staticmethod
    def _without(histories: History, who: tuple[str, bool], claim: Claim) -> list[Entry]:
        """Take the claim's entries out of a history and return them."""
        entries: list[Entry] = list(ENTRY.iter_unpack(histories.get(who, b"")))
        histories[who] = b"".join(ENTRY.pack(*entry) for entry in entries if entry[1] != claim.reservation_id)
        return [entry for entry in entries if entry[1] == claim.reservation_id]

    def _away(self, claims: Sequence[Claim], some_answer: bool = True) -> frozenset[int]:
        """Return the rows whose server is away. Raises StoreUnavailable where that is all of them and `some_answer` is wanted."""
        if self.down:
            raise StoreUnavailable("switched off")
        away = frozenset() if self.away is None else frozenset([row for row, claim in enumerate(claims) if self.away(claim.person_id)])
        if some_answer and away and len(away) == len(claims):
            raise StoreUnavailable("switched off")
        return away

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
        if claim.charges or claim.watch.entries or claim.account is not None or claim.totals or claim.withheld:
            lost = self._charge(claim)
            if lost is not None:
                return lost
        if claim.request_id:
            ends_s = self.clock() + self.horizon_ms / 1000
            self._memory[claim.person_id, claim.request_id] = _Memory(claim.fingerprint, claim.response, claim.record, ends_s)
        return ClaimOutcome(ClaimStatus.MADE)

    def _charge(self, claim: Claim) -> ClaimOutcome | None:
        now, account = claim.now_ms, claim.account
        who = (claim.person_id, claim.ghost)
        ghosts = self.history.get((claim.person_id, True), b"") if claim.partly else b""
        person = _Book(self.history.get(who, b""), ghosts, claim)
        mine = claim.charges or claim.watch.entries or claim.totals or claim.withheld
        lost = person.judge(claim.charges, claim.watch, claim.withheld) if mine else None
        shared, shown, before = None, b"", len(claim.charges) + len(claim.withheld)
        if account is not None:
            beside = self.accounts.get((account.account_id, claim.partly), b"") if claim.ghost or claim.partly else b""
            shared = _Book(self.accounts.get((account.account_id, claim.ghost), b""), beside, claim)
            found = shared.judge(account.charges, account.watch, account.withheld)
            if lost is None and found is not None:
                lost = found if found < 0 else before + found
            shown = shared.shown
            before += len(account.charges) + len(account.withheld)
        counts, first_total = [], before
        for use in claim.totals:
            counts.append(total_count(packed(self.totals.get((use.cap_id, False), {})), now))
            count = use.count + use.withheld
            if lost is None and counts[-1] > use.most:
                lost = -1
            elif lost is None and count and counts[-1] + count > use.limit:
                lost = before
            before += count
        if lost is None:
            for use in claim.totals:
                receipt_until = use.bucket_until_ms if use.leased else now + self.horizon_ms
                for kept, count in ((person.kept, use.count), (person.beside, use.withheld)):
                    if count and len(kept) + count > MAX_ENTRIES:
                        lost = first_total
                    kept += [(use.receipt_id, claim.reservation_id, receipt_until, use.bucket_until_ms)] * count
        if lost is not None:
            return ClaimOutcome(ClaimStatus.CAP_REACHED, lost, person.shown, shown, tuple(counts))
        if mine:
            self.history[who] = person.packed()
        if account is not None and shared is not None:
            self.accounts[account.account_id, claim.ghost] = shared.packed()
        if claim.partly:
            if mine:
                self.history[claim.person_id, True] = person.packed_beside()
            if account is not None and shared is not None:
                self.accounts[account.account_id, True] = shared.packed_beside()
        for use in claim.totals:
            for side, count in ((claim.ghost, use.count), (True, use.withheld)):
                if count:
                    buckets = self.totals.setdefault((use.cap_id, side), {})
                    buckets[use.bucket_until_ms] = buckets.get(use.bucket_until_ms, 0) + count
        return None


Entry = tuple[bytes, bytes, float, float]
_UNSURE = ClaimOutcome(ClaimStatus.UNSURE)


class _Book:
    """A contact history that a claim is judged by, with what entries beside it count: the account's others, or what was withheld."""

    def __init__(self, raw: bytes, beside: bytes, claim: Claim) -> None:
        self._claim = claim
        self._damaged = bool(len(raw) % ENTRY.size or len(beside) % ENTRY.size)
        self.shown = raw + beside
        self.kept: list[Entry] = []
        self.beside: list[Entry] = []
        if not self._damaged:
            live, others = ([entry for entry in ENTRY.iter_unpack(each) if entry[2] > claim.now_ms] for each in (raw, beside))
            self.kept, self.beside = live, others
            self.shown = b"".join(ENTRY.pack(*entry) for entry in (*live, *others))
            self._used = Counter(entry[0] for entry in (*live, *others))

    def judge(self, charges: Sequence[Charge], watch: Watch, withheld: Sequence[Charge] = ()) -> int | None:
        """Add the charges and return None; or the index of the first without room, -1 for a watched cap. What is withheld goes beside."""
        if self._damaged:
            return 0
        if any(self._used[cap_id] > most for cap_id, most in watch.entries):
            return -1
        lost = self._take(self.kept, charges)
        if lost is None and withheld:
            lost = self._take(self.beside, withheld)
            return lost if lost is None else len(charges) + lost
        return lost

    def _take(self, side: list[Entry], charges: Sequence[Charge]) -> int | None:
        for i, charge in enumerate(charges):
            entry = (charge.cap_id, self._claim.reservation_id, charge.live_until_ms, charge.until_ms)
            used = self._used[charge.cap_id]
            same = [at for at, kept in enumerate(side) if kept[0] == charge.cap_id] if charge.limit >= MARKER and used >= 2 else []
            if same:
                side[min(same, key=lambda at: side[at][2])] = entry
                continue
            if used >= charge.limit or len(side) >= MAX_ENTRIES:
                return i
            self._used[charge.cap_id] += 1
            side.append(entry)
        return None

    def packed(self) -> bytes:
        """Return it as it is stored."""
        return b"".join(ENTRY.pack(*entry) for entry in self.kept)

    def packed_beside(self) -> bytes:
        """Return what is stored beside it."""
        return b"".join(ENTRY.pack(*entry) for entry in self.beside)
