"""Decisions and events together: windows end at local boundaries, exposures commit, outcomes pause."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters.grpc_events import EventService
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.adapters.redis_contacts import RedisContactEvents
from liftgate.adapters.redis_events import RedisEventsSeen
from liftgate.adapters.segment_sink import SegmentLog
from liftgate.domain.errors import StoreUnavailable
from liftgate.domain.reason import Reason
from liftgate.domain.request import Context, DecideRequest
from liftgate.pipeline.contact_ports import ContactEvent, CountStatus
from liftgate.pipeline.event_ports import EventKey
from liftgate.v1.decision_pb2 import DecideResponse
from liftgate.v1.event_service_pb2 import Event, EventKind, RecordRequest, RecordResponse
from tests.pipeline.cap_state import counted, use_up
from tests.pipeline.workbench import BUNDLES, NOW_MS, Bench, workbench

MINUTE = 60_000
DAY = 86_400_000
LEASE = 10 * MINUTE
_ids = itertools.count()


class _Calls:
    def began(self) -> None: ...

    def answered(self, method: str, code: int, seconds: float) -> None: ...

    def turned_away(self, method: str, code: int, calls: int) -> None: ...


class _Call:
    def time_remaining(self) -> float | None:
        return None


class _Contacts:
    """The real counting, or none at all."""

    def __init__(self, inner: RedisContactEvents) -> None:
        self._inner = inner
        self.down = False

    async def count(self, events: Sequence[ContactEvent], others: Sequence[EventKey] = ()) -> Sequence[CountStatus]:
        if self.down:
            raise StoreUnavailable("switched off")
        return await self._inner.count(events, others)


@dataclass
class Shop:
    """A worker with both services on one store and one clock, and nobody known yet."""

    bench: Bench
    events: EventService
    contacts: _Contacts
    missed: dict[str, int]

    async def decide(self, placement: str, person: str = "p", at: int | None = None, **fields: Any) -> DecideResponse:
        """Decide at a moment; fields of the context and the request by name."""
        if at is not None:
            self.bench.hands.ms = at
        context = Context(channel=fields.pop("channel", "web"), time_zone=fields.pop("time_zone", ""))
        request = DecideRequest(f"r-{next(_ids)}", person, placement, context=context, idempotent=False, **fields)
        return DecideResponse.FromString(await self.bench.batcher.submit(request, self.bench.live))

    async def offered(self, placement: str, **fields: Any) -> str:
        """Return the first offer, or nothing."""
        answer = await self.decide(placement, **fields)
        return answer.slots[0].offer_id if answer.slots else ""

    async def report(self, kind: str, person: str = "p", at: int | None = None, **fields: Any) -> RecordResponse:
        """Report one event at a moment."""
        if at is not None:
            self.bench.hands.ms = at
        number = EventKind.Value(f"EVENT_KIND_{kind.upper()}")
        ordinary: dict[str, Any] = {"event_id": f"e-{next(_ids)}", "kind": number, "person_id": person}
        event = Event(**(ordinary | fields))
        return RecordResponse.FromString(await self.events.record(RecordRequest(events=[event]).SerializeToString(), _Call()))


@pytest.fixture
async def shop(valkey_url: str, tmp_path: Path) -> AsyncIterator[Shop]:
    """The bundle `caps`, empty counters."""
    async with workbench(valkey_url, tmp_path / "decisions", BUNDLES / "caps") as bench:
        await use_up(bench, "p", ())
        for person in ("p", "q", "person-8"):
            await bench.forget(person)
        log = SegmentLog(tmp_path / "events", "event", "write")
        log.open()
        contacts, missed = _Contacts(RedisContactEvents(bench.client, budget_ms=2000)), dict[str, int]()

        def miss(cause: str, events: int) -> None:
            missed[cause] = missed.get(cause, 0) + events

        seen = RedisEventsSeen(bench.client, budget_ms=2000)
        events = EventService(
            lambda: bench.live, log, seen, Pseudonyms("k", b"k" * 32), bench.hands, _Calls(), contacts=contacts, uncounted=miss
        )
        yield Shop(bench, events, contacts, missed)
        await log.close()


def ms(text: str) -> int:
    """Return milliseconds since the epoch."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "late", "early"),
    [
        ("Europe/Berlin", "2026-06-15T23:59:00+02:00", "2026-06-16T00:01:00+02:00"),
        ("America/New_York", "2026-06-15T23:59:00-04:00", "2026-06-16T00:01:00-04:00"),
        ("Asia/Kolkata", "2026-06-15T23:59:00+05:30", "2026-06-16T00:01:00+05:30"),
        ("Europe/Berlin", "2026-03-29T23:59:00+02:00", "2026-03-30T00:01:00+02:00"),
        ("Europe/Berlin", "2026-10-25T23:59:00+01:00", "2026-10-26T00:01:00+01:00"),
        ("America/New_York", "2026-03-08T23:59:00-04:00", "2026-03-09T00:01:00-04:00"),
        ("America/New_York", "2026-11-01T23:59:00-05:00", "2026-11-02T00:01:00-05:00"),
    ],
)
async def test_a_daily_cap_ends_at_the_persons_midnight(shop: Shop, zone: str, late: str, early: str) -> None:
    """One a day: shown at 23:59, not again a minute later, and again at 00:01, in three zones and on both days of a change."""
    morning = ms(late) - 86_340_000 + 2 * 3_600_000
    assert await shop.offered("local", at=morning, time_zone=zone) == "local"
    assert await shop.offered("local", at=ms(late), time_zone=zone) == "note"
    assert await shop.offered("local", at=ms(early) - 60_001, time_zone=zone) == "note"
    assert await shop.offered("local", at=ms(early), time_zone=zone) == "local"
    assert await shop.offered("local", at=ms(early) + MINUTE, time_zone=zone) == "note"


