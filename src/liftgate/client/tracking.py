"""Tracking calls of other tools as events: Segment and RudderStack `track` calls, CloudEvents 1.0, and plain JSON of our own.

docs/signals.md has the tables. Every mapper takes one parsed JSON object and gives an `Event`, or None for what is no event of ours
(`identify` calls, names that nobody mapped). The event's id is the other tool's, so that telling it again changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, cast, get_args

from liftgate.client.request import AttributeValue, Event, EventKindName

KINDS: tuple[str, ...] = get_args(EventKindName)

SEGMENT: Mapping[str, tuple[EventKindName, str]] = {
    "Promotion Viewed": ("exposure", ""),
    "Promotion Clicked": ("click", ""),
    "Product Viewed": ("custom", "product_viewed"),
    "Product Clicked": ("custom", "product_clicked"),
    "Product List Viewed": ("custom", "product_list_viewed"),
    "Products Searched": ("custom", "products_searched"),
    "Product Added": ("cart_action", "add"),
    "Product Removed": ("cart_action", "remove"),
    "Cart Viewed": ("cart_action", "view"),
    "Checkout Started": ("cart_action", "checkout"),
    "Order Completed": ("purchase", ""),
    "Order Refunded": ("refund", ""),
    "Order Cancelled": ("custom", "order_cancelled"),
    "Email Sent": ("email_sent", ""),
    "Email Delivered": ("email_delivered", ""),
    "Email Opened": ("email_opened", ""),
    "Email Link Clicked": ("email_clicked", ""),
    "Email Clicked": ("email_clicked", ""),
    "Email Bounced": ("email_bounced", ""),
    "Email Marked as Spam": ("email_complained", ""),
    "Email Unsubscribed": ("email_unsubscribed", ""),
    "Unsubscribed": ("email_unsubscribed", ""),
}
"""Names of `track` calls, and the kind and name that they become."""
MONEY = {"purchase": ("revenue", "total", "value"), "refund": ("total", "revenue", "value"), "cart_action": ("value", "price")}
"""Properties that hold the money of a kind, the first that is there."""

_EVENT_ID_BYTES = 128
_SURROGATE = re.compile("[\ud800-\udfff]")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_OURS = {"decision_id", "offer_id", "slot", "placement_id", "account_id", "jurisdiction", "prefetched", "automated"}
"""Properties of a `track` call that are fields of an event."""
_FIELDS = {field.name: field for field in fields(Event)}
_TEXTS = frozenset(name for name, field in _FIELDS.items() if field.type == "str")
_FLAGS = ("prefetched", "automated")


class BadCall(ValueError):
    """A call that cannot be an event: the field that is wrong, and what it wants."""

    def __init__(self, field: str, wants: str) -> None:
        super().__init__(f"{field} wants {wants}" if field else f"wants {wants}")
        self.field = field
        self.wants = wants


class Skipped(Exception):
    """Rightly no event of ours; `what` says of which sort, and holds nothing personal but what a sender names its events."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


Mapper = Callable[[Mapping[str, Any], Mapping[str, tuple[EventKindName, str]]], Event]


def named(signal: str) -> tuple[EventKindName, str]:
    """Return the kind and name of a signal as bundles write it: a kind, `cart_action.add`, or a custom event's name."""
    if signal in KINDS and signal != "custom":
        return cast(EventKindName, signal), ""
    if signal.startswith("cart_action."):
        return "cart_action", signal.removeprefix("cart_action.")
    return "custom", signal


def from_segment(call: Mapping[str, Any], more: Mapping[str, tuple[EventKindName, str]] | None = None) -> Event:
    """Return a Segment or RudderStack call as an event; `more` maps further names. Raises BadCall; Skipped for what is none."""
    kind_of_call = call.get("type", "track")
    if kind_of_call != "track":
        raise Skipped(f"type {kind_of_call}" if isinstance(kind_of_call, str) else "type")
    name = _text(call, "event")
    known = (more or {}).get(name) or SEGMENT.get(name)
    if known is None:
        raise Skipped(f"event {name}")
    kind, own_name = known
    sent, context = ({} if call.get(key) is None else call[key] for key in ("properties", "context"))
    if not isinstance(sent, Mapping) or not isinstance(context, Mapping):
        raise BadCall("properties" if not isinstance(sent, Mapping) else "context", "an object")
    properties = {_snake(key): value for key, value in sent.items()}
    values: dict[str, Any] = {key: properties[key] for key in _OURS & properties.keys() if properties[key] is not None}
    if kind in ("exposure", "click") and "offer_id" not in values and isinstance(properties.get("promotion_id"), str):
        values["offer_id"] = properties["promotion_id"]
    money = next((properties[key] for key in MONEY.get(kind, ()) if properties.get(key) is not None), None)
    if money is not None:
        values |= {"value": _number(money, "properties.revenue"), "currency": str(properties.get("currency") or "").upper()}
    device = context.get("device")
    if isinstance(device, Mapping) and isinstance(device.get("type"), str):
        values["device"] = device["type"]
    if isinstance(context.get("timezone"), str):
        values["time_zone"] = context["timezone"]
    at = next((call[key] for key in ("timestamp", "originalTimestamp", "sentAt") if call.get(key)), None)
    person = call.get("userId") or call.get("anonymousId")
    if not isinstance(person, (str, int)) or isinstance(person, bool):
        raise BadCall("userId", "text, or an anonymousId in its place")
    return _event(
        kind,
        values,
        name=own_name,
        event_id=_text(call, "messageId"),
        person_id=str(person),
        occurred_at_ms=_time_ms(at, "timestamp"),
        properties={key: value for key, value in properties.items() if key not in _OURS and isinstance(value, (str, int, float, bool))},
    )


