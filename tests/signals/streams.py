"""Definitions of every kind and seeded streams of events, for tests of features."""

from __future__ import annotations

import random
from dataclasses import replace

from liftgate.domain.event import Event, EventKind, Reliability
from liftgate.domain.feature import DAY, HOUR, MINUTE, Definition, Filter, Source
from liftgate.domain.input import Input, InputType
from liftgate.signals.plan import FeaturePlan

NOW = 1_800_000_000_000
GROUPS = {"ship": "shipping", "loan": "credit", "card": "credit"}
VIEW, CLICK, PURCHASE = Source("product_view"), Source("click"), Source("purchase", "value")
UNRELIABLE = (Reliability.UNRELIABLE, Reliability.BOT)


def _input(name: str, kind: InputType = InputType.FLOAT, values: tuple[str, ...] = ()) -> Input:
    return Input(f"profile.{name}", kind, values)


CATEGORIES = ("shoes", "hats", "coats")
DEFINITIONS = tuple(
    replace(each, index=i)
    for i, each in enumerate(
        [
            Definition(_input("views_1h", InputType.INT), 0, "count", VIEW, window_ms=HOUR),
            Definition(_input("spend_90d"), 0, "sum", PURCHASE, window_ms=90 * DAY),
            Definition(_input("basket_7d"), 0, "mean", PURCHASE, window_ms=7 * DAY),
            Definition(_input("ctr_30d"), 0, "rate", CLICK, per=Source("exposure"), window_ms=30 * DAY),
            Definition(_input("category", InputType.STRING, CATEGORIES), 0, "last", Source("product_view", "category"), window_ms=DAY),
            Definition(_input("entry", InputType.STRING, CATEGORIES), 0, "first", Source("product_view", "category"), window_ms=DAY),
            Definition(_input("hours_since"), 0, "recency", CLICK, window_ms=DAY, unit_ms=HOUR),
            Definition(_input("days_since", InputType.INT), 0, "recency", Source("purchase"), window_ms=90 * DAY, unit_ms=DAY),
            Definition(_input("offers_seen"), 0, "distinct", Source("exposure", "offer"), window_ms=HOUR, exact_up_to=8),
            Definition(_input("items_seen"), 0, "distinct", Source("product_view", "item"), window_ms=10 * MINUTE, exact_up_to=16),
            Definition(_input("interest"), 0, "count", VIEW, half_life_ms=HOUR),
            Definition(_input("interest_spend"), 0, "sum", PURCHASE, half_life_ms=DAY),
            Definition(_input("interest_mean"), 0, "mean", Source("product_view", "price"), half_life_ms=HOUR),
            Definition(
                _input("credit_clicks"),
                0,
                "count",
                Source("click", where=(Filter("group", ("credit",)),), refuse=UNRELIABLE),
                window_ms=HOUR,
            ),
            Definition(
                _input("dear_views"),
                0,
                "count",
                Source("product_view", where=(Filter("price", low=50.0), Filter("channel", ("web", "app")))),
                window_ms=DAY,
            ),
            Definition(_input("views_1m"), 0, "count", VIEW, window_ms=MINUTE),
        ]
    )
)
PLAN = FeaturePlan(DEFINITIONS, GROUPS, "EUR")


def event(
    event_id: str,
    kind: EventKind,
    at_ms: int,
    person_id: str = "p",
    received_at_ms: int | None = None,
    reliability: Reliability = Reliability.RELIABLE,
    **more: object,
) -> Event:
    """Return an event."""
    received = at_ms if received_at_ms is None else received_at_ms
    return Event(event_id, kind, person_id, at_ms, received, reliability, **more)  # type: ignore[arg-type]


def stream(dice: random.Random, people: int, events: int, span_ms: int = 2 * DAY, end_ms: int = NOW) -> list[Event]:
    """Return events in the order in which they are received: most at once, some late, some from clocks that run ahead."""
    found = []
    for i in range(events):
        received = end_ms - dice.randrange(span_ms)
        delay = dice.choice([0, 0, 0, dice.randrange(2_000), dice.randrange(HOUR), dice.randrange(DAY), -dice.randrange(4 * MINUTE)])
        found.append(_one(dice, f"e{i}", f"p{dice.randrange(people)}", received - delay, received))
    return sorted(found, key=lambda one: one.received_at_ms)


def _one(dice: random.Random, event_id: str, person_id: str, at_ms: int, received_at_ms: int) -> Event:
    kind = dice.choice([EventKind.CUSTOM, EventKind.CUSTOM, EventKind.CLICK, EventKind.EXPOSURE, EventKind.PURCHASE, EventKind.DISMISS])
    properties: dict[str, object] = {}
    more: dict[str, object] = {"channel": dice.choice(["", "web", "app", "email"]), "offer_id": dice.choice(["", *GROUPS, "unknown"])}
    if kind is EventKind.CUSTOM:
        more["name"] = "product_view"
        if dice.random() < 0.9:
            properties["category"] = dice.choice([*CATEGORIES, "else"])
        if dice.random() < 0.9:
            properties["price"] = round(dice.random() * 100, 2)
        properties["item"] = f"i{dice.randrange(60)}"
    if kind is EventKind.PURCHASE and dice.random() < 0.9:
        more |= {"value": round(dice.expovariate(0.02), 2), "currency": dice.choice(["EUR", "EUR", "USD"])}
    reliability = dice.choice([Reliability.RELIABLE, Reliability.RELIABLE, Reliability.UNRELIABLE, Reliability.BOT])
    return event(event_id, kind, at_ms, person_id, received_at_ms, reliability, properties=properties, late=dice.random() < 0.02, **more)
