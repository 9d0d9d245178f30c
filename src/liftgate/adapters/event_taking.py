"""Calls about events on their way: checked, held to consent, logged in one write, counted in one round trip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from operator import attrgetter
from typing import Any

from liftgate.adapters.event_reading import EventReader
from liftgate.adapters.event_taken import Taken, Told, tell
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.domain.errors import FieldViolation, StoreUnavailable
from liftgate.domain.event import Event, EventKind
from liftgate.domain.pause import OutcomeKind
from liftgate.domain.reason import Reason
from liftgate.pipeline.contact_ports import ContactEvent, ContactEvents, CountStatus, FeatureEvent, FeatureUpdates
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.event_ports import EventKey, EventsSeen, Seen
from liftgate.pipeline.exposure_consent import ExposureConsent
from liftgate.pipeline.live import Live
from liftgate.pipeline.naming import Named, Naming
from liftgate.pipeline.ports import Clock, Log
from liftgate.pipeline.streams import FeatureConsent
from liftgate.record.event_codec import EventEncoder

_OUTCOMES: dict[int, OutcomeKind] = {
    EventKind.EXPOSURE: "exposure",
    EventKind.CLICK: "click",
    EventKind.EMAIL_CLICKED: "click",
    EventKind.PURCHASE: "purchase",
    EventKind.DISMISS: "dismiss",
    EventKind.UNSUBSCRIBE: "unsubscribe",
    EventKind.EMAIL_UNSUBSCRIBED: "unsubscribe",
    EventKind.COMPLAINT: "complaint",
    EventKind.EMAIL_COMPLAINED: "complaint",
}
"""What caps and pauses know a kind as; the others concern neither."""
_EXPOSURE = int(EventKind.EXPOSURE)
_erased_at, _ALIVE = attrgetter("erased_at_ms"), frozenset({None})
_key = partial(tuple.__new__, EventKey)
"""Makes an `EventKey` of a pair, without a call of Python's."""


class _Rules:
    """What is compiled of one bundle."""

    def __init__(self, live: Live, features: FeatureUpdates | None) -> None:
        self.live = live
        self.reader = EventReader(live.bundle)
        self.consent = ExposureConsent(live.bundle)
        self.counting = Counting(live)
        self.changes = None if features is None else features.of
        self.keeping = FeatureConsent(live.bundle)


