"""Events as bytes: the messages of `record.proto`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from google.protobuf.message import DecodeError

from liftgate.v1.event_service_pb2 import EventKind
from liftgate.v1.record_pb2 import EventRecord


class EventEncoder:
    """Encodes event after event into one message that is used again: making one for each costs twice as much. Not thread-safe."""

    def __init__(self, pseudonym_key_id: str) -> None:
        """Take what is the same for all."""
        self._key_id = pseudonym_key_id
        self._record = EventRecord()

    def encode(
        self,
        *,
        event_id: str,
        kind: int,
        person_pseudonym: bytes,
        occurred_at_ms: int,
        received_at_ms: int,
        decision_id: str = "",
        offer_id: str = "",
        value: float | None = None,
        currency: str = "",
        account_pseudonym: bytes = b"",
        channel: str = "",
        name: str = "",
        slot: int = 0,
        placement_id: str = "",
        device: str = "",
        properties: str = "",
        reliability: int = 0,
        late: bool = False,
        reason: int = 0,
        consent_reason: int = 0,
        once: bool = False,
    ) -> bytes:
        """Return one `EventRecord`, encoded; arguments as its fields. `once`: the pseudonym is of this row alone, and no key made it.

        Raises ValueError when a number is out of range.
        """
        record: Any = self._record
        record.Clear()
        record.event_id = event_id
        record.kind = kind
        record.person_pseudonym = person_pseudonym
        record.pseudonym_key_id = "" if once else self._key_id
        record.occurred_at_ms = occurred_at_ms
        record.received_at_ms = received_at_ms
        record.reliability = reliability
        if decision_id:
            record.decision_id = decision_id
        if offer_id:
            record.offer_id = offer_id
        if value is not None:
            record.value = value
        if currency:
            record.currency = currency
        if account_pseudonym:
            record.account_pseudonym = account_pseudonym
        if channel:
            record.channel = channel
        if name:
            record.name = name
        if slot:
            record.slot = slot
        if placement_id:
            record.placement_id = placement_id
        if device:
            record.device = device
        if properties:
            record.properties_json = properties
        if late:
            record.late = True
        if reason:
            record.reason, record.consent_reason = reason, consent_reason
        encoded: bytes = record.SerializeToString()
        return encoded


def encode_event(
    *,
    event_id: str,
    kind: int | EventKind,
    person_pseudonym: bytes,
    pseudonym_key_id: str,
    occurred_at_ms: int,
    received_at_ms: int,
    **others: Any,
) -> bytes:
    """Return one `EventRecord`, encoded; arguments as `EventEncoder.encode` has them. Raises ValueError when a number is out of range."""
    return EventEncoder(pseudonym_key_id).encode(
        event_id=event_id,
        kind=kind,
        person_pseudonym=person_pseudonym,
        occurred_at_ms=occurred_at_ms,
        received_at_ms=received_at_ms,
        **others,
    )


def properties_json(properties: Mapping[str, Any]) -> str:
    """Return properties as `EventRecord.properties_json` holds them."""
    return orjson.dumps(properties, option=orjson.OPT_SORT_KEYS).decode()


def decode_event(record: bytes) -> EventRecord:
    """Return the event of an encoded record. Raises ValueError when it is none."""
    try:
        return EventRecord.FromString(record)
    except DecodeError as cause:
        raise ValueError("not an event record") from cause