def from_cloudevents(event: Mapping[str, Any], more: Mapping[str, tuple[EventKindName, str]] | None = None) -> Event:
    """Return a CloudEvent 1.0 in JSON as an event: the last part of `type` names the signal, `subject` the person. Raises BadCall, Skipped.

    What identifies a CloudEvent is its source and id together: the event's id is `id@` and a hash of the source.
    """
    if event.get("specversion") != "1.0":
        raise BadCall("specversion", "1.0")
    name = _text(event, "type")
    known = (more or {}).get(name)
    if known is None:
        signal = name.rsplit(".", 1)[-1]
        if signal not in KINDS or signal == "custom":
            raise Skipped(f"type {name}")
        known = named(signal)
    data = event.get("data") or {}
    if not isinstance(data, Mapping):
        raise BadCall("data", "an object")
    properties = data.get("properties") or {}
    if not isinstance(properties, Mapping):
        raise BadCall("data.properties", "an object")
    source, own_id = _text(event, "source"), _text(event, "id")
    mark = blake2b(source.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
    event_id = f"{own_id}@{mark}"
    if len(event_id.encode("utf-8", "surrogatepass")) > _EVENT_ID_BYTES:
        event_id = blake2b(event_id.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
    values = {key: value for key, value in data.items() if key in _FIELDS and key not in _SET and value is not None}
    kind, own_name = known
    return _event(
        kind,
        values,
        name=own_name or str(data.get("name") or ""),
        event_id=event_id,
        person_id=_text(event, "subject"),
        occurred_at_ms=_time_ms(event.get("time"), "time"),
        properties=properties,
    )


_SET = frozenset({"kind", "event_id", "person_id", "occurred_at_ms", "properties", "name"})


def from_liftgate(record: Mapping[str, Any], more: Mapping[str, tuple[EventKindName, str]] | None = None) -> Event:
    """Return an object whose keys are the fields of `Event` (`occurred_at` may be ISO 8601) as an event. Raises BadCall."""
    unknown = sorted(key for key in record if key not in _FIELDS and key != "occurred_at")
    if unknown:
        raise BadCall(unknown[0], f"to be left out: the fields are occurred_at, {', '.join(sorted(_FIELDS))}")
    signal = _text(record, "kind")
    known = (more or {}).get(signal)
    if known is None and signal not in KINDS:
        raise BadCall("kind", f"one of {', '.join(KINDS)}")
    kind, own_name = known or (cast(EventKindName, signal), "")
    properties = record.get("properties") or {}
    if not isinstance(properties, Mapping):
        raise BadCall("properties", "an object")
    at = record.get("occurred_at", record.get("occurred_at_ms"))
    return _event(
        kind,
        {key: value for key, value in record.items() if key in _FIELDS and key not in _SET and value is not None},
        name=own_name or str(record.get("name") or ""),
        event_id=_text(record, "event_id"),
        person_id=_text(record, "person_id"),
        occurred_at_ms=_time_ms(at, "occurred_at"),
        properties=properties,
    )


FORMATS: Mapping[str, Mapper] = {
    "segment": from_segment,
    "rudderstack": from_segment,
    "cloudevents": from_cloudevents,
    "liftgate": from_liftgate,
}
"""By name of the format; RudderStack's calls are Segment's."""


def _event(kind: EventKindName, values: Mapping[str, Any], *, properties: Mapping[str, Any], **known: Any) -> Event:
    checked: dict[str, Any] = {}
    for key, value in values.items():
        if key in _TEXTS:
            if not isinstance(value, str):
                raise BadCall(key, "text")
            checked[key] = value
        elif key == "slot":
            if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**31:
                raise BadCall(key, "a whole number, from 1")
            checked[key] = value
        elif key in _FLAGS:
            if not isinstance(value, bool):
                raise BadCall(key, "true or false")
            checked[key] = value
        elif key == "value":
            checked[key] = _number(value, key)
    kept: dict[str, AttributeValue] = {}
    for key, value in properties.items():
        if isinstance(value, int) and not isinstance(value, bool) and not -(2**63) <= value < 2**63:
            raise BadCall(f"properties.{key}", "a whole number of at most 64 bits")
        if isinstance(value, (str, int, float, bool)):
            kept[key] = value
    for key, value in (*checked.items(), *known.items(), *kept.items()):
        if isinstance(value, str) and not value.isascii() and _SURROGATE.search(value):
            raise BadCall(key, "text without halves of characters")
    made = Event(kind, known["person_id"], event_id=known["event_id"], properties=kept)
    return replace(made, **checked, name=known["name"], occurred_at_ms=known["occurred_at_ms"])


def _snake(name: str) -> str:
    return _CAMEL.sub("_", name).replace(" ", "_").replace("-", "_").lower()


def _text(holder: Mapping[str, Any], name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str) or not value:
        raise BadCall(name, "text")
    return value


def _number(value: Any, field: str) -> float:
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            return float(value)
    except (ValueError, OverflowError):
        pass
    raise BadCall(field, "a number")


def _time_ms(value: Any, field: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**53:
        return value
    if isinstance(value, str):
        try:
            at = datetime.fromisoformat(value)
        except ValueError:
            raise BadCall(field, "a time such as 2026-06-15T12:00:00Z") from None
        return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
    # An old event without its time would be told as of now.
    raise BadCall(field, "a time such as 2026-06-15T12:00:00Z, or milliseconds since the Unix epoch")
