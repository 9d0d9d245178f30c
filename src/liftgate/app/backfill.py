"""Backfill: feature states made from an event log, in the store of a service that may be running."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from liftgate.adapters.logged_events import logged_events
from liftgate.adapters.redis_backfill import RedisBackfill, Stored
from liftgate.bundle.compiled import Bundle
from liftgate.domain import consent
from liftgate.domain.consent_record import records
from liftgate.domain.event import Event
from liftgate.domain.reason import Reason
from liftgate.signals.offline import state_at
from liftgate.signals.plan import AHEAD_MS, FeaturePlan

ROUNDS = 5
"""How often to try again for people of whom events came in meanwhile."""
SETTLE_S = 1.0
"""An event is in the log a moment before it is counted: so long is waited between reading the log and replacing states."""


@dataclass(slots=True)
class Filled:
    """What came of a backfill."""

    people: int = 0
    written: int = 0
    """People who have a state now."""
    without_events: int = 0
    without_consent: int = 0
    """Of these nothing is kept."""
    changed: int = 0
    """Events kept coming in for these; their states stand as they were."""
    strangers: int = 0
    """Pseudonyms in the log that are none of the people's."""
    events: int = 0
    erased: int = 0
    """Left out: people who were erased and did not come back."""


async def backfill(
    store: RedisBackfill,
    people: Sequence[str],
    directory: Path,
    bundle: Bundle,
    plan: FeaturePlan,
    names: Mapping[bytes, str],
    now_ms: int,
    erased: Set[str] = frozenset(),
) -> Filled:
    """Replace the states of people by what the log says, but for those `erased`; `names` has them by pseudonym.

    Raises StoreUnavailable; then some may have been replaced.
    """
    found = Filled(people=len(people), erased=len(erased))
    by_name = {pseudonym.hex(): person for pseudonym, person in names.items()}
    left = [person for person in people if person not in erased]
    for _ in range(ROUNDS):
        before = await store.stored(left)
        own: dict[str, list[Event]] = {person: [] for person in left}
        strangers, events = set(), 0
        for event in logged_events(directory):
            events += 1
            person = by_name.get(event.person_id)
            if person is None:
                strangers.add(event.person_id)
            elif person in own:
                own[person].append(event)
        found.events, found.strangers = events, len(strangers)
        await asyncio.sleep(SETTLE_S)
        states: dict[str, bytes | None] = {}
        denied: set[str] = set()
        for person in left:
            since = agreed_since(bundle, before[person], now_ms)
            if since is None:
                denied.add(person)
            kept = [] if since is None else [event for event in own[person] if event.received_at_ms >= since]
            states[person] = state_at(plan, kept, now_ms)
        left = await store.replace(states, before, plan.longest_ms + AHEAD_MS)
        done = states.keys() - set(left)
        found.written += sum(states[person] is not None for person in done)
        found.without_consent += len(done & denied)
        found.without_events += sum(states[person] is None for person in done - denied)
        if not left:
            break
    found.changed = len(left)
    return found


def agreed_since(bundle: Bundle, stored: Stored, now_ms: int) -> int | None:
    """Return from when on what events say of a person may be kept, ms; None: it may not.

    A grant on record counts from when it was given, a default from ever.
    """
    if bundle.profile_purpose < 0:
        return 0
    purpose = bundle.purposes[bundle.profile_purpose]
    (reason,), _, _ = consent.parse(stored.consent, (purpose,), now_ms)
    rules = bundle.consent
    if reason is Reason.CONSENT_MISSING and rules.jurisdictions:
        where = rules.jurisdictions.get(consent.jurisdiction(stored.consent), len(rules.jurisdictions))
        return 0 if rules.defaults[where, bundle.profile_purpose] == Reason.ALLOWED else None
    if reason is not Reason.ALLOWED:
        return None
    record = (records(stored.consent) or {}).get(purpose)
    given = None if record is None else record.given_at_ms
    return int(given or 0)
