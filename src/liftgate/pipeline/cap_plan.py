"""Caps as columns: how much room each has for each row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import repeat
from operator import attrgetter
from zoneinfo import ZoneInfo, available_timezones

import numpy as np
from numpy.typing import NDArray

from liftgate.bundle.compiled import Bundle
from liftgate.domain.batch import Batch, Bools
from liftgate.domain.calendar import Calendar
from liftgate.domain.contact_history import live_counts
from liftgate.domain.offer import Indices
from liftgate.domain.reason import Reason
from liftgate.domain.request import DecideRequest
from liftgate.domain.total_counter import total_count
from liftgate.pipeline.cap_charges import CapCharges
from liftgate.pipeline.cap_watches import UNLIMITED, CapWatches
from liftgate.pipeline.ports import NOTHING_WATCHED, AccountClaim, Claim, ClaimOutcome, Fetched, Watch

_CHANNEL_OF = attrgetter("context.channel")


@cache
def time_zones() -> Mapping[str, ZoneInfo]:
    """Return every time zone of this machine, read once."""
    return {name: ZoneInfo(name) for name in available_timezones()}


class CapPlan:
    """A bundle's caps, compiled once. Columns are the bundle's `caps`: those of people, then of accounts, then totals."""

    def __init__(self, bundle: Bundle) -> None:
        caps = self.caps = bundle.caps
        self._bundle = bundle
        scopes = [cap.scope for cap in caps]
        self.people: int = scopes.count("person")
        """Columns of people's caps are [0, people)."""
        self.accounts: int = self.people + scopes.count("account")
        """Columns of accounts' caps are [people, accounts), those of totals lie behind."""
        self.total_ids: tuple[bytes, ...] = tuple(cap.cap_id for cap in caps[self.accounts :])
        self.by_account = self.accounts > self.people
        self.one_server = next((f"{cap.source}: {cap.name}" for cap in caps if cap.scope != "person"), "")
        """A cap over several people, which must lie on one server with everything that is charged beside it; empty: there is none."""
        self.calendar = Calendar(ZoneInfo(bundle.time_zone), time_zones() if any(cap.zone == "person" for cap in caps) else {})
        self.soft_ids = frozenset(cap.cap_id for cap in caps if cap.soft)
        self._limits = np.array([cap.limit for cap in caps], dtype=np.int64)
        self._person_ids, self._account_ids = bundle.cap_ids[: self.people], bundle.cap_ids[self.people : self.accounts]
        self._column = {cap.cap_id: c for c, cap in enumerate(caps)}
        self.holds: NDArray[np.int64] = np.zeros((len(bundle.offers), len(caps)), dtype=np.int64)
        """[K, caps] 1 where the cap holds the offer back when it is full."""
        for c, cap in enumerate(caps):
            if not cap.shadow:
                self.holds[cap.offers, c] = 1
        self.spends: NDArray[np.int64] = np.zeros_like(self.holds)
        """[K, caps] 1 where choosing the offer is charged to the cap."""
        for k, own in enumerate(bundle.offer_caps):
            self.spends[k, [c for c in own if caps[c].counts in ("decision", "exposure")]] = 1
        self._read_channels()
        self._read_placements()

    def _read_channels(self) -> None:
        caps = self.caps
        names = sorted({cap.channel for cap in caps if cap.channel})
        self._channel = {name: i + 1 for i, name in enumerate(names)}
        self.by_channel = any(cap.channel is not None for cap in caps)
        # Nobody knows where a request without a channel will go out: it falls under every channel's rules.
        self._absent = len(names) + 1
        self._numbers = self._channel | {"": self._absent}
        applies = np.ones((len(names) + 2, len(caps)), dtype=np.bool_)
        for c, cap in enumerate(caps):
            if cap.channel is not None:
                applies[: self._absent, c] = False
                applies[self._channel.get(cap.channel, 0), c] = True
        self._applies: Bools = applies
        """[channels, caps]; channel 0 is any that no cap names, the last stands for none that was said."""
        self._spared: Bools = ~applies
        contacts = {name: [c for c, cap in enumerate(caps) if cap.channel == name and cap.counts == "decision"] for name in names}
        contacts[""] = [c for columns in contacts.values() for c in columns]
        self._contacts = {name: columns for name, columns in contacts.items() if columns}
        """By channel: caps charged once a decision that shows anything."""
        self._contacts_held = frozenset(
            name for name, columns in self._contacts.items() if any(not caps[c].soft and not caps[c].shadow for c in columns)
        )
        self.plain = not (self.by_channel or self.by_account or self.total_ids)
        """Every cap is a person's, on any channel."""

    def _read_placements(self) -> None:
        held = [[*p.offers.tolist(), *p.defaults] for p in self._bundle.placements]
        touched = [self.holds[offers].any(axis=0) for offers in held]
        self._of: list[list[Indices]] = [[np.flatnonzero(of & applies) for of in touched] for applies in self._applies]
        """By channel and placement: the caps that hold any of its offers back."""
        self._concerns = [[bool(columns.size) for columns in row] for row in self._of]
        self._all_concerned = all(map(all, self._concerns))
        self._accounts_of = [columns[(columns >= self.people) & (columns < self.accounts)] for columns in self._of[0]]
        # In shadow they hold nothing back, and are charged all the same.
        concerned = [touches | self.spends[offers].any(axis=0) for touches, offers in zip(touched, held, strict=True)]
        totals_of = [[c for c in np.flatnonzero(of).tolist() if c >= self.accounts] for of in concerned]
        # A slate of several slots is charged such a cap once at most.
        once: Bools = np.logical_not(self.spends.any(axis=0))
        people_of = [[columns[columns < self.people] for columns in row] for row in self._of]
        self._watches = CapWatches(self._bundle, self._limits, once, self.people, people_of)
        self.charging = CapCharges(self._bundle, self.calendar, self._limits, self.spends, once, self._contacts, totals_of)

    def channel(self, request: DecideRequest) -> int:
        """Return the channel's number among `_applies`."""
        if not self.by_channel:
            return 0
        return self._numbers.get(request.context.channel, 0)

    def _channels(self, batch: Batch) -> Sequence[int]:
        """Return [N] the rows' channels, as `channel` numbers them where any is named."""
        found = batch.cap_channel
        if found is None:
            found = batch.cap_channel = list(map(self._numbers.get, map(_CHANNEL_OF, batch.requests), repeat(0)))
        return found

    def concerned(self, batch: Batch) -> list[bool]:
        """Return [N] whether any cap can hold back an offer of the row's placement."""
        placement = batch.placement.tolist()
        if not self.by_channel:
            concerns = self._concerns[0]
            return [concerns[place] for place in placement]
        if self._all_concerned:
            return [True] * batch.n
        return [self._concerns[channel][place] for channel, place in zip(self._channels(batch), placement, strict=True)]

    def read(self, batch: Batch, histories: Sequence[bytes | None], fetched: Fetched) -> None:
        """Fill in `cap_room` and `cap_paced` from what was fetched; `histories` are the people's."""
        counts = live_counts(histories, self._person_ids, batch.now_ms)
        if self.plain:
            batch.cap_room = self._limits - counts
            return
        n, p, a = batch.n, self.people, self.accounts
        room = np.empty((n, len(self.caps)), dtype=np.int64)
        room[:, :p] = self._limits[:p] - counts
        if self.by_account:
            accounts = [fetched.account_history.get(row) for row in range(n)]
            room[:, p:a] = self._limits[p:a] - live_counts(accounts, self._account_ids, batch.now_ms)
            room[[not request.account_id for request in batch.requests], p:a] = 0
        if self.total_ids:
            totals = fetched.totals or [None] * len(self.total_ids)
            moments = set(batch.now_ms.tolist())
            for now in moments:
                rows = batch.now_ms == now if len(moments) > 1 else slice(None)
                used = np.array([total_count(raw, now) for raw in totals], dtype=np.int64)
                room[rows, a:] = self.charging.limits_at(now)[a:] - used
                if self.charging.even:
                    batch.cap_paced = np.zeros(room.shape, dtype=np.bool_) if batch.cap_paced is None else batch.cap_paced
                    batch.cap_paced[rows, a:] = used < self._limits[a:]
        if self.by_channel:
            np.copyto(room, UNLIMITED, where=self._spared.take(self._channels(batch), axis=0))
        batch.cap_room = room

    def watches(self, batch: Batch) -> list[Watch]:
        """Return what each row's claim watches of the person's caps."""
        return self._watches.of(batch, self._channels(batch) if self.by_channel else [0] * batch.n)

    def account(self, batch: Batch, row: int, chosen: Sequence[int], now_ms: int, watched: bool) -> AccountClaim | None:
        """Return what the row counts against its account and depends on there; None: nothing."""
        request = batch.requests[row]
        if not self.by_account or not request.account_id:
            return None
        charges, watch = self.charging.account(chosen, request, now_ms), NOTHING_WATCHED
        if watched:
            watch = self._watches.account(self._accounts_of[batch.placement[row]], batch.cap_room[row], request.slot_count)
        return AccountClaim(request.account_id, charges, watch) if charges or watch.entries else None

    def total_rooms(self, batch: Batch) -> list[bytes]:
        """Return [N] what room each row has in all total counters, to compare; empty: there are none."""
        if not self.total_ids:
            return [b""] * batch.n
        room = np.ascontiguousarray(batch.cap_room[:, self.accounts :])
        if np.logical_and.reduce(room == room[0], axis=None):
            # As mostly: they are everybody's.
            return [room[0].tobytes()] * batch.n
        rooms: list[bytes] = room.view(f"V{8 * len(self.total_ids)}")[:, 0].tolist()
        return rooms

    def look_again(self, batch: Batch, row: int, claim: Claim, outcome: ClaimOutcome) -> None:
        """Take up what the reservation saw: offers whose caps have filled up meanwhile are allowed no more."""
        room, now_ms = batch.cap_room[row], batch.now_ms[row : row + 1]
        p, a = self.people, self.accounts
        fresh = self._limits[:p] - live_counts([outcome.history], self._person_ids, now_ms)[0]
        room[:p] = np.where(self._applies[self.channel(batch.requests[row]), :p], fresh, UNLIMITED) if self.by_channel else fresh
        if claim.account is not None:
            room[p:a] = self._limits[p:a] - live_counts([outcome.account_history], self._account_ids, now_ms)[0]
        for use, count in zip(claim.totals, outcome.total_counts, strict=False):
            c = self._column[use.cap_id]
            room[c] = use.limit - count
            if batch.cap_paced is not None:
                batch.cap_paced[row, c] = count < self.caps[c].limit
        held = self.holds @ (room <= 0).astype(np.int64) > 0
        for c in sorted(np.flatnonzero(room <= 0).tolist(), key=lambda c: -self.caps[c].reason):
            # The chain's order: pauses, contact policy, and caps last; the last to write here is the first there.
            newly = (self.holds[:, c] > 0) & batch.allowed[row]
            batch.reason[row, newly] = self.reason(batch, row, c)
        batch.allowed[row] &= ~held
        batch.propensity[row, held] = np.nan
        for slot, default in enumerate(self._bundle.placements[batch.placement[row]].defaults):
            if held[default] and slot == 0:
                batch.default_allowed[row] = False
            elif held[default] and batch.later_default_allowed is not None:
                batch.later_default_allowed[row, slot - 1] = False

    def reason(self, batch: Batch, row: int, column: int) -> Reason:
        """Return why a full cap holds its offers back."""
        paced_only = batch.cap_paced is not None and batch.cap_paced[row, column]
        return Reason.TOTAL_CAP_PACED if paced_only else self.caps[column].reason

    def stands_without_store(self, claim: Claim) -> bool:
        """Say whether a choice may stand whose claim nobody could make: nothing is charged, or only soft caps."""
        account = (*claim.account.charges, *claim.account.withheld) if claim.account else ()
        people = (*claim.charges, *claim.withheld, *account)
        charged = (*(charge.cap_id for charge in people), *(use.cap_id for use in claim.totals if use.count or use.withheld))
        return all(cap_id in self.soft_ids for cap_id in charged)

    def deny_unreserved_defaults(self, batch: Batch, rows: Sequence[int]) -> None:
        """Take the default from rows whose contact policy must be reserved and cannot be."""
        for row in rows if self._contacts_held else ():
            if batch.requests[row].context.channel in self._contacts_held:
                batch.deny_defaults(row)
