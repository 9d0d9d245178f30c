"""EventService.Record: what can be taken is in the event log when it is acknowledged, the rest is named."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from liftgate.adapters import event_reading
from liftgate.adapters.pseudonyms import Pseudonyms
from liftgate.domain.errors import CallerError, Expired, LogUnavailable
from liftgate.signals import plan
from liftgate.v1.event_service_pb2 import Event, EventKind
from tests.adapters.event_desk import Call, EventDesk, event_desk
from tests.adapters.shop import live, paths

NOW_MS = 1_781_524_800_000
AHEAD_MS = 300_000
"""As docs/signals.md says."""
EXPOSURE, CLICK, PURCHASE = EventKind.EVENT_KIND_EXPOSURE, EventKind.EVENT_KIND_CLICK, EventKind.EVENT_KIND_PURCHASE
REFUND, CUSTOM, CART = EventKind.EVENT_KIND_REFUND, EventKind.EVENT_KIND_CUSTOM, EventKind.EVENT_KIND_CART_ACTION
LIVE = live()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[EventDesk]:
    """A fresh service."""
    async with event_desk(tmp_path, LIVE, now_ms=NOW_MS) as made:
        yield made


_ids = itertools.count()


def _event(**fields: Any) -> Event:
    ordinary: dict[str, Any] = {"event_id": f"e-{next(_ids)}", "kind": EXPOSURE, "person_id": "person-1"}
    return Event(**(ordinary | fields))


def test_features_keep_what_may_be_taken_ahead() -> None:
    """States live as much longer as events may lie ahead, which is five minutes."""
    assert event_reading.AHEAD_MS == plan.AHEAD_MS == AHEAD_MS


async def test_an_event_is_logged_as_it_came(desk: EventDesk) -> None:
    """Every field is in the row; the person is a pseudonym in it."""
    sent = _event(
        event_id="e-x", kind=PURCHASE, decision_id="ab" * 16, offer_id="gift", occurred_at_ms=NOW_MS - 5, value=12.5, currency="USD"
    )
    answer = await desk.record(sent)
    assert (answer.accepted, answer.duplicates, len(answer.rejections)) == (1, 0, 0)
    (row,) = desk.log.rows
    assert (row.event_id, row.kind, row.decision_id, row.offer_id) == ("e-x", PURCHASE, "ab" * 16, "gift")
    assert (row.occurred_at_ms, row.received_at_ms, row.value, row.currency) == (NOW_MS - 5, NOW_MS, 12.5, "USD")
    assert (row.person_pseudonym, row.pseudonym_key_id) == (Pseudonyms("k1", b"k" * 32)("person-1"), "k1")
    assert b"person-1" not in row.SerializeToString()


async def test_what_is_absent_takes_its_documented_meaning(desk: EventDesk) -> None:
    """No time means now, no currency the bundle's, no value no money."""
    await desk.record(_event(kind=PURCHASE, value=0.0), _event(kind=CLICK))
    bought, clicked = desk.log.rows
    assert (bought.occurred_at_ms, bought.currency, bought.value) == (NOW_MS, "EUR", 0.0)
    assert (clicked.HasField("value"), clicked.currency) == (False, "")


@pytest.mark.parametrize(
    ("wrong", "path"),
    [
        ({"event_id": ""}, "event_id"),
        ({"event_id": "x" * 129}, "event_id"),
        ({"kind": EventKind.EVENT_KIND_UNSPECIFIED}, "kind"),
        ({"kind": 99}, "kind"),
        ({"person_id": ""}, "person_id"),
        ({"person_id": "ü" * 129}, "person_id"),
        ({"decision_id": "AB" * 16}, "decision_id"),
        ({"decision_id": "ab" * 15}, "decision_id"),
        ({"offer_id": "x" * 257}, "offer_id"),
        ({"occurred_at_ms": -1}, "occurred_at_ms"),
        ({"occurred_at_ms": NOW_MS + AHEAD_MS + 1}, "occurred_at_ms"),
        ({"kind": PURCHASE, "value": float("nan")}, "value"),
        ({"kind": PURCHASE, "value": float("inf")}, "value"),
        ({"kind": PURCHASE, "value": -0.01}, "value"),
        ({"kind": CLICK, "value": 1.0}, "value"),
        ({"kind": REFUND}, "value"),
        ({"kind": REFUND, "value": 0.0}, "value"),
        ({"kind": REFUND, "value": -1.0}, "value"),
        ({"kind": REFUND, "value": float("inf")}, "value"),
        ({"kind": CUSTOM}, "name"),
        ({"kind": CUSTOM, "name": "nobody-declared-it"}, "name"),
        ({"kind": CUSTOM, "name": "purchase"}, "name"),
        ({"kind": CLICK, "name": "x"}, "name"),
        ({"kind": CART, "name": "juggle"}, "name"),
        ({"slot": 1001}, "slot"),
        ({"device": "x" * 65}, "device"),
        ({"jurisdiction": "x" * 65}, "jurisdiction"),
        ({"placement_id": "x" * 129}, "placement_id"),
        ({"kind": PURCHASE, "value": 1.0, "currency": "euro"}, "currency"),
        ({"account_id": "x" * 257}, "account_id"),
        ({"channel": "x" * 65}, "channel"),
        ({"time_zone": "x" * 65}, "time_zone"),
    ],
)
async def test_a_wrong_event_is_named_and_the_rest_is_taken(desk: EventDesk, wrong: dict[str, Any], path: str) -> None:
    """A rejection has the index, the field and what is wanted; its neighbours are in the log, itself is not."""
    answer = await desk.record(_event(event_id="before"), _event(**wrong), _event(event_id="after"))
    assert (answer.accepted, answer.duplicates) == (2, 0)
    assert [(one.index, one.field) for one in answer.rejections] == [(1, path)]
    # Commands put "FIELD wants ..." together from it.
    assert answer.rejections[0].description.startswith("wants ")
    assert [row.event_id for row in desk.log.rows] == ["before", "after"]


