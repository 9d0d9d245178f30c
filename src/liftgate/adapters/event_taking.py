"""A batch of events on its way: checked, held to consent, logged in one write, counted in one round trip."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from liftgate.adapters.event_reading import EventReader
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.domain.errors import FieldViolation, StoreUnavailable
from liftgate.domain.event import Event, EventKind
from liftgate.domain.pause import OutcomeKind
from liftgate.domain.reason import Reason
from liftgate.pipeline.contact_ports import ContactEvent, ContactEvents, CountStatus, FeatureUpdates
from liftgate.pipeline.counting import Counting
from liftgate.pipeline.exposure_consent import Against, ExposureConsent
from liftgate.pipeline.live import Live
from liftgate.pipeline.naming import Named, Naming
from liftgate.pipeline.ports import Clock, EventKey, EventsSeen, Log, Seen
from liftgate.pipeline.streams import FeatureConsent
from liftgate.record.event_codec import EventEncoder, properties_json

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


@dataclass(slots=True)
class Taken:
    """What became of a batch. Positions are the batch's, from 0."""

    events: int
    accepted: int = 0
    """In the event log, duplicates included, revoked ones left out."""
    duplicates: int = 0
    late: int = 0
    uncounted: int = 0
    dropped: int = 0
    """Properties."""
    rejected: list[tuple[int, FieldViolation]] = field(default_factory=list)
    revoked: list[tuple[int, Against | None]] = field(default_factory=list)
    """None: it was answered so before."""


class _Rules:
    """What is compiled of one bundle."""

    def __init__(self, live: Live, features: FeatureUpdates | None) -> None:
        self.live = live
        self.reader = EventReader(live.bundle)
        self.consent = ExposureConsent(live.bundle)
        self.counting = Counting(live)
        self.features = features
        self.keeping = FeatureConsent(live.bundle)

    def updates(self, fresh: Mapping[EventKey, Event]) -> dict[EventKey, bytes]:
        """Return what events would change of live features; whether that may be kept is not yet asked."""
        if self.features is None:
            return {}
        found = {key: self.features.of(event) for key, event in fresh.items() if not event.late}
        return {key: changes for key, changes in found.items() if changes}


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

    async def take(self, messages: Sequence[Any]) -> Taken:
        """Take a batch of `liftgate.v1.Event`s. Raises LogUnavailable when nothing of it was logged."""
        rules, now_ms = self._in_force(), self._clock.now_ms()
        found = Taken(len(messages))
        read, dropped = rules.reader.read, rules.reader.dropped
        fresh: dict[EventKey, Event] = {}
        places: list[tuple[int, EventKey]] = []
        for index, message in enumerate(messages):
            event = read(message, now_ms)
            if isinstance(event, FieldViolation):
                found.rejected.append((index, event))
                continue
            key = EventKey(event.person_id, event.event_id)
            places.append((index, key))
            fresh.setdefault(key, event)
        found.dropped = rules.reader.dropped - dropped
        if not fresh:
            return found
        updates = rules.updates(fresh)
        if self._naming is None:
            names = {key: Named(self._pseudonyms(key.person_id)) for key in fresh}
            known, revoked, undecided = await self._look(rules, fresh, updates)
        else:
            naming = self._naming.named([key.person_id for key in fresh])
            named, (known, revoked, undecided) = await asyncio.gather(naming, self._look(rules, fresh, updates))
            names = dict(zip(fresh, named, strict=True))
            places = _not_erased(found, places, fresh, names)
        new = fresh if not known else {key: event for key, event in fresh.items() if key not in known}
        if new:
            await self._log.append([self._row(event, revoked.get(key), names[key]) for key, event in new.items()])
            found.uncounted = await self._count(rules, new, revoked, updates, undecided)
        _tell(found, places, new, known, revoked)
        return found

    async def _look(
        self, rules: _Rules, fresh: dict[EventKey, Event], updates: dict[EventKey, bytes]
    ) -> tuple[dict[EventKey, Seen], dict[EventKey, Against], frozenset[EventKey]]:
        """Return what is known already, what is against the others, and of whom nobody knows whether `updates` may be kept.

        What may not be kept leaves `updates`. With the store away nothing is known: readers drop repeated ids.
        """
        consent, keeping = rules.consent, rules.keeping
        asked = [key for key, event in fresh.items() if consent.concerns(event)] if consent.needed else []
        also = list(updates) if keeping.needed else []
        against: dict[EventKey, Against] = {}
        try:
            seen, documents = await self._seen.look(list(fresh), [key.person_id for key in (*asked, *also)])
        except StoreUnavailable:
            for key in asked:
                found = consent.unavailable(fresh[key])
                if found is not None:
                    against[key] = found
            return {}, against, frozenset(also)
        known = {key: state for key, state in zip(fresh, seen, strict=True) if state}
        for key, document in zip(asked, documents[: len(asked)], strict=True):
            if key not in known and (found := consent.against(fresh[key], document)) is not None:
                against[key] = found
        for key, document in zip(also, documents[len(asked) :], strict=True):
            if not keeping.allows(fresh[key], document):
                del updates[key]
        return known, against, frozenset()

    async def _count(
        self,
        rules: _Rules,
        new: dict[EventKey, Event],
        revoked: dict[EventKey, Against],
        updates: dict[EventKey, bytes],
        undecided: frozenset[EventKey],
    ) -> int:
        """Count what concerns caps, pauses and features; say that the rest is logged. Returns how many were not counted, or not in full."""
        counted: list[ContactEvent] = []
        others: list[EventKey] = []
        # Sent again, they are counted whole: in part is once and for all.
        waiting = len(undecided.intersection(new) - revoked.keys())
        self._miss("store_away", waiting)
        for key, event in new.items():
            if key in revoked or key in undecided:
                continue
            concerned = self._concerned(rules, key, event, updates.get(key, b"")) if self._contacts is not None else None
            if concerned is None:
                others.append(key)
            else:
                counted.append(concerned)
        if revoked:
            await self._confirm([key for key in new if key in revoked], Seen.REVOKED)
        if not counted or self._contacts is None:
            await self._confirm(others, Seen.LOGGED)
            return waiting
        try:
            statuses = await self._contacts.count(counted, others)
        except StoreUnavailable:
            # Not known as seen: sent again, they are counted then.
            self._miss("store_away", len(counted))
            return waiting + len(counted)
        full = {i for i, status in enumerate(statuses) if status is CountStatus.IN_PART}
        nameless = {i for i, event in enumerate(counted) if event.account_caps and not event.account_id} - full
        self._miss("history_full", len(full))
        self._miss("no_account", len(nameless))
        return waiting + len(full | nameless)

    def _concerned(self, rules: _Rules, key: EventKey, event: Event, changes: bytes) -> ContactEvent | None:
        outcome = _OUTCOMES.get(event.kind)
        found = None
        if outcome is not None:
            found = rules.counting.event(
                outcome,
                key,
                decision_id=event.decision_id,
                offer_id=event.offer_id,
                account_id=event.account_id,
                channel=event.channel,
                time_zone=event.time_zone,
                occurred_at_ms=event.occurred_at_ms,
                now_ms=event.received_at_ms,
            )
        if changes and found is None:
            return ContactEvent(key, b"", event.received_at_ms, event.occurred_at_ms, False, False, "", features=changes)
        if changes and found is not None:
            found.features = changes
        return found

    def _miss(self, cause: str, events: int) -> None:
        if events and self._uncounted is not None:
            self._uncounted(cause, events)

    async def _confirm(self, keys: list[EventKey], seen: Seen) -> None:
        if keys:
            with suppress(StoreUnavailable):  # then a repeated event gets another row, which readers drop
                await self._seen.confirm(keys, seen)

    def _account(self, event: Event, name: Named) -> bytes:
        own = None if self._naming is None else self._naming.account(event.account_id, event.person_id, name)
        return (self._accounts(event.account_id) if self._accounts else b"") if own is None else own

    def _row(self, event: Event, against: Against | None, name: Named) -> bytes:
        return self._encoder.encode(
            event_id=event.event_id,
            kind=event.kind,
            person_pseudonym=name.pseudonym,
            once=name.once,
            decision_id=event.decision_id,
            offer_id=event.offer_id,
            occurred_at_ms=event.occurred_at_ms,
            received_at_ms=event.received_at_ms,
            value=event.value,
            currency=event.currency,
            account_pseudonym=self._account(event, name) if event.account_id else b"",
            channel=event.channel,
            name=event.name,
            slot=event.slot,
            placement_id=event.placement_id,
            device=event.device,
            properties=properties_json(event.properties) if event.properties else "",
            reliability=event.reliability,
            late=event.late,
            reason=0 if against is None else Reason.CONSENT_REVOKED,
            consent_reason=0 if against is None else against.reason,
        )