async def test_the_bundles_midnight_holds_without_a_zone_of_the_persons(shop: Shop) -> None:
    """A zone that is absent, or that nobody knows, is the bundle's; travelling does not give a second offer for the same day."""
    late = ms("2026-06-15T23:59:00+02:00")
    assert await shop.offered("local", at=late, time_zone="Mars/Olympus") == "local"
    assert await shop.offered("local", at=late + 30_000) == "note"
    assert await shop.offered("local", at=late + 30_000, time_zone="Asia/Tokyo") == "note"
    assert await shop.offered("local", at=late + 2 * MINUTE) == "local"


async def test_exposures_move_leases_of_a_total_to_their_window(shop: Shop) -> None:
    """Two places by exposure: decided and unexposed they come back after the lease; exposed they stay for the week."""
    first, second = await shop.decide("leased", at=NOW_MS), await shop.decide("leased", person="q")
    assert {first.slots[0].offer_id, second.slots[0].offer_id} == {"leased"}
    assert await shop.offered("leased", person="q") == "note"
    seen = await shop.report("exposure", decision_id=first.decision_id, offer_id="leased", at=NOW_MS + MINUTE)
    assert (seen.accepted, seen.uncounted) == (1, 0)
    later = NOW_MS + LEASE + 20_000
    assert await counted(shop.bench, "leased") == [2]
    assert await shop.offered("leased", person="q", at=later) == "leased", "the unexposed place is free"
    assert await shop.offered("leased", person="q", at=later + 1) == "note"
    assert await shop.offered("leased", person="q", at=NOW_MS + 6 * DAY) == "leased", "a lease has ended again"
    assert await shop.offered("leased", person="q", at=NOW_MS + 6 * DAY + 1) == "note", "the exposure still counts"


async def test_click_caps_count_clicks(shop: Shop) -> None:
    """Decisions and exposures leave a click cap alone; one click uses it up, for a week from when it happened."""
    for _ in range(3):
        assert await shop.offered("clicked", at=NOW_MS) == "clicked"
    await shop.report("exposure", offer_id="clicked")
    assert await shop.offered("clicked") == "clicked"
    await shop.report("click", offer_id="clicked", occurred_at_ms=NOW_MS - DAY)
    assert await shop.offered("clicked") == "note"
    assert await shop.offered("clicked", at=NOW_MS + 6 * DAY) == "clicked"


async def test_outcomes_pause_a_group_in_any_order(shop: Shop) -> None:
    """Two dismissals within a week, reported late and the wrong way round, pause the whole group for 30 days from the second."""
    await shop.report("dismiss", offer_id="update", occurred_at_ms=NOW_MS - DAY, at=NOW_MS)
    assert await shop.offered("news") == "story"
    await shop.report("dismiss", offer_id="story", occurred_at_ms=NOW_MS - 3 * DAY)
    assert await shop.offered("news") == "welcome"
    (record,) = shop.bench.records[-1:]
    assert [Reason(reason) for reason in record.candidate_reason] == [Reason.PAUSED, Reason.PAUSED]
    assert await shop.offered("news", at=NOW_MS + 29 * DAY) == "story"


async def test_outcomes_too_far_apart_pause_nothing(shop: Shop) -> None:
    """A week and a moment between two dismissals is too long."""
    await shop.report("dismiss", offer_id="story", occurred_at_ms=NOW_MS - 7 * DAY, at=NOW_MS)
    await shop.report("dismiss", offer_id="story", occurred_at_ms=NOW_MS)
    assert await shop.offered("news") == "story"


@pytest.mark.parametrize("channel", ["email", "", "web"])
async def test_an_unsubscription_pauses_its_channel(shop: Shop, channel: str) -> None:
    """It pauses e-mail, wherever it was clicked, the default included; other channels go on."""
    await shop.report("unsubscribe", offer_id="letter", channel=channel, at=NOW_MS)
    assert await shop.offered("inbox", channel="email") == ""
    assert await shop.offered("daily", channel="web") == "daily"


async def test_events_that_cannot_be_counted_are_logged_and_said(shop: Shop) -> None:
    """With the store away the event is accepted and uncounted; sent again it is counted, once."""
    shop.contacts.down = True
    lost = await shop.report("dismiss", offer_id="tired", event_id="e-lost", at=NOW_MS)
    assert (lost.accepted, lost.uncounted, shop.missed) == (1, 1, {"store_away": 1})
    assert await shop.offered("tired") == "tired"
    shop.contacts.down = False
    for duplicates in (0, 1):
        again = await shop.report("dismiss", offer_id="tired", event_id="e-lost")
        assert (again.accepted, again.duplicates, again.uncounted) == (1, duplicates, 0)
    assert await shop.offered("tired") == "note"


async def test_events_of_offers_without_caps_need_no_counting(shop: Shop) -> None:
    """What concerns no cap and no pause is not sent to be counted."""
    shop.contacts.down = True
    for kind in ("exposure", "purchase", "complaint"):
        assert (await shop.report(kind, offer_id="note")).uncounted == 0
    assert (await shop.report("dismiss", offer_id="gone-from-the-bundle")).uncounted == 0


async def test_an_exposure_for_a_held_out_decision_is_a_ghosts(shop: Shop) -> None:
    """A front end that reports what was not shown commits the ghost lease and spends nothing real."""
    answer = await shop.decide("leased", person="person-8", at=NOW_MS)
    assert not answer.slots
    await shop.report("exposure", person="person-8", decision_id=answer.decision_id, offer_id="leased")
    assert await counted(shop.bench, "leased") == [0]
