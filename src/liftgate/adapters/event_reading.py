"""A caller's events as checked values, by the bundle in force: what is wrong is named, what is not declared is dropped."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import isfinite

from liftgate.adapters.grpc_requests import ACCOUNT_ID_BYTES, CONTEXT_TEXT_BYTES, PERSON_ID_BYTES, fits
from liftgate.bundle.compiled import Bundle
from liftgate.bundle.mistake import did_you_mean, one_of
from liftgate.domain.errors import FieldViolation
from liftgate.domain.event import CART_ACTIONS, EMAIL, KIND_NAMES, MONEY_KINDS, Event, EventKind, Property, Reliability
from liftgate.domain.input import InputType
from liftgate.v1 import event_service_pb2

EVENT_ID_BYTES = 128
OFFER_ID_BYTES = 256
NAME_BYTES = 128
PROPERTIES = 64
PROPERTY_TEXT_BYTES = 256
MOST_SLOTS = 1000
AHEAD_MS = 5 * 60 * 1000
"""How far an event may lie ahead of our clock."""

_SHORT, _BRIEF = EVENT_ID_BYTES // 4, CONTEXT_TEXT_BYTES // 4
"""Characters that fit whatever they are: UTF-8 takes at most four bytes each."""
_LARGEST_WHOLE = 2**53
_STRING, _FLOAT = InputType.STRING, InputType.FLOAT
_DECISION_ID = re.compile(r"[0-9a-f]{32}").fullmatch
_CURRENCY = re.compile(r"[A-Z]{3}").fullmatch
_CUSTOM, _CART, _REFUND = int(EventKind.CUSTOM), int(EventKind.CART_ACTION), int(EventKind.REFUND)
_EXPOSURE = int(EventKind.EXPOSURE)
_KINDS = frozenset(int(kind) for kind in KIND_NAMES.values())
_MONEY = frozenset(map(int, MONEY_KINDS))
_EMAILS = frozenset(int(kind) for name, kind in KIND_NAMES.items() if name.startswith("email_"))
_UNRELIABLE, _BOT = int(Reliability.UNRELIABLE), int(Reliability.BOT)
_WANTED = {
    InputType.INT: ("a whole number (int_value)", ("int_value",)),
    InputType.FLOAT: ("a finite number (double_value or int_value)", ("double_value", "int_value")),
    InputType.BOOL: ("true or false (bool_value)", ("bool_value",)),
    InputType.STRING: (f"text of at most {PROPERTY_TEXT_BYTES} bytes (string_value)", ("string_value",)),
    InputType.TIMESTAMP: ("milliseconds since the Unix epoch (int_value)", ("int_value",)),
}


class EventReader:
    """Reads events by one bundle. One event loop."""

    def __init__(self, bundle: Bundle) -> None:
        rules = bundle.events
        self._classes, self._custom, self._properties = rules.classes, rules.custom, rules.properties
        self._late_after_ms = rules.late_after_ms
        self._currency = bundle.currency
        self.dropped = 0
        """Properties dropped so far, for want of a declaration."""
        self.late = 0
        """Events so far that were late."""

    def read(self, message: event_service_pb2.Event, now_ms: int) -> Event | FieldViolation:
        """Return the event, or the first thing that is wrong with it. `now_ms` is the service's clock."""
        event_id, kind, person_id = message.event_id, message.kind, message.person_id
        if not 0 < len(event_id) <= _SHORT and not fits(event_id, EVENT_ID_BYTES):
            return FieldViolation("event_id", f"wants 1 to {EVENT_ID_BYTES} bytes")
        if kind not in _KINDS:
            return FieldViolation("kind", f"wants one of {', '.join(name.upper() for name in KIND_NAMES)}")
        if not 0 < len(person_id) <= _SHORT and not fits(person_id, PERSON_ID_BYTES):
            return FieldViolation("person_id", f"wants 1 to {PERSON_ID_BYTES} bytes")
        decision_id, offer_id = message.decision_id, message.offer_id
        if decision_id and not _DECISION_ID(decision_id):
            return FieldViolation("decision_id", "wants 32 lower-case hexadecimal digits, as Decide answered them, or nothing")
        if len(offer_id) > _SHORT and not fits(offer_id, OFFER_ID_BYTES):
            return FieldViolation("offer_id", f"wants at most {OFFER_ID_BYTES} bytes")
        account_id = message.account_id
        if account_id and not fits(account_id, ACCOUNT_ID_BYTES):
            return FieldViolation("account_id", f"wants at most {ACCOUNT_ID_BYTES} bytes")
        channel, time_zone, device = message.channel, message.time_zone, message.device
        placement_id, jurisdiction, name, slot = message.placement_id, message.jurisdiction, message.name, message.slot
        # Together they are mostly shorter than each may be.
        if slot > MOST_SLOTS or len(channel + time_zone + device + jurisdiction + placement_id + name) > _BRIEF:
            wrong = _texts(message)
            if wrong is not None:
                return wrong
        if name and (kind != _CUSTOM or name not in self._custom):
            wrong = self._name(kind, name)
            if wrong is not None:
                return wrong
        if kind == _CUSTOM and not name:
            return FieldViolation("name", "wants the custom event's name, as the bundle's `signals` declare it")
        occurred_at_ms = message.occurred_at_ms
        if occurred_at_ms < 0:
            return FieldViolation("occurred_at_ms", "wants milliseconds since the Unix epoch, or 0 for now")
        if occurred_at_ms > now_ms + AHEAD_MS:
            return FieldViolation("occurred_at_ms", "wants a time no more than 5 minutes ahead of the service's clock")
        value, currency = None, message.currency
        if currency and not _CURRENCY(currency):
            return FieldViolation("currency", "wants three capital letters (ISO 4217)")
        if message.HasField("value"):
            value = message.value
            if kind not in _MONEY:
                return FieldViolation("value", "wants none: only purchases, refunds, cart actions and custom events have one")
            if not isfinite(value) or value < 0 or (kind == _REFUND and value == 0):
                return FieldViolation("value", "wants a finite number that is not negative; of a refund above 0")
            currency = currency or self._currency
        elif kind == _REFUND:
            return FieldViolation("value", "wants what was refunded, above 0")
        else:
            currency = ""
        properties: Mapping[str, Property] = {}
        if message.properties:
            found = self._kept(message)
            if isinstance(found, FieldViolation):
                return found
            properties = found
        reliability = self._custom[name] if kind == _CUSTOM else self._classes[kind]
        if message.automated:
            reliability = _BOT
        elif message.prefetched and reliability < _UNRELIABLE:
            reliability = _UNRELIABLE
        occurred_at_ms = occurred_at_ms or now_ms
        late = self._late_after_ms is not None and now_ms - occurred_at_ms > self._late_after_ms
        if late:
            self.late += 1
        return Event(
            event_id,
            kind,
            person_id,
            occurred_at_ms,
            now_ms,
            reliability,
            decision_id,
            offer_id,
            value,
            currency,
            account_id,
            channel or (EMAIL if kind in _EMAILS else ""),
            time_zone,
            name,
            slot,
            placement_id,
            device,
            jurisdiction,
            properties,
            late,
        )

    def _name(self, kind: int, name: str) -> FieldViolation | None:
        if kind == _CUSTOM:
            if name in self._custom:
                return None
            if name in KIND_NAMES:
                return FieldViolation("name", f"wants kind {name.upper()} instead: it is no custom event")
            # Names of the bundle only: what was sent may be anything, and errors are logged.
            near = did_you_mean(name, self._custom, one_of(self._custom)) if self._custom else "it declares none"
            return FieldViolation("name", f"wants the name of a custom event that the bundle's `signals` declare ({near})")
        if kind == _CART:
            return None if name in CART_ACTIONS else FieldViolation("name", f"wants one of {', '.join(CART_ACTIONS)}, or nothing")
        return FieldViolation("name", "wants none: only custom events and cart actions have one")

    def _kept(self, message: event_service_pb2.Event) -> Mapping[str, Property] | FieldViolation:
        """Return the declared properties, typed."""
        sent, declared = message.properties, self._properties
        if len(sent) > PROPERTIES:
            return FieldViolation("properties", f"wants at most {PROPERTIES} properties")
        kept: dict[str, Property] = {}
        for name, kind in declared.items():
            if name in sent:
                one = sent[name]
                # Asking which of its kinds a value has costs more than the rest: text that is there, or a number that is not 0, says it.
                value: Property | None
                if kind is _STRING and (value := one.string_value) and len(value) <= _SHORT:
                    pass
                elif kind is not _FLOAT or not (value := one.double_value) or not isfinite(value):
                    value = _typed(kind, one)
                    if value is None:
                        return FieldViolation(f"properties.{name}", f"wants {_WANTED[kind][0]}")
                kept[name] = value
        self.dropped += len(sent) - len(kept)
        return kept