class Taking:
    """Takes events. One event loop."""

    def __init__(
        self,
        live: Callable[[], Live],
        log: Log,
        seen: EventsSeen,
        pseudonyms: Pseudonyms,
        accounts: Pseudonyms | None,
        contacts: ContactEvents | None,
        features: Callable[[Live], FeatureUpdates | None] | None,
        clock: Clock,
        uncounted: Callable[[str, int], None] | None,
        naming: Naming | None = None,
    ) -> None:
        """Arguments as `EventService` has them."""
        self._naming = naming
        self._live, self._log, self._seen, self._contacts, self._clock = live, log, seen, contacts, clock
        self._pseudonyms, self._accounts = pseudonyms, accounts
        self._features, self._uncounted = features, uncounted
        self._encoder = EventEncoder(pseudonyms.key_id if naming is None else naming.key_id)
        self._rules: _Rules | None = None

    def _in_force(self) -> _Rules:
        live, rules = self._live(), self._rules
        if rules is None or rules.live is not live:
            self._rules = rules = _Rules(live, None if self._features is None else self._features(live))
        return rules

    async def take(self, calls: Sequence[Sequence[Any]]) -> list[Taken]:
        """Take several calls' `liftgate.v1.Event`s, and say of each call what became of its own.

        An event that is in several calls counts once, for the first of them. Raises LogUnavailable when nothing of it all was logged.
        """
        rules, now_ms = self._in_force(), self._clock.now_ms()
        reader, changes = rules.reader, rules.changes
        read, late = reader.read, reader.late
        fresh: dict[EventKey, Told] = {}
        found: list[Taken] = []
        places: list[list[tuple[int, Told]]] = []
        total = 0
        for call, messages in enumerate(calls):
            taken, mine, dropped = Taken(len(messages)), [], reader.dropped
            for index, message in enumerate(messages):
                event = read(message, now_ms)
                if isinstance(event, FieldViolation):
                    taken.rejected.append((index, event))
                    continue
                key = _key((event.person_id, event.event_id))
                told = fresh.get(key)
                if told is None:
                    fresh[key] = told = Told(event, key, call, index, None if changes is None else changes(event))
                mine.append((index, told))
            taken.dropped = reader.dropped - dropped
            total += len(mine)
            found.append(taken)
            places.append(mine)
        usual = total == len(fresh) and reader.late == late
        if fresh:
            told_of = list(fresh.values())
            new = told_of if await self._look(rules, told_of) else [told for told in told_of if not told.seen and not told.erased]
            usual = usual and len(new) == len(told_of)
            if new:
                await self._log.append(self._rows(new))
                usual = await self._count(rules, new) and usual
        return [tell(taken, call, mine, usual) for call, (taken, mine) in enumerate(zip(found, places, strict=True))]

    async def _look(self, rules: _Rules, fresh: Sequence[Told]) -> bool:
        """Find out what is known already, whose events they are, what is against them, and whether their changes of features may be kept.

        Returns True where all of them are new and nobody was erased. With the store away nothing is known: readers drop repeated ids.
        """
        consent, judging, keeping = rules.consent, rules.consent.needed, rules.keeping
        asked: list[Told] = []
        also: list[Told] = []
        people: dict[str, None] = {}
        documents: dict[str, None] = {}
        for told in fresh:
            event = told.event
            people[event.person_id] = None
            if keeping.needed and told.changes is not None:
                also.append(told)
                documents[event.person_id] = None
            if judging and event.kind == _EXPOSURE and consent.concerns(event):
                asked.append(told)
                documents[event.person_id] = None
        try:
            looked = await self._seen.look([told.key for told in fresh], list(documents), list(people) if self._naming is not None else ())
        except StoreUnavailable:
            for told in asked:
                told.against = consent.unavailable(told.event)
            for told in also:
                told.undecided = told.against is None
            await self._name(fresh, people, None)
            return False
        new = await self._name(fresh, people, looked.names)
        stored = dict(zip(documents, looked.documents, strict=True))
        if any(looked.seen):
            new = False
            for told, state in zip(fresh, looked.seen, strict=True):
                told.seen = state
        for told in asked:
            if not told.seen:
                told.against = consent.against(told.event, stored[told.event.person_id])
        allows = keeping.allows
        for told in also:
            if not allows(told.event, stored[told.event.person_id]):
                told.changes = None
        return new

    async def _name(self, fresh: Sequence[Told], people: dict[str, None], names: Sequence[Named] | None) -> bool:
        """Put names to events; return whether nobody of these was erased."""
        if names is None:
            if self._naming is None:
                names = [Named(self._pseudonyms(person)) for person in people]
            else:
                names = await self._naming.named(list(people))
        by_person = dict(zip(people, names, strict=True))
        for told in fresh:
            told.name = by_person[told.event.person_id]
        return _ALIVE.issuperset(map(_erased_at, names))

    async def _count(self, rules: _Rules, new: Sequence[Told]) -> bool:
        """Count what concerns caps, pauses and features; say that the rest is logged. What was not counted, or not in full, is marked.

        Returns whether all of them count in full.
        """
        counted: list[ContactEvent] = []
        of: list[Told] = []
        others: list[EventKey] = []
        revoked: list[EventKey] = []
        whole = True
        for told in new:
            if told.against is not None:
                revoked.append(told.key)
            elif told.undecided:
                # Sent again, it is counted whole: in part is once and for all.
                whole = self._miss("store_away", [told])
            elif self._contacts is None or (concerned := self._concerned(rules, told)) is None:
                others.append(told.key)
            else:
                counted.append(concerned)
                of.append(told)
        if revoked:
            await self._confirm(revoked, Seen.REVOKED)
        if not counted or self._contacts is None:
            await self._confirm(others, Seen.LOGGED)
            return whole and not revoked
        try:
            statuses = await self._contacts.count(counted, others)
        except StoreUnavailable:
            # Not known as seen: sent again, they are counted then.
            return self._miss("store_away", of)
        if CountStatus.IN_PART in statuses:
            whole = self._miss("history_full", [told for told, status in zip(of, statuses, strict=True) if status is CountStatus.IN_PART])
        if without := [told for told, one in zip(of, counted, strict=True) if one.account_caps and not one.account_id]:
            whole = self._miss("no_account", without)
        return whole and not revoked

    def _concerned(self, rules: _Rules, told: Told) -> ContactEvent | None:
        event, changes = told.event, told.changes
        outcome = _OUTCOMES.get(event.kind)
        if outcome is not None and rules.counting.may_count(outcome):
            found = rules.counting.event(
                outcome,
                told.key,
                decision_id=event.decision_id,
                offer_id=event.offer_id,
                account_id=event.account_id,
                channel=event.channel,
                time_zone=event.time_zone,
                occurred_at_ms=event.occurred_at_ms,
                now_ms=event.received_at_ms,
                own=told.name.key,
            )
            if found is not None:
                found.features = changes
                return found
        return None if changes is None else FeatureEvent(told.key, event.received_at_ms, event.occurred_at_ms, changes)

    def _miss(self, cause: str, events: Sequence[Told]) -> bool:
        """Mark events as uncounted, and return False. One that is already is not reported again."""
        missed = [told for told in events if told.counted]
        for told in missed:
            told.counted = False
        if missed and self._uncounted is not None:
            self._uncounted(cause, len(missed))
        return False

    async def _confirm(self, keys: list[EventKey], seen: Seen) -> None:
        if keys:
            with suppress(StoreUnavailable):  # then a repeated event gets another row, which readers drop
                await self._seen.confirm(keys, seen)

    def _account(self, event: Event, name: Named) -> bytes:
        own = None if self._naming is None else self._naming.account(event.account_id, event.person_id, name)
        return (self._accounts(event.account_id) if self._accounts else b"") if own is None else own

    def _rows(self, new: Sequence[Told]) -> list[bytes]:
        encode, rows = self._encoder.encode, []
        for told in new:
            event, name, against = told.event, told.name, told.against
            account = self._account(event, name) if event.account_id else b""
            if against is None:
                rows.append(encode(event, name.pseudonym, account, name.once))
            else:
                rows.append(encode(event, name.pseudonym, account, name.once, Reason.CONSENT_REVOKED, against.reason))
        return rows
