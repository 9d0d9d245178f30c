"""Events as they change features in the bench's store."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC
from typing import Any

from liftgate.adapters import redis_keys
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.domain.event import KIND_NAMES, Event, Reliability
from liftgate.pipeline.contact_ports import ContactEvent
from liftgate.pipeline.event_ports import EventKey
from tests.pipeline.workbench import NOW_MS, Bench, epoch_ms

MOST = 20
"""Events in one case."""


async def tell(bench: Bench, person: str, given: Iterable[dict[str, Any]]) -> None:
    """Count events of a person, told at the case's own moment."""
    plan = bench.live.features
    found = []
    for i, one in enumerate(given):
        fields = dict(one)
        at, kind = fields.pop("at"), KIND_NAMES[fields.pop("kind")]
        reliability = Reliability[fields.pop("reliability", "reliable").upper()]
        at_ms = epoch_ms(at if at.tzinfo else at.replace(tzinfo=UTC))
        event = Event(f"e{i}", kind, person, at_ms, NOW_MS, reliability, **fields)
        changes = plan.of(event) if plan is not None else None
        if changes:
            found.append(ContactEvent(EventKey(person, event.event_id), b"", NOW_MS, at_ms, False, False, "", features=changes))
    # The store is the session's: nothing of an earlier case counts.
    await bench.client.call([("DEL", redis_keys.windows(person), *(redis_keys.event(person, f"e{i}") for i in range(MOST)))])
    assert len(found) <= MOST
    await RedisContactEvents(bench.client, budget_ms=5_000.0).count(found)
