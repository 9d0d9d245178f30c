"""Features by their definitions alone: every event is looked at anew for every question. Slow, and with nothing in common with the code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import floor, nan

from liftgate.domain.event import Event, Property
from liftgate.domain.feature import Definition, Filter, Source

CURRENCY = "EUR"


def known(events: Iterable[Event], person_id: str, at_ms: int) -> list[Event]:
    """Return a person's events that were received by then, each once, without late ones."""
    found: dict[str, Event] = {}
    for event in sorted(events, key=lambda event: event.received_at_ms):
        if event.person_id == person_id and event.received_at_ms <= at_ms:
            found.setdefault(event.event_id, event)
    return [event for event in found.values() if not event.late]


def value_of(event: Event, name: str, groups: dict[str, str]) -> Property | None:
    """Return a property, None: it is not there."""
    if name == "value":
        return event.value if event.value is not None and event.currency in ("", CURRENCY) else None
    if name == "group":
        return groups.get(event.offer_id) or None
    if name in ("offer", "channel", "name"):
        return {"offer": event.offer_id, "channel": event.channel, "name": event.name}[name] or None
    return event.properties.get(name)


def _passes(one: Filter, value: Property | None) -> bool:
    if value is None:
        return False
    if one.values:
        return value in one.values
    return isinstance(value, (int, float)) and not isinstance(value, bool) and one.low <= value <= one.high


def taken(events: Sequence[Event], source: Source, groups: dict[str, str]) -> list[tuple[Event, Property]]:
    """Return the events that a source takes, with the property that it uses."""
    found = []
    for event in events:
        if event.signal != source.signal or event.reliability in source.refuse:
            continue
        if not all(_passes(one, value_of(event, one.property, groups)) for one in source.where):
            continue
        value = value_of(event, source.property, groups) if source.property else 1
        if value is not None:
            found.append((event, value))
    return found


def _within(event: Event, definition: Definition, now_ms: int) -> bool:
    size = definition.bucket_ms
    return floor(event.occurred_at_ms / size) > floor(now_ms / size) - definition.buckets


def _weight(event: Event, definition: Definition, now_ms: int) -> float:
    if not definition.half_life_ms:
        return 1.0
    buckets = floor(now_ms / definition.bucket_ms) - floor(event.occurred_at_ms / definition.bucket_ms)
    return float(0.5 ** (max(buckets, 0) / 8))


def feature(events: Sequence[Event], definition: Definition, now_ms: int, groups: dict[str, str]) -> float:
    """Return the feature of one person's known events at a moment, NaN: there is none."""
    found = taken(events, definition.source, groups)
    kind = definition.aggregate
    if kind in ("last", "recency"):
        live = [(event, value) for event, value in found if event.occurred_at_ms > now_ms - definition.window_ms]
        if kind == "recency":
            age = max(0, now_ms - max((event.occurred_at_ms for event, _ in live), default=0)) / definition.unit_ms
            return nan if not live else float(floor(age)) if definition.input.type.value == "int" else age
        coded = [(event.occurred_at_ms, definition.input.encode(value)) for event, value in live]
        return max(coded)[1] if coded else nan
    live = [(event, value) for event, value in found if _within(event, definition, now_ms)]
    if kind == "first":
        coded = [(event.occurred_at_ms, definition.input.encode(value)) for event, value in live]
        return min(coded)[1] if coded else nan
    if kind == "distinct":
        return float(len({value for _, value in live}))
    numbers = [(event, value) for event, value in live if isinstance(value, (int, float)) and not isinstance(value, bool)]
    count = sum(_weight(event, definition, now_ms) for event, _ in numbers)
    if kind == "count":
        return count
    if kind == "rate":
        assert definition.per is not None
        per = [event for event, _ in taken(events, definition.per, groups) if _within(event, definition, now_ms)]
        over = sum(_weight(event, definition, now_ms) for event in per)
        return count / over if over else nan
    total = sum(float(value) * _weight(event, definition, now_ms) for event, value in numbers)
    return total if kind == "sum" else total / count if count else nan