def _not_erased(
    found: Taken, places: list[tuple[int, EventKey]], fresh: dict[EventKey, Event], names: Mapping[EventKey, Named]
) -> list[tuple[int, EventKey]]:
    """Reject what happened before its person was erased, and return the places of the rest."""
    gone = {key for key, event in fresh.items() if (erased_at := names[key].erased_at_ms) is not None and event.occurred_at_ms <= erased_at}
    for key in gone:
        del fresh[key]
    found.rejected = sorted(found.rejected + [(index, _ERASED) for index, key in places if key in gone], key=lambda one: one[0])
    return [(index, key) for index, key in places if key not in gone]


_ERASED = FieldViolation("occurred_at_ms", "lies before the person was erased: what happened then is not taken any more")


def _tell(
    found: Taken,
    places: list[tuple[int, EventKey]],
    new: dict[EventKey, Event],
    known: dict[EventKey, Seen],
    revoked: dict[EventKey, Against],
) -> None:
    """Say of every event that was not rejected what became of it."""
    lates = {key for key, event in new.items() if event.late and key not in revoked}
    again = [key for _, key in places]
    repeated = len(again) - len(new)
    if not revoked and not any(state is Seen.REVOKED for state in known.values()):
        found.accepted, found.duplicates, found.late = len(again), repeated, len(lates)
        return
    first: set[EventKey] = set()
    for index, key in places:
        if key in revoked or known.get(key) is Seen.REVOKED:
            found.revoked.append((index, revoked.get(key)))
            continue
        found.accepted += 1
        if key in known or key in first:
            found.duplicates += 1
        first.add(key)
    found.late = len(lates)
