"""What a bundle declares of events: custom names, properties, reliability, lateness; in the row and in the answer."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from liftgate.bundle.load import load_bundle
from liftgate.domain.event import KIND_NAMES
from liftgate.pipeline.live import Live
from liftgate.v1.event_service_pb2 import Event, EventKind, PropertyValue, Reliability
from tests.adapters.event_desk import EventDesk, event_desk

NOW_MS = 1_781_524_800_000
DAY = 86_400_000
BUNDLE = """
bundle: b
currency: EUR
time_zone: UTC
profile_purpose: none
signals:
  email_opened: {reliability: unreliable}
  click: {}
  loyalty_join: {}
  crawl: {reliability: bot}
event_properties:
  category: {type: string}
  quantity: {type: int}
  weight: {type: float}
  gift: {type: bool}
  shipped_at: {type: timestamp}
events: {late_after: 7d}
offers: {o: {value: 1.0}}
placements: {home: {offers: all, select: {policy: epsilon_greedy, epsilon: 0.0}}}
"""
RELIABLE, UNRELIABLE, BOT = Reliability.RELIABILITY_RELIABLE, Reliability.RELIABILITY_UNRELIABLE, Reliability.RELIABILITY_BOT


class _NoModels:
    def score(self, model: Any, matrix: Any) -> Any:
        raise AssertionError("no event needs a model")


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[EventDesk]:
    """A fresh service on the bundle above."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "bundle.yaml").write_text(BUNDLE, encoding="utf-8")
    async with event_desk(tmp_path / "log", Live(load_bundle(folder), _NoModels()), now_ms=NOW_MS) as made:
        yield made


_ids = itertools.count()


def _event(kind: str = "click", **fields: Any) -> Event:
    ordinary: dict[str, Any] = {"event_id": f"e-{next(_ids)}", "kind": EventKind.Value(f"EVENT_KIND_{kind.upper()}"), "person_id": "p"}
    return Event(**(ordinary | fields))


def _properties(**values: Any) -> dict[str, PropertyValue]:
    kinds = {bool: "bool_value", int: "int_value", float: "double_value", str: "string_value"}
    return {name: PropertyValue(**{kinds[type(value)]: value}) for name, value in values.items()}


async def test_every_kind_is_taken(desk: EventDesk) -> None:
    """There is no kind of the contract that the service does not take."""
    needs: dict[str, dict[str, Any]] = {"refund": {"value": 5.0}, "custom": {"name": "loyalty_join"}}
    answer = await desk.record(*[_event(name, **needs.get(name, {})) for name in KIND_NAMES])
    assert (answer.accepted, len(answer.rejections)) == (len(KIND_NAMES), 0)
    assert [int(row.kind) for row in desk.log.rows] == [int(kind) for kind in KIND_NAMES.values()]
    assert [row.channel for row in desk.log.rows] == ["email" if name.startswith("email_") else "" for name in KIND_NAMES]


async def test_everything_that_is_said_is_in_the_row(desk: EventDesk) -> None:
    """Name, slot, placement, device and declared properties are recorded as they came, typed."""
    await desk.record(
        _event(
            "custom",
            name="loyalty_join",
            slot=2,
            placement_id="home",
            device="mobile",
            value=2.5,
            properties=_properties(category="shoes", quantity=3, weight=2, gift=True, shipped_at=NOW_MS),
        )
    )
    (row,) = desk.log.rows
    assert (row.name, row.slot, row.placement_id, row.device, row.value, row.currency) == ("loyalty_join", 2, "home", "mobile", 2.5, "EUR")
    assert row.properties_json == f'{{"category":"shoes","gift":true,"quantity":3,"shipped_at":{NOW_MS},"weight":2.0}}'
    assert isinstance(json.loads(row.properties_json)["weight"], float)


async def test_what_is_not_declared_is_nowhere(desk: EventDesk, tmp_path: Path) -> None:
    """An undeclared property is dropped and said to be; neither its name nor its value is in any byte of the log."""
    answer = await desk.record(_event(properties=_properties(email="ada@example.org", category="x"), event_id="kept"))
    assert (answer.accepted, answer.dropped_properties) == (1, 1)
    raw = b"".join(path.read_bytes() for path in (tmp_path / "log").iterdir())
    assert b"kept" in raw
    assert b"ada@example.org" not in raw
    assert b'"email"' not in raw


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("category", 3),
        ("category", "x" * 257),
        ("quantity", 1.5),
        ("quantity", "three"),
        ("quantity", 2**60),
        ("weight", float("nan")),
        ("weight", float("inf")),
        ("gift", 1),
        ("shipped_at", "today"),
    ],
)
async def test_a_declared_property_of_another_type_is_rejected(desk: EventDesk, name: str, value: Any) -> None:
    """The event is rejected with the property's name and what it wants; its neighbour is taken."""
    answer = await desk.record(_event(properties=_properties(**{name: value})), _event())
    assert [(one.index, one.field) for one in answer.rejections] == [(0, f"properties.{name}")]
    assert str(value) not in answer.rejections[0].description
    assert answer.accepted == 1


async def test_too_many_properties_are_rejected(desk: EventDesk) -> None:
    """65 properties are one too many, declared or not; 64 are not."""
    many = {f"p{i}": i for i in range(65)}
    answer = await desk.record(_event(properties=_properties(**many)), _event(properties=_properties(**dict(list(many.items())[:64]))))
    assert [(one.index, one.field) for one in answer.rejections] == [(0, "properties")]
    assert answer.dropped_properties == 64


@pytest.mark.parametrize(
    ("event", "reliability"),
    [
        (_event("click"), RELIABLE),
        (_event("purchase"), RELIABLE),
        (_event("email_opened"), UNRELIABLE),
        (_event("email_opened", automated=True), BOT),
        (_event("click", prefetched=True), UNRELIABLE),
        (_event("click", prefetched=True, automated=True), BOT),
        (_event("custom", name="loyalty_join"), RELIABLE),
        (_event("custom", name="crawl"), BOT),
        (_event("custom", name="crawl", prefetched=True), BOT),
    ],
    ids=lambda given: str(given) if isinstance(given, int) else None,
)
async def test_the_worse_of_declaration_and_hint_is_recorded(desk: EventDesk, event: Event, reliability: int) -> None:
    """What the bundle says of the signal and what the event says of itself, whichever is to be trusted less."""
    await desk.record(event)
    assert [row.reliability for row in desk.log.rows] == [reliability]


async def test_late_events_are_stored_and_said_to_be_late(desk: EventDesk) -> None:
    """Beyond `late_after`, to the millisecond; a repetition is a duplicate and not late again."""
    on_time, late = _event(occurred_at_ms=NOW_MS - 7 * DAY), _event(occurred_at_ms=NOW_MS - 7 * DAY - 1)
    answer = await desk.record(on_time, late)
    assert (answer.accepted, answer.late, answer.duplicates) == (2, 1, 0)
    assert [row.late for row in desk.log.rows] == [False, True]
    again = await desk.record(late)
    assert (again.accepted, again.late, again.duplicates) == (1, 0, 1)
    assert dict(desk.outcomes) == {"accepted": 1, "late": 1, "duplicate": 1}


async def test_an_unknown_custom_name_is_answered_with_names_of_the_bundle(desk: EventDesk) -> None:
    """The rejection says which names there are, and does not repeat what was sent."""
    answer = await desk.record(_event("custom", name="loyalty_jion"), _event("custom", name="ada@example.org"))
    near, far = answer.rejections
    assert "loyalty_join" in near.description
    assert "crawl" in far.description
    assert "ada" not in far.description