def _typed(kind: InputType, sent: event_service_pb2.PropertyValue) -> Property | None:
    which = sent.WhichOneof("kind")
    if which not in _WANTED[kind][1]:
        return None
    if kind is InputType.STRING:
        text = sent.string_value
        return text if len(text) <= _SHORT or fits(text, PROPERTY_TEXT_BYTES) else None
    value: Property = getattr(sent, which)
    if kind is InputType.BOOL:
        return value
    number = float(value)
    if not isfinite(number) or (which == "int_value" and abs(number) > _LARGEST_WHOLE):
        return None
    return number if kind is InputType.FLOAT else value


def _texts(message: event_service_pb2.Event) -> FieldViolation | None:
    for field in ("channel", "time_zone", "device", "jurisdiction"):
        text = getattr(message, field)
        if text and not fits(text, CONTEXT_TEXT_BYTES):
            return FieldViolation(field, f"wants at most {CONTEXT_TEXT_BYTES} bytes")
    for field in ("placement_id", "name"):
        text = getattr(message, field)
        if text and not fits(text, NAME_BYTES):
            return FieldViolation(field, f"wants at most {NAME_BYTES} bytes")
    if message.slot > MOST_SLOTS:
        return FieldViolation("slot", f"wants a slot of the answer, 1 to {MOST_SLOTS}, or 0 where it is not known")
    return None
