"""Calls of other tools as events: each row of the documented tables, ids, times, and what is no event."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from liftgate.client import Event
from liftgate.client.tracking import FORMATS, KINDS, SEGMENT, BadCall, Skipped, from_cloudevents, from_liftgate, from_segment, named

AT = "2026-06-15T12:00:00.250Z"
AT_MS = 1_781_524_800_250
PAGE = (Path(__file__).parents[2] / "docs/signals.md").read_text(encoding="utf-8")
DECISION = "ab" * 16


def call(event: str = "Order Completed", **more: Any) -> dict[str, Any]:
    """Return an ordinary track call."""
    return {"type": "track", "event": event, "messageId": "m-1", "userId": "ada", "timestamp": AT, **more}


@pytest.mark.parametrize(("name", "wanted"), SEGMENT.items())
def test_every_mapped_name_is_in_the_page(name: str, wanted: tuple[str, str]) -> None:
    """docs/signals.md has a row for the name, with the signal that it becomes."""
    kind, own = wanted
    signal = {"custom": own, "cart_action": f"cart_action.{own}"}.get(kind, kind)
    assert re.search(rf"^\| [^|]*`{re.escape(name)}`[^|]*\| `{re.escape(signal)}`", PAGE, re.MULTILINE)
    made = from_segment(call(name, properties={"revenue": 3, "total": 3}))
    assert (made.kind, made.name) == wanted


def test_an_order_is_a_purchase_with_its_money() -> None:
    """Revenue before total, currency in capitals, the message's id and time, scalar properties in snake case; nested ones stay out."""
    made = from_segment(
        call(properties={"orderId": "o-1", "revenue": "25.5", "total": 30, "currency": "usd", "products": [{"sku": 1}], "first": True})
    )
    assert (made.kind, made.value, made.currency) == ("purchase", 25.5, "USD")
    assert (made.event_id, made.person_id, made.occurred_at_ms) == ("m-1", "ada", AT_MS)
    assert made.properties == {"order_id": "o-1", "revenue": "25.5", "total": 30, "currency": "usd", "first": True}


def test_what_a_refund_gives_back_is_its_total() -> None:
    """Total before revenue."""
    assert from_segment(call("Order Refunded", properties={"total": 8, "revenue": 9})).value == 8.0


def test_a_promotion_is_the_offer_that_it_names() -> None:
    """promotion_id is the offer, unless the call names the offer itself; decision, slot and placement ride along."""
    sent = {"promotion_id": "gift", "decision_id": DECISION, "slot": 2, "placement_id": "home"}
    made = from_segment(call("Promotion Viewed", properties=sent, context={"device": {"type": "ios"}, "timezone": "Europe/Berlin"}))
    assert (made.kind, made.offer_id, made.decision_id, made.slot, made.placement_id) == ("exposure", "gift", DECISION, 2, "home")
    assert (made.device, made.time_zone) == ("ios", "Europe/Berlin")
    assert from_segment(call("Promotion Clicked", properties={"promotion_id": "x", "offer_id": "gift"})).offer_id == "gift"


def test_who_has_not_logged_in_is_their_anonymous_id() -> None:
    """anonymousId stands in where there is no userId."""
    assert from_segment(call(userId=None, anonymousId="anon-1")).person_id == "anon-1"
    assert from_segment(call(userId=17)).person_id == "17"


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"messageId": None}, "messageId"),
        ({"userId": None}, "userId"),
        ({"userId": True}, "userId"),
        ({"timestamp": "yesterday"}, "timestamp"),
        ({"timestamp": None}, "timestamp"),
        ({"event": ""}, "event"),
        ({"properties": []}, "properties"),
        ({"context": "x"}, "context"),
        ({"properties": {"revenue": "much"}}, "properties.revenue"),
        ({"properties": {"slot": "first"}}, "slot"),
        ({"properties": {"decision_id": 5}}, "decision_id"),
        ({"properties": {"automated": "yes"}}, "automated"),
        ({"properties": {"n": 2**70}}, "properties.n"),
        ({"userId": "\ud800"}, "person_id"),
    ],
)
def test_a_bad_call_is_named_by_its_field(wrong: dict[str, Any], field: str) -> None:
    """What cannot be an event says which field wants what."""
    with pytest.raises(BadCall) as caught:
        from_segment(call(**wrong))
    assert caught.value.field == field
    assert caught.value.wants


