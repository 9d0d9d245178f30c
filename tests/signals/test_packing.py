"""What an event changes is packed at once, and is what its feeds say one by one."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from liftgate.domain.event import Event, EventKind, Property
from liftgate.domain.feature import HOUR, Definition, Source
from liftgate.domain.input import Input, InputType
from liftgate.signals.cell import CHANGE
from liftgate.signals.feeds import feeds_of, takes
from liftgate.signals.packing import at_once, plain
from liftgate.signals.plan import FeaturePlan
from tests.signals.streams import DEFINITIONS, GROUPS, NOW, PLAN, stream


def one_by_one(plan: FeaturePlan, event: Event) -> set[bytes]:
    """Return an event's changes as each series' feed gives them."""
    found = set()
    for own in plan.of_definition:
        for series, feed, _ in feeds_of(own):
            if series.source.signal == event.signal and takes(series, event.reliability) and not event.late:
                change = feed(event, GROUPS.get(event.offer_id, ""), "EUR")
                found |= set() if change is None else {change}
    return found


def split(raw: bytes) -> list[bytes]:
    """Return packed changes, each by itself."""
    return [raw[at : at + CHANGE.size] for at in range(0, len(raw), CHANGE.size)]


@pytest.mark.parametrize("seed", range(3))
def test_packed_at_once_is_what_the_feeds_say(seed: int) -> None:
    """2,000 events of every kind, with properties missing and of other kinds: the same changes, each once."""
    dice = random.Random(seed)
    odd: list[dict[str, Property]] = [
        {},
        {"category": True, "item": 3, "price": "x"},
        {"price": 2e9, "category": "none", "item": "x"},
        {"price": 7, "item": 1.5},
    ]
    some = 0
    for event in stream(dice, people=3, events=2_000):
        told: Event = replace(event, properties=dice.choice(odd)) if dice.random() < 0.4 else event
        changes = split(PLAN.changes(told)[0])
        assert len(changes) == len(set(changes))
        assert set(changes) == one_by_one(PLAN, told)
        some += bool(changes)
    assert some > 1_000


def test_an_event_lives_as_long_as_what_it_changes() -> None:
    """An event without the property that the longest window wants lives only as long as the others."""
    long = Definition(Input("profile.price", InputType.FLOAT, ()), 0, "sum", Source("click", "price"), window_ms=48 * HOUR)
    short = Definition(Input("profile.clicks", InputType.INT, ()), 1, "count", Source("click"), window_ms=HOUR)
    plan = FeaturePlan((long, short), {}, "EUR")
    with_price = Event("a", EventKind.CLICK, "p", NOW, NOW, 1, properties={"price": 2.0})
    without = replace(with_price, properties={})
    assert plan.changes(with_price)[1] == max(series.lives_ms for series in plan.series)
    assert plan.changes(without)[1] == min(series.lives_ms for series in plan.series)


def test_only_feeds_without_conditions_are_told_at_once() -> None:
    """A feed with a `where` is asked by itself; the function of the others gives up an event without their property."""
    every = [fed for definition in DEFINITIONS for own in [PLAN.of_definition[definition.index]] for fed in feeds_of(own)]
    assert {fed.series.definition.input.name for fed in every if not plain(fed)} == {"profile.credit_clicks", "profile.dear_views"}
    prices = [fed for fed in every if plain(fed) and fed.series.source == Source("product_view", "price")]
    view = Event("a", EventKind.CUSTOM, "p", NOW, NOW, 1, name="product_view")
    assert at_once(prices)(view, "", "EUR") is None
    assert len(at_once(prices)(replace(view, properties={"price": 1.0}), "", "EUR") or b"") == 2 * CHANGE.size
