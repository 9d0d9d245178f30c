"""Logs written frame by frame, as a worker writes them."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

from liftgate.record.frame import Header, Stream, encode_frames
from liftgate.record.parquet import seal_to_parquet
from liftgate.v1.reason_pb2 import Arm
from liftgate.v1.record_pb2 import DecisionRecord, EventRecord, LayerAssignment

START_MS = 1_767_225_600_000
HOUR_MS = 3_600_000


def pseudonym(person: int) -> bytes:
    """Return the person's pseudonym."""
    return sha256(b"%d" % person).digest()[:16]


def decided(
    number: int,
    person: int,
    arm: str,
    at_ms: int,
    *,
    shown: Sequence[str] = ("a",),
    layers: dict[str, str] | None = None,
    version: str = "d",
    mode: str = "",
    shares: dict[str, float] | None = None,
    unit: str = "person",
    account: bytes = b"",
    session: bytes = b"",
    visitor: bytes = b"",
    key: str = "k1",
) -> bytes:
    """Return a decision; a held-out person is shown nothing, and would have been shown `shown`."""
    held = arm == "holdout"
    return DecisionRecord(
        decision_id=f"{number:032x}",
        request_id=f"r{number}",
        decided_at_ms=at_ms,
        person_pseudonym=pseudonym(person),
        pseudonym_key_id=key,
        placement_id="home",
        bundle_digest=version * 64,
        arm=Arm.ARM_HOLDOUT if held else Arm.ARM_TREATMENT,
        assignments=[
            LayerAssignment(layer=name, arm=one, share=(shares or {}).get(one), unit=unit)
            for name, one in (layers or {"universal": arm}).items()
        ],
        offered=[] if held else shown,
        would_offer=shown if held else [],
        mode=mode,
        account_pseudonym=account,
        session_pseudonym=session,
        visitor_pseudonym=visitor,
    ).SerializeToString()


def happened(
    number: int,
    person: int,
    kind: str,
    at_ms: int,
    value: float | None = None,
    decision: int | None = None,
    reason: str = "UNSPECIFIED",
    account: bytes = b"",
) -> bytes:
    """Return an event."""
    return EventRecord(
        event_id=f"e{number}",
        kind=f"EVENT_KIND_{kind.upper()}",
        person_pseudonym=pseudonym(person),
        pseudonym_key_id="k1",
        decision_id="" if decision is None else f"{decision:032x}",
        occurred_at_ms=at_ms,
        received_at_ms=at_ms,
        value=value,
        currency="" if value is None else "EUR",
        reason=f"REASON_{reason}",
        account_pseudonym=account,
    ).SerializeToString()


def write(directory: Path, stream: Stream, payloads: Sequence[bytes], *, writer: int = 1, first: int = 0, seal: bool = True) -> Path:
    """Write one segment whose first record has the number `first`; sealed as Parquet, or left as its writer left it."""
    directory.mkdir(exist_ok=True)
    header = Header(stream=stream, writer_id=bytes([writer]) * 16, boot_id=bytes(16), first_sequence=first, created_at_ms=START_MS)
    path = directory / f"{stream.label}-{START_MS + first}-{header.writer_id.hex()}-{1 + first:06d}.seg"
    path.write_bytes(header.encode() + encode_frames(payloads, first))
    if seal:
        seal_to_parquet(path)
        path.unlink()
    return path
