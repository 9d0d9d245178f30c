"""Events as bytes: the messages of `record.proto`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import orjson
from google.protobuf.message import DecodeError

from liftgate.v1.record_pb2 import EventRecord


class Happened(Protocol):
    """What a row has of an event that was told; fields as `EventRecord` has them."""

    event_id: str
    kind: int
    occurred_at_ms: int
    received_at_ms: int
    reliability: int
    decision_id: str
    offer_id: str
    value: float | None
    currency: str
    channel: str
    name: str
    slot: int
    placement_id: str
    device: str
    properties: Mapping[str, Any]
    late: bool


class EventEncoder:
    """Encodes event after event into one message that is used again: making one for each costs twice as much. Not thread-safe."""

    def __init__(self, pseudonym_key_id: str) -> None:
        """Take what is the same for all."""
        self._key_id = pseudonym_key_id
        self._record = EventRecord()

    def encode(
        self,
        event: Happened,
        person_pseudonym: bytes,
        account_pseudonym: bytes = b"",
        once: bool = False,
        reason: int = 0,
        consent_reason: int = 0,
    ) -> bytes:
        """Return one `EventRecord`, encoded. `once`: the pseudonym is of this row alone, and no key made it.

        `reason` and `consent_reason` say why it is revoked; 0: it is not. Raises ValueError when a number is out of range.
        """
        record: Any = self._record
        record.Clear()
        record.event_id = event.event_id
        record.kind = event.kind
        record.person_pseudonym = person_pseudonym
        if not once:
            record.pseudonym_key_id = self._key_id
        record.occurred_at_ms = event.occurred_at_ms
        record.received_at_ms = event.received_at_ms
        record.reliability = event.reliability
        if event.decision_id:
            record.decision_id = event.decision_id
        if event.offer_id:
            record.offer_id = event.offer_id
        if event.value is not None:
            record.value = event.value
            record.currency = event.currency
        if account_pseudonym:
            record.account_pseudonym = account_pseudonym
        if event.channel:
            record.channel = event.channel
        if event.name:
            record.name = event.name
        if event.slot:
            record.slot = event.slot
        if event.placement_id:
            record.placement_id = event.placement_id
        if event.device:
            record.device = event.device
        if event.properties:
            record.properties_json = properties_json(event.properties)
        if event.late:
            record.late = True
        if reason:
            record.reason, record.consent_reason = reason, consent_reason
        encoded: bytes = record.SerializeToString()
        return encoded


def encode_event(**fields: Any) -> bytes:
    """Return one `EventRecord` with these fields, encoded; None is left out. Raises ValueError when a number is out of range."""
    return EventRecord(**{name: value for name, value in fields.items() if value is not None}).SerializeToString()


def properties_json(properties: Mapping[str, Any]) -> str:
    """Return properties as `EventRecord.properties_json` holds them."""
    return orjson.dumps(properties, option=orjson.OPT_SORT_KEYS).decode()


def decode_event(record: bytes) -> EventRecord:
    """Return the event of an encoded record. Raises ValueError when it is none."""
    try:
        return EventRecord.FromString(record)
    except DecodeError as cause:
        raise ValueError("not an event record") from cause
