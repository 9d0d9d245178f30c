"""Events as bytes: the messages of `record.proto`. Pure and thread-safe."""

from __future__ import annotations

from google.protobuf.message import DecodeError

from liftgate.v1.event_service_pb2 import EventKind
from liftgate.v1.record_pb2 import EventRecord


def encode_event(
    *,
    event_id: str,
    kind: int | EventKind,
    person_pseudonym: bytes,
    pseudonym_key_id: str,
    occurred_at_ms: int,
    received_at_ms: int,
    decision_id: str = "",
    offer_id: str = "",
    value: float | None = None,
    currency: str = "",
    account_pseudonym: bytes = b"",
    channel: str = "",
) -> bytes:
    """Return one `EventRecord`, encoded; arguments as its fields. Raises ValueError when a number is out of range."""
    return EventRecord(
        event_id=event_id,
        kind=kind,  # type: ignore[arg-type]
        person_pseudonym=person_pseudonym,
        pseudonym_key_id=pseudonym_key_id,
        decision_id=decision_id,
        offer_id=offer_id,
        occurred_at_ms=occurred_at_ms,
        received_at_ms=received_at_ms,
        value=value,
        currency=currency,
        account_pseudonym=account_pseudonym,
        channel=channel,
    ).SerializeToString()


def decode_event(record: bytes) -> EventRecord:
    """Return the event of an encoded record. Raises ValueError when it is none."""
    try:
        return EventRecord.FromString(record)
    except DecodeError as cause:
        raise ValueError("not an event record") from cause