@pytest.mark.parametrize(("other", "what"), [({"type": "identify"}, "type identify"), ({"event": "Quiz Finished"}, "event Quiz Finished")])
def test_what_is_no_event_is_left_out(other: dict[str, Any], what: str) -> None:
    """Calls of other types and names that nobody mapped are skipped, not refused."""
    with pytest.raises(Skipped) as caught:
        from_segment(call(**other))
    assert caught.value.what == what


def test_further_names_can_be_mapped() -> None:
    """A map of one's own adds names and wins over the table."""
    more = {"Quiz Finished": named("quiz_finished"), "Product Viewed": named("click"), "Basket": named("cart_action.view")}
    assert [(made.kind, made.name) for name in more for made in [from_segment(call(name), more)]] == [
        ("custom", "quiz_finished"),
        ("click", ""),
        ("cart_action", "view"),
    ]


def test_a_cloud_event_keeps_its_attributes() -> None:
    """type names the signal, subject the person, time the moment; source and id together are the id."""
    sent = {
        "specversion": "1.0",
        "id": "7",
        "source": "/shop",
        "type": "org.example.purchase",
        "time": AT,
        "subject": "ada",
        "data": {"value": 5, "currency": "EUR", "decision_id": DECISION, "properties": {"category": "shoes"}},
    }
    made = from_cloudevents(sent)
    assert (made.kind, made.person_id, made.occurred_at_ms, made.value, made.decision_id) == ("purchase", "ada", AT_MS, 5.0, DECISION)
    assert made.properties == {"category": "shoes"}
    assert made.event_id.startswith("7@")
    assert made.event_id == from_cloudevents(sent).event_id != from_cloudevents(sent | {"source": "/app"}).event_id
    assert len(from_cloudevents(sent | {"id": "x" * 500}).event_id) == 32


@pytest.mark.parametrize("wrong", ["specversion", "id", "source", "subject", "time"])
def test_a_cloud_event_without_an_attribute_is_bad(wrong: str) -> None:
    """Each attribute that an event needs is asked for by name."""
    sent = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "x.click", "time": AT, "subject": "ada"}
    with pytest.raises(BadCall) as caught:
        from_cloudevents({key: value for key, value in sent.items() if key != wrong})
    assert caught.value.field == wrong


def test_cloud_events_of_other_types_are_left_out() -> None:
    """A type whose last part is no kind is skipped, unless it is mapped."""
    sent = {"specversion": "1.0", "id": "7", "source": "/shop", "type": "org.example.quiz", "time": AT, "subject": "ada"}
    with pytest.raises(Skipped):
        from_cloudevents(sent)
    assert from_cloudevents(sent, {"org.example.quiz": named("quiz")}).name == "quiz"


def test_our_own_form_has_the_fields_of_an_event() -> None:
    """Every field of Event, by its name; anything else is named as unknown."""
    sent = {
        "event_id": "e",
        "kind": "custom",
        "name": "quiz",
        "person_id": "ada",
        "occurred_at": AT,
        "slot": 1,
        "value": 2,
        "channel": "web",
        "prefetched": True,
        "properties": {"a": 1},
    }
    wanted = Event(
        "custom",
        "ada",
        occurred_at_ms=AT_MS,
        value=2.0,
        event_id="e",
        channel="web",
        name="quiz",
        slot=1,
        properties={"a": 1},
        prefetched=True,
    )
    assert from_liftgate(sent) == wanted
    with pytest.raises(BadCall) as caught:
        from_liftgate(sent | {"offer": "gift"})
    assert caught.value.field == "offer"
    with pytest.raises(BadCall) as caught:
        from_liftgate(sent | {"kind": "visit"})
    assert caught.value.wants == f"one of {', '.join(KINDS)}"


def test_every_format_is_in_the_page() -> None:
    """docs/signals.md names each."""
    assert [name for name in FORMATS if f"`{name}`" not in PAGE] == []