async def test_limits_themselves_are_allowed(desk: EventDesk) -> None:
    """Values at their limits are taken."""
    answer = await desk.record(_event(event_id="x" * 128), _event(person_id="ü" * 128), _event(occurred_at_ms=NOW_MS + AHEAD_MS))
    assert answer.accepted == 3


async def test_a_repeated_event_is_acknowledged_without_a_row(desk: EventDesk) -> None:
    """A duplicate counts as accepted and as duplicate, in one call and in the next."""
    first = await desk.record(_event(event_id="same"), _event(event_id="same"), _event(event_id="other"))
    again = await desk.record(_event(event_id="same"))
    assert (first.accepted, first.duplicates) == (3, 1)
    assert (again.accepted, again.duplicates) == (1, 1)
    assert [row.event_id for row in desk.log.rows] == ["same", "other"]


async def test_the_same_id_about_another_person_is_another_event(desk: EventDesk) -> None:
    """Events are known by person and id."""
    answer = await desk.record(_event(event_id="same"), _event(event_id="same", person_id="person-2"))
    assert (answer.accepted, answer.duplicates, len(desk.log.rows)) == (2, 0, 2)


async def test_what_the_log_refused_is_not_known_as_logged(desk: EventDesk) -> None:
    """When the log fails nothing is acknowledged, and the retry is written."""
    event = _event()
    desk.log.full = True
    with pytest.raises(LogUnavailable):
        await desk.record(event)
    desk.log.full = False
    answer = await desk.record(event)
    assert (answer.accepted, answer.duplicates, len(desk.log.rows)) == (1, 0, 1)


async def test_with_the_store_away_events_are_still_logged(desk: EventDesk) -> None:
    """A repeated event then gets another row, which readers drop by its id."""
    event = _event()
    desk.seen.down = True
    assert [(await desk.record(event)).accepted for _ in range(2)] == [1, 1]
    assert len(desk.log.rows) == 2


async def test_an_account_is_a_pseudonym_in_the_row(desk: EventDesk) -> None:
    """The event's account is in the row under the key of accounts, its channel as it came; the id itself is not."""
    await desk.record(_event(account_id="home-7", channel="email"))
    (row,) = desk.log.rows
    assert row.account_pseudonym == Pseudonyms.of_accounts("k1", b"k" * 32)("home-7")
    assert row.channel == "email"
    assert b"home-7" not in row.SerializeToString()


async def test_events_of_every_kind_are_taken(desk: EventDesk) -> None:
    """Dismissals, unsubscriptions and complaints are events too."""
    kinds = (EventKind.EVENT_KIND_DISMISS, EventKind.EVENT_KIND_UNSUBSCRIBE, EventKind.EVENT_KIND_COMPLAINT)
    assert (await desk.record(*[_event(kind=kind) for kind in kinds])).accepted == 3
    assert [row.kind for row in desk.log.rows] == list(kinds)


async def test_rejected_events_alone_touch_nothing(desk: EventDesk) -> None:
    """With nothing to take, neither the store nor the log is asked."""
    desk.seen.down = desk.log.full = True
    answer = await desk.record(_event(event_id=""))
    assert (answer.accepted, len(answer.rejections)) == (0, 1)


@pytest.mark.parametrize("count", [0, 1001])
async def test_a_batch_has_limits(desk: EventDesk, count: int) -> None:
    """An empty batch and one of more than 1,000 events are refused whole."""
    with pytest.raises(CallerError) as caught:
        await desk.record(*[_event() for _ in range(count)])
    assert paths(caught.value.violations) == ["events"]


async def test_bytes_that_are_no_request(desk: EventDesk) -> None:
    """Broken protobuf is the caller's mistake."""
    with pytest.raises(CallerError):
        await desk.service.record(b"\xff", Call())


async def test_an_expired_call_does_no_work(desk: EventDesk) -> None:
    """A call whose deadline has passed logs nothing."""
    with pytest.raises(Expired):
        await desk.record(_event(), remaining_s=0.0)
    assert desk.log.rows == []
